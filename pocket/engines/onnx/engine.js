// The engine for any network: ONNX Runtime, which runs the ONNX file, preparation and all.

import * as ort from "./vendor/ort.mjs";

let session;

/** Start with the runtime and the .onnx file, as they come; says what is running. */
export async function start(files, { threads }) {
  ort.env.wasm.numThreads = threads;
  const contents = files.map(async (file) => (await file).arrayBuffer());
  const [runtime, model] = await Promise.all(contents);
  ort.env.wasm.wasmBinary = runtime;
  const options = { executionProviders: ["wasm"] };
  session = await ort.InferenceSession.create(new Uint8Array(model), options);
  return `ONNX Runtime, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
}

/** Answer for pixels: RGBA, uint8 (height, width, 4). */
export async function answer({ data, height, width }, withFeatures) {
  const rgb = new Uint8Array(3 * height * width);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  const picture = new ort.Tensor("uint8", rgb, [height, width, 3]);
  const outputs = await session.run({ picture });
  return {
    features: withFeatures && outputs.features ? Array.from(outputs.features.data) : undefined,
    probabilities: Array.from(outputs.probabilities.data),
    knn_similarity: outputs.knn_similarity.data[0],
    in_distribution_score: outputs.in_distribution_score.data[0],
  };
}
