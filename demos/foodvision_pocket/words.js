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

/**
 * Say an answer.
 *
 * @param {{probabilities: number[], familiarity: number}} answer
 * @param about What model.json says.
 * @returns {{isFamiliar: boolean, verdict: string, detail: string, rows: object[]}}
 */
export function describe(answer, about) {
  const rows = ranking(answer.probabilities, about.class_names);
  const [{ name, probability }] = rows;
  const sure = percent(probability);
  const isFamiliar = answer.familiarity >= about.familiarity_threshold;
  return isFamiliar
    ? { isFamiliar, rows, verdict: `This looks like ${name}.`, detail: `The model is ${sure} sure.` }
    : {
        isFamiliar,
        rows,
        verdict: `This does not look like ${joinNames(about.class_names)}.`,
        detail: `Closest guess: ${name} (${sure}).`,
      };
}

/** Say how familiar a picture is, and how long its answer took. */
export function describeNumbers({ familiarity, milliseconds }, about) {
  const expected = about.familiarity_threshold.toFixed(2);
  return (
    `Familiarity ${familiarity.toFixed(2)}, at least ${expected} expected. ` +
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
