// A head that learns on stored features: what teaching.py does in the lesson, here. The best
// weights are sums of rows (photos' features, of mean 0 and standard deviation 1), so all that
// training needs of the rows are their inner products, worked out once for each pair.

const MEMORY = 8; // steps that L-BFGS looks back on
const MOST_STEPS = 200;
const FLAT = 1e-4; // length of a gradient that is as good as none
const SMALLEST = 1e-6; // part of a step that is worth taking

/** The inner product of two rows; four sums at once, as none waits for the others. */
export function dot(one, other) {
  const [size, whole] = [one.length, one.length & ~3];
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let at = 0; at < whole; at += 4) {
    a += one[at] * other[at];
    b += one[at + 1] * other[at + 1];
    c += one[at + 2] * other[at + 2];
    d += one[at + 3] * other[at + 3];
  }
  for (let at = whole; at < size; at += 1) a += one[at] * other[at];
  return a + b + (c + d);
}

const scaled = (vector, factor) => vector.map((number) => number * factor);

export const toUnit = (row) => scaled(row, 1 / Math.max(Math.sqrt(dot(row, row)), 1e-12));

/** Make a function that turns a row of length 1 into one that a head learns from. */
export function makeScaler(known) {
  // Square roots, signs kept: a few large features no longer drown the small ones.
  const spread = (row) => row.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
  const rows = known.map(spread);
  const columns = Array.from(rows[0], (_, at) => {
    const mean = meanOf(rows.map((row) => row[at]));
    const deviation = Math.sqrt(meanOf(rows.map((row) => (row[at] - mean) ** 2)));
    return { mean, deviation: deviation || 1 };
  });
  return (unit) =>
    spread(unit).map((value, at) => (value - columns[at].mean) / columns[at].deviation);
}

/** Inner products of all pairs of rows, (N, N); `known` has those of the first rows. */
export function innerProducts(rows, known = []) {
  const [total, before] = [rows.length, Math.sqrt(known.length)];
  const products = new Float64Array(total * total);
  for (let row = 0; row < total; row += 1) {
    for (let other = 0; other <= row; other += 1) {
      const product = row < before ? known[row * before + other] : dot(rows[row], rows[other]);
      products[row * total + other] = product;
      products[other * total + row] = product;
    }
  }
  return products;
}

/** What each row counts for, by its class: classes count alike; one row may be left out. */
export function balanced(labels, leftOut = -1) {
  const used = labels.filter((_, row) => row !== leftOut);
  const counts = new Map();
  for (const label of used) counts.set(label, (counts.get(label) ?? 0) + 1);
  const weight = (label) => used.length / (counts.size * counts.get(label));
  return labels.map((label, row) => (row === leftOut ? 0 : weight(label)));
}

/** Fit a linear head by L-BFGS to a task, {products, labels, counts, classes, strength}: half
 *  the squared length of its weights plus `strength` times the sum of the rows' cross-entropies
 *  is to be as small as can be; the bias is free. Class k's weights are the sum of all rows n
 *  times shares[k * N + n]; logits[k * N + n] are row n's. */
export function fit(task, start = { shares: [], bias: [] }, flat = FLAT) {
  const size = task.classes * task.labels.length;
  let point = new Float64Array(2 * size + task.classes);
  point.set(start.shares);
  point.set(start.bias, 2 * size);
  multiply(task, point);
  let state = lossAt(task, point);
  const past = [];
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const { gradient } = state;
    if (Math.sqrt(inner(task, gradient, gradient)) < flat) break;
    const way = downhill(task, gradient, past);
    const slope = inner(task, way, gradient);
    let [length, next] = [1, undefined];
    for (; length > SMALLEST; length /= 2) {
      next = lossAt(task, add(point, way, length));
      if (next.loss <= state.loss + 1e-4 * length * slope) break;
    }
    if (length <= SMALLEST) break; // as low as rounding lets it come
    const [moved, turned] = [scaled(way, length), add(next.gradient, gradient, -1)];
    past.push({ moved, turned, weight: 1 / inner(task, moved, turned) });
    if (past.length > MEMORY) past.shift();
    [state, point] = [next, next.point];
  }
  const { logits } = state;
  return { shares: point.slice(0, size), bias: point.slice(2 * size), logits };
}

// A vector of weights, as L-BFGS handles it, is one array: the shares (K, N); the shares
// times the inner products, so that the inner product of two vectors is cheap; the bias.

function inner({ classes, labels }, one, other) {
  const size = classes * labels.length;
  const ofWeights = dot(one.subarray(0, size), other.subarray(size, 2 * size));
  return ofWeights + dot(one.subarray(2 * size), other.subarray(2 * size));
}

const add = (one, other, factor) => one.map((number, at) => number + factor * other[at]);

/** Fill in a vector's shares times the inner products (N, N). */
function multiply({ products, labels, classes }, vector) {
  const total = labels.length;
  for (let row = 0; row < total; row += 1) {
    const line = products.subarray(row * total, (row + 1) * total);
    for (let label = 0; label < classes; label += 1) {
      const shares = vector.subarray(label * total, (label + 1) * total);
      vector[(classes + label) * total + row] = dot(line, shares);
    }
  }
}

function lossAt(task, point) {
  const { labels, counts, classes, strength } = task;
  const total = labels.length;
  const size = classes * total;
  const [logits, gradient] = [new Float64Array(size), point.slice()];
  gradient.fill(0, 2 * size);
  const own = new Array(classes).fill(0);
  let loss = dot(point.subarray(0, size), point.subarray(size, 2 * size)) / 2;
  for (let row = 0; row < total; row += 1) {
    for (let label = 0; label < classes; label += 1) {
      own[label] = point[size + label * total + row] + point[2 * size + label];
      logits[label * total + row] = own[label];
    }
    const weight = strength * counts[row];
    const probabilities = softmax(own);
    loss -= weight * Math.log(Math.max(probabilities[labels[row]], 1e-300));
    for (let label = 0; label < classes; label += 1) {
      const error = weight * (probabilities[label] - (label === labels[row] ? 1 : 0));
      gradient[label * total + row] += error;
      gradient[2 * size + label] += error;
    }
  }
  multiply(task, gradient);
  return { loss, logits, point, gradient };
}

/** L-BFGS's two loops: the way down, by what the last steps have shown. */
function downhill(task, gradient, past) {
  let way = scaled(gradient, -1);
  const shares = [];
  for (const { moved, turned, weight } of past.toReversed()) {
    shares.push(weight * inner(task, moved, way));
    way = add(way, turned, -shares.at(-1));
  }
  const last = past.at(-1);
  if (last) way = scaled(way, 1 / (last.weight * inner(task, last.turned, last.turned)));
  for (const { moved, turned, weight } of past) {
    way = add(way, moved, shares.pop() - weight * inner(task, turned, way));
  }
  return way;
}

export function softmax(logits) {
  const top = Math.max(...logits);
  const raised = logits.map((logit) => Math.exp(logit - top));
  const sum = raised.reduce((before, one) => before + one, 0);
  return raised.map((one) => one / sum);
}

const meanOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

export const meanOfLargest = (numbers, few) =>
  meanOf(numbers.toSorted((a, b) => b - a).slice(0, few));
