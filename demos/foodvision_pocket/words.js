// What the page says. Nothing here touches the page, so that all of it can be tested.

export const PRACTICE =
  "Practice model: it learned from drawings, so do not expect much of photos.";
const MOST = 5; // bars shown, however many classes there are

/** Put class names into words: "pizza, steak or sushi". */
export function joinNames(names) {
  if (names.length > MOST) return `any of the ${names.length} foods it knows`;
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** Nothing is called certain, and nothing impossible. */
export function percent(probability) {
  if (probability > 0.99) return "more than 99%";
  if (probability < 0.01) return "less than 1%";
  return `${Math.round(100 * probability)}%`;
}

/** The same, short enough to stand at the end of a bar. */
export function shortPercent(probability) {
  return percent(probability).replace("more than ", "> ").replace("less than ", "< ");
}

/** Pair names and probabilities: the likeliest first, at most five. */
export function ranking(probabilities, names) {
  return names
    .map((name, index) => ({ name, probability: probabilities[index] }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, MOST);
}

/** What kind of picture this is: "dish", "another dish" or "no plate". */
export function judge({ familiarity, ours }, about) {
  if (familiarity < about.familiarity_threshold) return "no plate";
  return ours >= about.ours_threshold ? "dish" : "another dish";
}

/**
 * Say an answer.
 *
 * @param {{probabilities: number[], familiarity: number, ours: number}} answer
 * @param about What model.json says.
 * @returns {{kind: string, verdict: string, detail: string, rows: object[]}}
 */
export function describe(answer, about) {
  const kind = judge(answer, about);
  const rows = ranking(answer.probabilities, about.class_names);
  const [{ name, probability }] = rows;
  const sure = percent(probability);
  const verdict = {
    dish: `This looks like ${name}.`,
    "another dish": "I think this is another dish.",
    "no plate": "This does not look like a plate of food.",
  }[kind];
  const detail =
    kind === "dish"
      ? `The model is ${sure} sure.`
      : `Closest of the dishes I know: ${name} (${sure}).`;
  return { kind, verdict, detail, rows };
}

/** Say by which numbers a picture was judged, and how long its answer took. */
export function describeNumbers({ familiarity, ours, milliseconds }, about) {
  const needed = (threshold) => `(${threshold.toFixed(2)} needed)`;
  return (
    `Familiarity ${familiarity.toFixed(2)} ${needed(about.familiarity_threshold)}, ` +
    `likeness to my dishes ${ours.toFixed(2)} ${needed(about.ours_threshold)}. ` +
    `Answered in ${Math.max(1, Math.round(milliseconds))} ms.`
  );
}

/** Say where the answers come from, in three pieces: the middle one is the count. */
export function describeModel({ contender, trained_on, test_result }) {
  const { correct, total } = test_result;
  return [
    `${contender}, trained on ${trained_on}: it got `,
    `${correct} of ${total}`,
    " test pictures right.",
  ];
}

/** The middle one of some numbers, in any order; NaN of none. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half) - 1]) / 2;
}
