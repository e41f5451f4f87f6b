// The model, away from the page: whatever it does, the page goes on answering touches.

import * as ort from "./vendor/ort.mjs";
import { PictureError, openPicture, toPixels, toPreview } from "./picture.js";
import { fetchOnce, gunzip } from "./storage.js";

const RUNTIME = "vendor/ort.wasm.gz";
let session;
let rules; // how pictures are opened

/** Fetch all that is needed, start, and answer once: the first answer takes longest. */
async function start(threads) {
  const list = await readJson("files.json");
  const about = await readJson("model.json");
  rules = about.pictures;
  const total = list.files[RUNTIME] + list.files[about.file];
  let done = 0;
  const onBytes = (count) => {
    done += count;
    postMessage({ progress: { done, total } });
  };
  const [runtime, model] = await Promise.all([
    fetchOnce(RUNTIME, list, onBytes).then(gunzip),
    fetchOnce(about.file, list, onBytes),
  ]);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmBinary = runtime;
  session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  await run({ rgb: new Uint8Array(3 * 384 * 512), height: 384, width: 512 });
  postMessage({ ready: { about, version: list.version } });
}

async function readJson(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response.json();
}

/** Ask the model about RGB pixels, uint8 (height, width, 3). */
async function run({ rgb, height, width }) {
  const picture = new ort.Tensor("uint8", rgb, [height, width, 3]);
  const { probabilities, familiarity, ours } = await session.run({ picture });
  return {
    probabilities: Array.from(probabilities.data),
    familiarity: familiarity.data[0],
    ours: ours.data[0],
  };
}

/** Answer for a file or a camera's frame; only a file's preview goes back. */
async function answer({ id, source }) {
  const begun = performance.now();
  const isFile = source instanceof Blob;
  const bitmap = isFile ? await openPicture(source, rules) : source;
  const result = await run(toPixels(bitmap, rules));
  const milliseconds = performance.now() - begun;
  const preview = isFile ? await toPreview(bitmap) : undefined;
  if (!isFile) bitmap.close();
  postMessage({ id, answer: { ...result, milliseconds }, preview }, preview ? [preview] : []);
}

async function answerOrSayWhyNot(question) {
  try {
    await answer(question);
  } catch (error) {
    const isPicture = error instanceof PictureError;
    if (!isPicture) console.error(error);
    const problem = isPicture ? error.message : "The model could not answer. Reload the page.";
    postMessage({ id: question.id, problem });
  }
}

self.onmessage = ({ data }) => {
  if (data.source) answerOrSayWhyNot(data);
  else start(data.threads).catch((error) => postMessage({ failed: error.message }));
};
