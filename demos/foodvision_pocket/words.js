// What the page says. Nothing here touches the page, so that all of it can be tested.

const MOST = 5; // bars shown, however many classes there are
const SHORT = { most: "> 99%", least: "< 1%" }; // at the end of a bar

/** A class name as people read it: "apple_pie" is "apple pie". */
const spoken = (name) => name.replaceAll("_", " ");

/** Join words: "a, b or c" is a "disjunction", "a, b and c" a "conjunction". */
export const join = (words, type) => new Intl.ListFormat("en-GB", { type }).format(words);

/** Put class names into words: "pizza, steak or sushi". */
export function joinNames(names) {
  if (names.length > MOST) return `any of the ${names.length} foods I know`;
  return join(names.map(spoken), "disjunction");
}

/** Count things: "1 photo", "3 photos". */
export const count = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

/** Nothing is called certain, and nothing impossible. */
function percent(probability, { most, least }) {
  if (probability > 0.99) return most;
  return probability < 0.01 ? least : `${Math.floor(100 * probability + 0.5)}%`;
}

/** Fill in a sentence of contract.json: "{name}" and the like. */
export function fill(sentence, values) {
  const written = (value) => (typeof value === "number" ? value.toFixed(2) : value);
  return sentence.replace(/{(\w+)}/g, (_, key) => written(values[key]));
}

/** The model's own names as people read them; those of taught dishes stay as typed. */
const said = (name, own) => (own.includes(name) ? spoken(name) : name);

/** Rank shares by name, a Map: the likeliest few, as they stand on the bars. */
function ranking(shares, own) {
  const rows = Array.from(shares, ([name, probability]) => {
    return { name: said(name, own), probability, share: percent(probability, SHORT) };
  });
  return rows.sort((a, b) => b.probability - a.probability).slice(0, MOST);
}

/** What each name gets. Where a taught dish is near, the new head shares out between each of
 *  those and the model's own, the model among its own. */
function sharesOf({ probabilities, taught }, own, isNear) {
  const others = isNear ? taught.probabilities.slice(own.length) : [];
  const rest = 1 - others.reduce((sum, share) => sum + share, 0);
  const shares = new Map(own.map((name, at) => [name, rest * probabilities[at]]));
  others.forEach((share, at) => {
    const name = taught.names[own.length + at];
    shares.set(name, (shares.get(name) ?? 0) + share);
  });
  return shares;
}

/** What kind of picture this is: "dish", "another dish" or "no plate". */
function judge({ knn_similarity, in_distribution_score }, about) {
  if (knn_similarity < about.knn_similarity_threshold) return "no plate";
  return in_distribution_score >= about.in_distribution_threshold ? "dish" : "another dish";
}

/** Say an answer: {kind, verdict, detail, numbers, rows}; rows are {name, probability, share},
 *  the one that is named first, then the likeliest. */
export function describe(answer, about) {
  const { taught } = answer;
  const [leads, own] = [taught?.leads ?? [], about.class_names];
  const isTaught = (lead, at) => lead >= 0 && lead + taught.likeness[at] >= taught.needed;
  const place = leads.findIndex(isTaught);
  const kind = place >= 0 ? "dish" : judge(answer, about);
  const isNear = kind === "another dish" && leads.some((lead) => lead >= 0);
  const rows = ranking(sharesOf(answer, own, place >= 0 || isNear), own);
  const named = place >= 0 && said(taught.names[own.length + place], own);
  if (named) rows.sort((a, b) => (b.name === named) - (a.name === named));
  const [lead, likeness] = [leads[place], taught?.likeness[place]];
  const values = {
    ...about,
    ...answer,
    lead,
    likeness,
    together: lead + likeness,
    needed: taught?.needed,
    name: named || rows[0].name,
    sure: percent(rows[0].probability, about.sure),
    milliseconds: `${Math.max(1, Math.round(answer.milliseconds))}`,
  };
  const sentences = named ? about.page.taught : [...about.verdicts[kind], about.numbers];
  const [verdict, detail, numbers] = sentences.map((sentence) => fill(sentence, values));
  return { kind, verdict, detail, numbers, rows };
}

/** Say how well a dish is known, by its photos, and by leaving one out once that is done:
 *  of so many asked about with all the others learned, how many were named. */
export function describeLesson(photos, checked) {
  const many = `${count(photos, "photo")}.`;
  if (!checked) return `${many} Learning ...`;
  const { right, asked } = checked;
  if (asked === 0) return `${many} Show me more: another plate, or another side.`;
  const well = `Each asked about without having learned from it, I name ${right} of ${asked}.`;
  const enough = right >= 0.7 * asked && asked >= 10;
  return `${many} ${well} ${enough ? "That will do." : "More photos help, from other sides."}`;
}

/** Say what became of several pictures. */
export function describeAdded({ added, old, useless }) {
  const parts = [`${count(added, "photo")} learned`];
  if (old) parts.push(`${old} hardly differed from one that I have`);
  if (useless) parts.push(`${useless} could not be used`);
  return `${parts.join(", ")}.`;
}
