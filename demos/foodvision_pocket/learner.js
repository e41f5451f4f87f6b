// Dishes learned beside the model's own. They join what the model file carries of its
// training photos, and one more head is fitted to all: see teaching.py in the lesson.

import {
  balanced,
  dot,
  fit,
  innerProducts,
  makeScaler,
  meanOfLargest,
  ownLikeness,
  softmax,
  toUnit,
} from "./head.js";
import { isSameName, unround } from "./records.js";

const ROUGH = 1e-3; // flat enough for a head that is asked about one photo
const TOO_ALIKE = 0.995; // cosine from which a photo teaches nothing new

/**
 * Make a learner.
 *
 * @param {ArrayBuffer} content Of known.bin: integers of all rows, then a scale each.
 * @param about What model.json says.
 */
export function makeLearner(content, about) {
  const { dimensions, counts, strength, nearest, margin } = about.teaching;
  const own = about.class_names;
  const known = readRows(content, dimensions);
  const scale = makeScaler(known);
  const knownRows = known.map(scale);
  const knownProducts = innerProducts(knownRows);
  const knownLabels = counts.flatMap((count, label) => new Array(count).fill(label));
  const scales = new Map(); // of likeness, by how many photos a dish has
  let trained; // task, solution, weights, dishes, names, bias
  let version = 0;

  /** Work out, once, what is needed of a photo. */
  function prepare(photo) {
    if (photo.unit) return;
    photo.unit = toUnit(unround(photo));
    photo.row = scale(photo.unit);
  }

  /** Learn dishes: {name, photos}[], photos being records. Forgets what was learned before. */
  function train(dishes) {
    version += 1;
    trained = undefined;
    if (dishes.length === 0) return;
    const photos = dishes.flatMap((dish) => dish.photos);
    photos.forEach(prepare);
    const rows = [...knownRows, ...photos.map(({ row }) => row)];
    const taught = dishes.flatMap((dish, at) => dish.photos.map(() => own.length + at));
    const labels = [...knownLabels, ...taught];
    const task = {
      products: innerProducts(rows, { products: knownProducts, count: knownRows.length }),
      labels,
      counts: balanced(labels),
      classes: own.length + dishes.length,
      strength,
    };
    const solution = fit(task);
    const names = [...own, ...dishes.map(({ name }) => name)];
    const weights = names.map((_, label) => combine(rows, solution.shares, label));
    const learned = dishes.map(({ photos }) => ({ photos: [...photos] }));
    trained = { task, solution, weights, dishes: learned, names };
  }

  function scaleFor(count) {
    if (!scales.has(count)) scales.set(count, ownLikeness(known, counts, count, nearest));
    return scales.get(count);
  }

  /** How like a dish's photos a photo is, in standard deviations. */
  function likenessTo(photos, unit) {
    const { middle, width } = scaleFor(photos.length);
    return (meanOfLargest(photos.map((photo) => dot(photo.unit, unit)), nearest) - middle) / width;
  }

  /** By how much a class's logit exceeds those of all classes with another name. */
  function leadOf(logits, label) {
    const { names } = trained;
    const rivals = logits.filter((_, at) => !isSameName(names[at], names[label]));
    return logits[label] - Math.max(...rivals);
  }

  /** The more dishes a stranger can be taken for, the more is asked of each. */
  function needed(total) {
    return margin * (1 + Math.log2(total));
  }

  return {
    train,

    /**
     * Judge a photo.
     *
     * @param {number[]} features (D)
     * @returns {undefined | {version, names: string[], probabilities: number[],
     *   leads: number[], likeness: number[], needed: number}} Names and probabilities of all
     *   classes, the model's own first; leads and likeness of the taught dishes, and what
     *   they must come to. Undefined if no dish is taught.
     */
    judge(features) {
      if (!trained) return undefined;
      const { weights, solution, dishes, names } = trained;
      const unit = toUnit(Float64Array.from(features));
      const row = scale(unit);
      const logits = weights.map((weight, label) => dot(weight, row) + solution.bias[label]);
      return {
        version,
        names,
        probabilities: softmax(logits),
        leads: dishes.map((_, at) => leadOf(logits, own.length + at)),
        likeness: dishes.map(({ photos }) => likenessTo(photos, unit)),
        needed: needed(dishes.length),
      };
    },

    /** Whether a dish has a photo already that this one is hardly different from. */
    isOld(photo, photos) {
      [photo, ...photos].forEach(prepare);
      return photos.some((other) => dot(other.unit, photo.unit) > TOO_ALIKE);
    },

    /**
     * Ask about each photo of a dish a head that learned from all the others.
     *
     * @param {number} at The dish's place among those trained on.
     * @param {() => Promise<void>} pause Called after each: others want to work, too.
     * @returns {Promise<undefined | {right: number, asked: number}>} Undefined if the
     *   learner was trained anew meanwhile.
     */
    async leaveOneOut(at, pause) {
      const { task, solution, dishes } = trained;
      const { photos } = dishes[at];
      const [total, label, begun] = [task.labels.length, own.length + at, version];
      const first = task.labels.indexOf(label);
      let right = 0;
      for (let place = 0; photos.length > 1 && place < photos.length; place += 1) {
        const row = first + place;
        const shares = solution.shares.slice();
        for (let each = 0; each < task.classes; each += 1) shares[each * total + row] = 0;
        const counts = balanced(task.labels, row);
        const { logits } = fit({ ...task, counts }, { shares, bias: solution.bias }, ROUGH);
        const ofRow = Array.from({ length: task.classes }, (_, each) => logits[each * total + row]);
        const lead = leadOf(ofRow, label);
        const others = photos.filter((photo) => photo !== photos[place]);
        const likeness = likenessTo(others, photos[place].unit);
        if (lead >= 0 && lead + likeness >= needed(dishes.length)) right += 1;
        await pause();
        if (version !== begun) return undefined;
      }
      return { right, asked: photos.length > 1 ? photos.length : 0 };
    },
  };
}

/** Rows of numbers from integers (N, D) followed by scales (N), little-endian. */
function readRows(content, dimensions) {
  const total = content.byteLength / (dimensions + 4);
  const integers = new Int8Array(content, 0, total * dimensions);
  const view = new DataView(content, total * dimensions);
  return Array.from({ length: total }, (_, row) => {
    const scale = Math.fround(view.getFloat32(4 * row, true));
    const part = integers.subarray(row * dimensions, (row + 1) * dimensions);
    return Float64Array.from(part, (value) => value * scale);
  });
}

/** The sum of all rows, each times its share. */
function combine(rows, shares, label) {
  const sum = new Float64Array(rows[0].length);
  rows.forEach((row, place) => {
    const share = shares[label * rows.length + place];
    for (let at = 0; at < sum.length; at += 1) sum[at] += share * row[at];
  });
  return sum;
}
