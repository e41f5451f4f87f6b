// What the page says. Nothing here touches the page, so that all of it can be tested.

const MOST = 5; // bars shown, however many classes there are

/** A class name as people read it: "apple_pie" is "apple pie". */
const spoken = (name) => name.replaceAll("_", " ");

/** Put class names into words: "pizza, steak or sushi". */
export function joinNames(names) {
  if (names.length > MOST) return `any of the ${names.length} foods I know`;
  return enumerate(names.map(spoken), "or");
}

/** Join words: "a", "a or b", "a, b or c". */
function enumerate(words, last) {
  if (words.length === 1) return words[0];
  return `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1)}`;
}

/** Nothing is called certain, and nothing impossible. */
function percent(probability, { most, least }) {
  if (probability > 0.99) return most;
  return probability < 0.01 ? least : `${Math.floor(100 * probability + 0.5)}%`;
}

/** The same, short enough to stand at the end of a bar. */
export function shortPercent(probability) {
  return percent(probability, { most: "> 99%", least: "< 1%" });
}

/** Fill in a sentence of contract.json: "{name}" and the like. */
function fill(sentence, values) {
  return sentence.replace(/{(\w+)}/g, (_, key) => values[key]);
}

/** The model's own names as people read them; those of taught dishes stay as typed. */
const said = (name, own) => (own.includes(name) ? spoken(name) : name);

/** Pair names and probabilities: the likeliest first, a few of them. */
function ranking(shares, own) {
  return Array.from(shares, ([name, probability]) => ({ name: said(name, own), probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, MOST);
}

/** What the model gives each of its own dishes, as a Map. */
const sharesOf = ({ probabilities }, own, rest = 1) =>
  new Map(own.map((name, at) => [name, rest * probabilities[at]]));

/** The place of the taught dish that a picture shows, by what learner.js says; or -1. */
function findTaught(taught) {
  const isNamed = (lead, at) => lead >= 0 && lead + taught.likeness[at] >= taught.needed;
  return taught ? taught.leads.findIndex(isNamed) : -1;
}

/** The same where dishes were taught: the new head shares out between each of those and
 *  the model's own, the model among its own. */
function rankAll(answer, own) {
  const { names, probabilities } = answer.taught;
  const others = probabilities.slice(own.length);
  const shares = sharesOf(answer, own, 1 - others.reduce((sum, share) => sum + share, 0));
  others.forEach((share, at) => {
    const name = names[own.length + at];
    shares.set(name, (shares.get(name) ?? 0) + share);
  });
  return ranking(shares, own);
}

/** What kind of picture this is: "dish", "another dish" or "no plate". */
export function judge({ knn_similarity, in_distribution_score }, about) {
  if (knn_similarity < about.knn_similarity_threshold) return "no plate";
  return in_distribution_score >= about.in_distribution_threshold ? "dish" : "another dish";
}

/** Say an answer: {kind, verdict, detail, rows}, rows being names and probabilities. */
export function describe(answer, about) {
  const { taught } = answer;
  const place = findTaught(taught);
  if (place >= 0) {
    const name = taught.names[about.class_names.length + place];
    return describeLearned(answer, said(name, about.class_names), about);
  }
  const kind = judge(answer, about);
  const isNear = kind === "another dish" && taught?.leads.some((lead) => lead >= 0);
  const rows = isNear
    ? rankAll(answer, about.class_names)
    : ranking(sharesOf(answer, about.class_names), about.class_names);
  const [{ name, probability }] = rows;
  const values = { name, sure: percent(probability, about.sure) };
  const [verdict, detail] = about.verdicts[kind].map((sentence) => fill(sentence, values));
  return { kind, verdict, detail, rows };
}

/** Say an answer that names a taught dish. */
function describeLearned(answer, name, about) {
  const rows = rankAll(answer, about.class_names);
  const first = rows.find((row) => row.name === name) ?? rows[0];
  return {
    kind: "dish",
    verdict: fill(about.verdicts.dish[0], { name }),
    detail: `You taught me this dish. I am ${percent(first.probability, about.sure)} sure.`,
    rows: [first, ...rows.filter((row) => row !== first)],
  };
}

/** Say by which numbers a picture was judged, and how long its answer took. */
export function describeNumbers(answer, about) {
  const { taught } = answer;
  const place = findTaught(taught);
  const milliseconds = Math.max(1, Math.round(answer.milliseconds));
  if (place >= 0) {
    const [lead, like] = [taught.leads[place], taught.likeness[place]];
    return (
      `Lead ${lead.toFixed(2)} and likeness to your photos ${like.toFixed(2)}, ` +
      `together ${(lead + like).toFixed(2)} (${taught.needed.toFixed(2)} needed). ` +
      `Answered in ${milliseconds} ms.`
    );
  }
  const values = { milliseconds };
  for (const [name, threshold] of [
    ["knn_similarity", "knn_similarity_threshold"],
    ["in_distribution_score", "in_distribution_threshold"],
  ]) {
    values[name] = answer[name].toFixed(2);
    values[threshold] = about[threshold].toFixed(2);
  }
  return fill(about.numbers, values);
}

/** Count things: "1 photo", "3 photos". */
export function count(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

/** Say how well a dish is known, by its photos, and by leaving one out once that is done:
 *  of so many asked about with all the others learned, how many were named. */
export function describeLesson(photos, checked) {
  const many = `${count(photos, "photo")}.`;
  if (!checked) return `${many} Learning ...`;
  if (checked.asked === 0) return `${many} Show me more: another plate, or another side.`;
  const { right, asked } = checked;
  const well = `Each asked about without having learned from it, I name ${right} of ${asked}.`;
  const enough = right >= 0.7 * asked && asked >= 10;
  return `${many} ${well} ${enough ? "That will do." : "More photos help, from other sides."}`;
}

/** Say how many dishes were taught. */
export function describeTaught(dishes, photos) {
  if (dishes === 0) return "Dishes you taught me: none yet";
  return `Dishes you taught me: ${dishes}, from ${count(photos, "photo")}`;
}

/** Say what is there of an earlier model; nothing, if there is none. */
export function describeOld({ names, photos, usable }) {
  if (names.length === 0) return "";
  const what = `You taught ${enumerate(names, "and")} (${count(photos, "photo")}) to another model.`;
  return usable > 0
    ? `${what} Its notes mean nothing to this one, but I can look at the small pictures again.`
    : `${what} Its notes mean nothing to this one, and there are no pictures to look at again.`;
}

/** Say how many records are broken; nothing, if none is. */
export function describeLost(lost) {
  if (lost === 0) return "";
  return `${count(lost, "record")} of what you taught cannot be read, and is left out.`;
}

/** Say what became of several pictures. */
export function describeAdded({ added, old = 0, useless = 0 }) {
  const parts = [`${count(added, "photo")} learned`];
  if (old > 0) parts.push(`${old} hardly differed from one that I have`);
  if (useless > 0) parts.push(`${useless} could not be used`);
  return `${parts.join(", ")}.`;
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
