// Dishes learned beside the model's own. They join what the model file carries of its
// training photos, and one more head is fitted to all: see teaching.py in the lesson.

import * as head from "./head.js";
import { dot } from "./head.js";
import { isSameName, unround } from "./records.js";

const ROUGH = 1e-3; // flat enough for a head that is asked about one photo
const TOO_ALIKE = 0.995; // cosine from which a photo teaches nothing new

/** Make a learner from the content of known.bin and from what model.json says. */
export function makeLearner(content, about) {
  const { dimensions, counts, strength, nearest, margin, likeness: scales } = about.teaching;
  const own = about.class_names;
  const known = readRows(content, dimensions);
  const scale = head.makeScaler(known);
  const knownRows = known.map(scale);
  const knownProducts = head.innerProducts(knownRows);
  const knownLabels = counts.flatMap((count, label) => new Array(count).fill(label));
  const prepared = new WeakMap(); // what is needed of a photo's record
  let trained; // task, solution, weights, dishes, names, version
  let version = 0;

  function prepare(photo) {
    if (!prepared.has(photo)) {
      const unit = head.toUnit(unround(photo));
      prepared.set(photo, { unit, row: scale(unit) });
    }
    return prepared.get(photo);
  }

  /** How like a dish's photos a photo is, in standard deviations. */
  function likenessTo(photos, unit) {
    const [mean, deviation] = scales[Math.min(photos.length, scales.length) - 1];
    const cosines = photos.map((photo) => dot(prepare(photo).unit, unit));
    return (head.meanOfLargest(cosines, nearest) - mean) / deviation;
  }

  /** By how much a class's logit exceeds those of all other names. */
  function leadOf(logits, label) {
    const { names } = trained;
    const rivals = logits.filter((_, at) => !isSameName(names[at], names[label]));
    return logits[label] - Math.max(...rivals);
  }

  /** The more dishes a stranger can be taken for, the more is asked of each. */
  const needed = (total) => margin * (1 + Math.log2(total));

  return {
    /** Learn dishes, {id, name, photos}[], and forget what was learned before. */
    train(dishes) {
      trained = undefined;
      version += 1;
      if (dishes.length === 0) return;
      const photos = dishes.flatMap((dish) => dish.photos);
      const rows = [...knownRows, ...photos.map((photo) => prepare(photo).row)];
      const taught = dishes.flatMap((dish, at) => dish.photos.map(() => own.length + at));
      const labels = [...knownLabels, ...taught];
      const products = head.innerProducts(rows, knownProducts);
      const classes = own.length + dishes.length;
      const task = { products, labels, counts: head.balanced(labels), classes, strength };
      const solution = head.fit(task);
      const names = [...own, ...dishes.map(({ name }) => name)];
      const weights = names.map((_, label) => combine(rows, solution.shares, label));
      trained = { task, solution, weights, dishes, names, version };
    },

    /** Judge a photo's features (D), if a dish is taught: names and probabilities are of all
     *  classes, leads and likeness, which must come to `needed`, of the taught ones. */
    judge(features) {
      if (!trained) return undefined;
      const { weights, solution, dishes, names } = trained;
      const unit = head.toUnit(Float64Array.from(features));
      const row = scale(unit);
      const logits = weights.map((weight, label) => dot(weight, row) + solution.bias[label]);
      return {
        version: trained.version,
        names,
        probabilities: head.softmax(logits),
        leads: dishes.map((_, at) => leadOf(logits, own.length + at)),
        likeness: dishes.map(({ photos }) => likenessTo(photos, unit)),
        needed: needed(dishes.length),
      };
    },

    /** Whether a dish has a photo already that this one is hardly different from. */
    isOld(photo, photos) {
      const { unit } = prepare(photo);
      return photos.some((other) => dot(prepare(other).unit, unit) > TOO_ALIKE);
    },

    /** Ask about each photo of a dish a head that learned from all the others. `pause` comes
     *  after each, as pictures want answers; nothing may be trained. */
    async leaveOneOut(id, pause) {
      const { task, solution, dishes } = trained ?? { dishes: [] };
      const at = dishes.findIndex((dish) => dish.id === id);
      const photos = dishes[at]?.photos ?? [];
      if (photos.length < 2) return { right: 0, asked: 0 };
      const [total, label] = [task.labels.length, own.length + at];
      let right = 0;
      for (const [place, photo] of photos.entries()) {
        const row = task.labels.indexOf(label) + place;
        const isOfRow = (_, each) => each % total === row;
        const shares = solution.shares.map((share, each) => (isOfRow(share, each) ? 0 : share));
        const counts = head.balanced(task.labels, row);
        const { logits } = head.fit({ ...task, counts }, { ...solution, shares }, ROUGH);
        const lead = leadOf(logits.filter(isOfRow), label);
        const likeness = likenessTo(photos.toSpliced(place, 1), prepare(photo).unit);
        if (lead >= 0 && lead + likeness >= needed(dishes.length)) right += 1;
        await pause();
      }
      return { right, asked: photos.length };
    },
  };
}

/** Rows from integers (N, D) followed by scales (N), little-endian. */
function readRows(content, dimensions) {
  const total = content.byteLength / (dimensions + 4);
  const integers = new Int8Array(content, 0, total * dimensions);
  const view = new DataView(content, total * dimensions);
  return Array.from({ length: total }, (_, row) => {
    const scale = view.getFloat32(4 * row, true);
    const part = integers.subarray(row * dimensions, (row + 1) * dimensions);
    return Float64Array.from(part, (value) => value * scale);
  });
}

function combine(rows, shares, label) {
  const sum = new Float64Array(rows[0].length);
  rows.forEach((row, place) => {
    const share = shares[label * rows.length + place];
    for (let at = 0; at < sum.length; at += 1) sum[at] += share * row[at];
  });
  return sum;
}
