// From a square of pixels to what the network takes, as the ONNX file's first steps do it:
// resized, bicubic and antialiased, then scaled. To the bit: the network rounds to 8-bit
// integers next, where a millionth can move an answer by hundredths. prepare.wat applies
// the weights that are made here.

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
  let table; // where the table of weights begins and ends, and the length of an entry

  return ({ data, height }) => {
    if (height !== side) {
      side = height; // a camera's frames are all alike
      const bytes = new Uint8Array(makeTable(side, size));
      const pixels = 16 * Math.ceil(bytes.length / 16);
      const narrowed = pixels + 16 * Math.ceil((side * side) / 4);
      const result = narrowed + 16 * side * size;
      at = { pixels, narrowed, result };
      const missing = result + 12 * size * size + 4 - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
      new Uint8Array(memory.buffer).set(bytes);
      table = [0, bytes.length, bytes.length / size];
    }
    new Uint8Array(memory.buffer, at.pixels).set(data);
    narrow(at.pixels, at.pixels + data.length, 4 * side, ...table, at.narrowed);
    shorten(at.narrowed, at.narrowed + 16 * size, 16 * size, ...table, at.result, scale, shift);
    return new Float32Array(memory.buffer, at.result, 3 * size * size);
  };
}

/** How much each pixel of a side counts for each of the result, as prepare.wat reads it. */
function makeTable(side, size) {
  const ratio = f(size / side);
  const step = f(1 / ratio); // pixels of the side for one of the result
  const reach = step >= 1 ? f(2 * step) : 2; // to the left and to the right
  const shrink = step >= 1 ? f(1 / step) : 1;
  const entry = 2 * Math.ceil(reach) + 3; // numbers: two, and the weights
  const table = new ArrayBuffer(4 * size * entry);
  for (let place = 0; place < size; place += 1) {
    const middle = f(0.5 + (step === 1 ? place : f(f(f(place + 0.5) / ratio) - 0.5)));
    const first = Math.max(Math.floor(f(f(middle - reach) + 0.5)), 0);
    const count = Math.min(Math.floor(f(f(middle + reach) + 0.5)), side) - first;
    new Int32Array(table, 4 * place * entry).set([4 * first, 4 * count]);
    const own = new Float32Array(table, 4 * (place * entry + 2), count);
    let sum = 0;
    for (let index = 0; index < count; index += 1) {
      const away = f(f(f(index + first) - middle) + 0.5);
      own[index] = cubic(f(away * shrink));
      sum = f(sum + own[index]);
    }
    const share = f(1 / sum);
    for (let index = 0; index < count; index += 1) own[index] = f(own[index] * share);
  }
  return table;
}

/** The cubic convolution kernel with a = -0.5 (Keys, 1981). */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return f(f(f(f(f(1.5 * x) - 2.5) * x) * x) + 1);
  if (x < 2) return f(f(f(f(f(f(x - 5) * x) + 8) * x) - 4) * -0.5);
  return 0;
}
