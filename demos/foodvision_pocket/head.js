// A head that learns on stored features: what teaching.py does in the lesson, here.
//
// Rows are photos' features, brought to mean 0 and standard deviation 1. The weights that
// minimise the loss are sums of rows, so all that training needs to know of the rows is
// their inner products, which are worked out once for each pair of photos.

const MEMORY = 8; // steps that L-BFGS looks back on
const MOST_STEPS = 200;
const FLAT = 1e-4; // length of a gradient that is as good as none

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

/** Bring a row to length 1. */
export function toUnit(row) {
  const length = Math.max(Math.sqrt(dot(row, row)), 1e-12);
  return row.map((value) => value / length);
}

/** Square roots, signs kept: a few large features no longer drown the small ones. */
function spread(row) {
  return row.map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
}

/**
 * Make a function that turns a row of length 1 into one that a head learns from, by the
 * means and standard deviations of known rows.
 */
export function makeScaler(known) {
  const size = known[0].length;
  const [mean, width] = [new Float64Array(size), new Float64Array(size)];
  const rows = known.map(spread);
  for (const row of rows) row.forEach((value, at) => (mean[at] += value / rows.length));
  for (const row of rows) {
    row.forEach((value, at) => (width[at] += (value - mean[at]) ** 2 / rows.length));
  }
  width.forEach((value, at) => (width[at] = Math.sqrt(value) || 1));
  return (unit) => spread(unit).map((value, at) => (value - mean[at]) / width[at]);
}

/** Inner products of all pairs of rows, (N, N); `before` has those of the first rows. */
export function innerProducts(rows, before = { products: new Float64Array(), count: 0 }) {
  const total = rows.length;
  const products = new Float64Array(total * total);
  for (let row = 0; row < before.count; row += 1) {
    const from = row * before.count;
    products.set(before.products.subarray(from, from + before.count), row * total);
  }
  for (let row = before.count; row < total; row += 1) {
    for (let other = 0; other <= row; other += 1) {
      const product = dot(rows[row], rows[other]);
      products[row * total + other] = product;
      products[other * total + row] = product;
    }
  }
  return products;
}

/** What each row counts for, by its class: classes count alike; one row may be left out. */
export function balanced(labels, leftOut = -1) {
  const counts = [];
  labels.forEach((label, row) => {
    if (row !== leftOut) counts[label] = (counts[label] ?? 0) + 1;
  });
  const total = labels.length - (leftOut >= 0 ? 1 : 0);
  const classes = Object.keys(counts).length;
  return labels.map((label, row) => (row === leftOut ? 0 : total / (classes * counts[label])));
}

/**
 * Fit a linear head: half the squared length of its weights plus `strength` times the sum
 * of the rows' cross-entropies is to be as small as can be. The bias is free.
 *
 * @param {{products: Float64Array, labels: number[], counts: number[], classes: number,
 *   strength: number}} task `products` as from innerProducts, `counts` as from balanced.
 * @param [start] What an earlier call returned, to begin from.
 * @param {number} [flat] How short the gradient is to be at the end.
 * @returns {{shares: Float64Array, bias: Float64Array, logits: Float64Array}} Class k's
 *   weights are the sum of all rows n times shares[k * N + n]; logits[k * N + n] are row
 *   n's.
 */
export function fit(task, start, flat = FLAT) {
  const { classes, labels } = task;
  const shares = start?.shares ?? new Float64Array(classes * labels.length);
  const point = { shares, bias: start?.bias ?? new Float64Array(classes) };
  point.images = multiply(task, point.shares);
  let state = lossAt(task, point);
  const past = [];
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const { gradient } = state;
    if (Math.sqrt(inner(gradient, gradient)) < flat) break;
    const way = downhill(gradient, past);
    const slope = inner(way, gradient);
    let [length, next] = [1, undefined];
    for (; length > 1e-6; length /= 2) {
      next = lossAt(task, add(state.point, way, length));
      if (next.loss <= state.loss + 1e-4 * length * slope) break;
    }
    if (length <= 1e-6) break; // as low as rounding lets it come
    past.push({ moved: scaled(way, length), turned: add(next.gradient, gradient, -1) });
    if (past.length > MEMORY) past.shift();
    state = next;
  }
  return { ...state.point, logits: state.logits };
}

// A vector of weights, as L-BFGS handles it, is {shares, images, bias}: images are the
// shares times the inner products, so that the inner product of two vectors is cheap.

