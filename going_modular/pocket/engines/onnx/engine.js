// The engine for any network: ONNX Runtime, which runs the ONNX file as it is. The file
// holds the picture's preparation, too.

import * as ort from "./vendor/ort.mjs";

let session;

/** The files that it starts with, by their names in this folder. */
export function files(about) {
  return ["vendor/ort.wasm.gz", about.file];
}

/** What part of a picture it looks at: all of it, as the file cuts out its own. */
export function lookedAt() {
  return undefined;
}

/**
 * Start.
 *
 * @param {Promise<ArrayBuffer | Uint8Array>[]} content Of `files`, uncompressed.
 * @param {{threads: number}} options How many may work on one answer.
 * @returns {Promise<string>} What is running, in words.
 */
export async function start([runtime, model], { threads }) {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmBinary = await runtime;
  const options = { executionProviders: ["wasm"] };
  session = await ort.InferenceSession.create(await model, options);
  return `ONNX Runtime, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
}

/** Answer for pixels: RGBA, uint8 (height, width, 4). */
export async function answer({ data, height, width }) {
  const rgb = new Uint8Array(3 * height * width);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  const picture = new ort.Tensor("uint8", rgb, [height, width, 3]);
  const { probabilities, familiarity, ours } = await session.run({ picture });
  return {
    probabilities: Array.from(probabilities.data),
    familiarity: familiarity.data[0],
    ours: ours.data[0],
  };
}
