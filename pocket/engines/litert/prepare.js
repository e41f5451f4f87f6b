// From a square of pixels to what the network takes, as the ONNX file's first steps do it:
// resized, bicubic and antialiased, then scaled. To the bit: the network rounds to 8-bit
// integers next, and a difference of a millionth there can move an answer by hundredths.
//
// Here are the weights; prepare.wat applies them.

// Rounds to float32. Every step is one sum, product or quotient of such numbers and one
// rounding, in the order in which ONNX Runtime takes them.
const f = Math.fround;
const PAGE = 65536; // bytes by which WebAssembly's memory grows

/**
 * Make a function, of prepare.wasm and what model.json says, that prepares squares of
 * pixels: from RGBA, (height, height, 4), to RGB, (size, size, 3), valid until the next.
 */
export async function makePrepare(code, { size, scale, shift }) {
  const { instance } = await WebAssembly.instantiate(code);
  const { memory, narrow, shorten } = instance.exports;
  let side; // of the last square
  let at; // addresses of what is in the memory, for squares of this side

  function layOut() {
    const { first, count, width, weights } = makeWeights(side, size);
    at = { width, end: 0 };
    const room = (name, bytes) => {
      at[name] = at.end;
      at.end += Math.ceil(bytes / 16) * 16;
    };
    room("first", first.byteLength);
    room("count", count.byteLength);
    room("weights", weights.byteLength);
    room("pixels", 4 * side * side);
    room("narrowed", 16 * side * size);
    room("result", 12 * size * size + 4);
    const missing = at.end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    new Int32Array(memory.buffer, at.first).set(first);
    new Int32Array(memory.buffer, at.count).set(count);
    new Float32Array(memory.buffer, at.weights).set(weights);
  }

  return ({ data, height }) => {
    if (height !== side) {
      side = height;
      layOut(); // a camera's frames are all alike
    }
    new Uint8Array(memory.buffer, at.pixels).set(data);
    const table = [at.first, at.count, at.weights, at.width];
    narrow(at.pixels, side, size, ...table, at.narrowed);
    shorten(at.narrowed, size, ...table, scale, shift, at.result);
    return new Float32Array(memory.buffer, at.result, 3 * size * size);
  };
}

/**
 * By how much each pixel of a side counts for each pixel of the result: the first that
 * counts, how many do, and, from `width` times the result's place on, their weights.
 */
function makeWeights(side, size) {
  const ratio = f(size / side);
  const step = f(1 / ratio); // pixels of the side for one of the result
  const reach = step >= 1 ? f(2 * step) : 2; // to the left and to the right
  const shrink = step >= 1 ? f(1 / step) : 1;
  const width = 2 * Math.ceil(reach) + 1;
  const [first, count] = [new Int32Array(size), new Int32Array(size)];
  const weights = new Float32Array(size * width);
  for (let place = 0; place < size; place += 1) {
    const middle = f(0.5 + (step === 1 ? place : f(f(f(place + 0.5) / ratio) - 0.5)));
    first[place] = Math.max(Math.floor(f(f(middle - reach) + 0.5)), 0);
    count[place] = Math.min(Math.floor(f(f(middle + reach) + 0.5)), side) - first[place];
    const own = weights.subarray(place * width, place * width + count[place]);
    let sum = 0;
    for (let index = 0; index < own.length; index += 1) {
      const away = f(f(f(index + first[place]) - middle) + 0.5);
      own[index] = cubic(f(away * shrink));
      sum = f(sum + own[index]);
    }
    const share = f(1 / sum);
    for (let index = 0; index < own.length; index += 1) own[index] = f(own[index] * share);
  }
  return { first, count, width, weights };
}

/** The cubic convolution kernel with a = -0.5 (Keys, 1981). */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return f(f(f(f(f(1.5 * x) - 2.5) * x) * x) + 1);
  if (x < 2) return f(f(f(f(f(f(x - 5) * x) + 8) * x) - 4) * -0.5);
  return 0;
}
