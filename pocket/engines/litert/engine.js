// The engine for an int8 network: LiteRT, whose kernels (XNNPACK) were written for such
// numbers. It runs the .tflite file; the picture's preparation is done here.

import { makePrepare } from "./prepare.js";
import { loadAndCompile, loadLiteRt, Tensor } from "./vendor/litert.js";

const TITLES = {
  relaxed: "LiteRT with relaxed SIMD, 1 thread",
  plain: "LiteRT with SIMD, 1 thread",
  threads: "LiteRT with relaxed SIMD",
};
let network;
let prepare;
let shape; // of a prepared picture

/**
 * Start with promises of the runtime, the .tflite and prepare.wasm; says what is running.
 * `about` is model.json; `threads` may work on one answer, if the `build` has threads.
 */
export async function start(files, { about, build, threads }) {
  const script = new URL(`vendor/litert_${build}.js`, import.meta.url).href;
  import(script).catch(() => {}); // so that it is here soon; loadLiteRt says if it fails
  // The runtime's script reads these, and starts a worker for each core that there is.
  Object.defineProperty(navigator, "hardwareConcurrency", { value: threads });
  const [runtime, ...others] = files;
  const [module, model, code] = await Promise.all([
    WebAssembly.compileStreaming(runtime), // while its bytes come
    ...others.map(async (file) => (await file).arrayBuffer()),
  ]);
  // What the runtime says of itself, it says here; only what is wrong is shown.
  const printErr = (line) => /^(INFO|WARNING)/.test(line) || console.error(line);
  self.Module = { mainScriptUrlOrBlob: script, printErr };
  const failed = new Promise((_, reject) => {
    self.Module.instantiateWasm = (imports, onDone) => {
      WebAssembly.instantiate(module, imports).then((made) => onDone(made, module), reject);
      return {};
    };
  });
  await Promise.race([loadLiteRt(script), failed]); // that script does not hear of a failure
  const options = { accelerator: "wasm", cpuOptions: { numThreads: threads } };
  network = await loadAndCompile(new Uint8Array(model), options);
  prepare = await makePrepare(code, about.preparation);
  shape = [1, about.preparation.size, about.preparation.size, 3];
  return build === "threads" ? `${TITLES[build]}, ${threads} threads` : TITLES[build];
}

/** Answer for a square of pixels: RGBA, uint8 (height, width, 4). */
export async function answer(square, withFeatures) {
  const picture = new Tensor(prepare(square), shape);
  const outputs = await network.run({ picture });
  picture.delete();
  const numbers = {};
  for (const [name, output] of Object.entries(outputs)) {
    if (name !== "features" || withFeatures) numbers[name] = Array.from(output.toTypedArray());
    output.delete();
  }
  return {
    features: numbers.features,
    probabilities: numbers.probabilities,
    knn_similarity: numbers.knn_similarity[0],
    in_distribution_score: numbers.in_distribution_score[0],
  };
}