function inner(one, other) {
  return dot(one.shares, other.images) + dot(one.bias, other.bias);
}

function scaled(vector, factor) {
  const times = (numbers) => numbers.map((number) => number * factor);
  return { shares: times(vector.shares), images: times(vector.images), bias: times(vector.bias) };
}

/** One vector and so many times another. */
function add(one, other, factor) {
  const sum = (name) => one[name].map((number, at) => number + factor * other[name][at]);
  return { shares: sum("shares"), images: sum("images"), bias: sum("bias") };
}

/** Shares (K, N) times inner products (N, N). */
function multiply({ products, labels, classes }, shares) {
  const total = labels.length;
  const images = new Float64Array(classes * total);
  for (let row = 0; row < total; row += 1) {
    const line = products.subarray(row * total, (row + 1) * total);
    for (let label = 0; label < classes; label += 1) {
      images[label * total + row] = dot(line, shares.subarray(label * total, (label + 1) * total));
    }
  }
  return images;
}

/** The loss at a point, the gradient there, and the rows' logits. */
function lossAt(task, point) {
  const { labels, counts, classes, strength } = task;
  const total = labels.length;
  const [logits, shares] = [new Float64Array(classes * total), point.shares.slice()];
  const [bias, own] = [new Float64Array(classes), new Array(classes).fill(0)];
  let loss = dot(point.shares, point.images) / 2;
  for (let row = 0; row < total; row += 1) {
    for (let label = 0; label < classes; label += 1) {
      own[label] = point.images[label * total + row] + point.bias[label];
      logits[label * total + row] = own[label];
    }
    const weight = strength * counts[row];
    const probabilities = softmax(own);
    loss -= weight * Math.log(Math.max(probabilities[labels[row]], 1e-300));
    for (let label = 0; label < classes; label += 1) {
      const error = weight * (probabilities[label] - (label === labels[row] ? 1 : 0));
      shares[label * total + row] += error;
      bias[label] += error;
    }
  }
  return { loss, logits, point, gradient: { shares, bias, images: multiply(task, shares) } };
}

/** L-BFGS's two loops: the way down, by what the last steps have shown. */
function downhill(gradient, past) {
  let way = scaled(gradient, -1);
  const notes = [];
  for (const { moved, turned } of [...past].reverse()) {
    const weight = 1 / inner(moved, turned);
    const share = weight * inner(moved, way);
    way = add(way, turned, -share);
    notes.unshift({ moved, turned, weight, share });
  }
  const last = past.at(-1);
  if (last) way = scaled(way, inner(last.moved, last.turned) / inner(last.turned, last.turned));
  for (const { moved, turned, weight, share } of notes) {
    way = add(way, moved, share - weight * inner(turned, way));
  }
  return way;
}

/** Logits, an array of numbers, to probabilities. */
export function softmax(logits) {
  let top = -Infinity;
  for (const logit of logits) top = Math.max(top, logit);
  const raised = logits.map((logit) => Math.exp(logit - top));
  const sum = raised.reduce((before, one) => before + one, 0);
  return raised.map((one) => one / sum);
}

/** The mean of the largest few of some numbers. */
export function meanOfLargest(numbers, few) {
  return meanOf([...numbers].sort((a, b) => b - a).slice(0, few));
}

function meanOf(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/**
 * How like `count` photos of its own kind one of the model's training photos is: mean and
 * standard deviation. Rows stand class after class; at most half of a class is compared
 * with, and likeness is the mean over the nearest few of those.
 */
export function ownLikeness(known, counts, count, nearest) {
  const scores = [];
  let from = 0;
  for (const total of counts) {
    const rows = known.slice(from, from + total);
    from += total;
    const compared = Math.min(count, Math.floor(total / 2));
    const places = Array.from({ length: compared }, (_, n) => Math.floor((n * total) / compared));
    if (compared === 0) continue;
    rows.forEach((row, at) => {
      if (places.includes(at)) return;
      scores.push(meanOfLargest(places.map((place) => dot(row, rows[place])), nearest));
    });
  }
  if (scores.length === 0) return { middle: 0, width: 1 };
  const middle = meanOf(scores);
  const width = Math.sqrt(meanOf(scores.map((score) => (score - middle) ** 2)));
  return { middle, width: Math.max(width, 1e-6) };
}
