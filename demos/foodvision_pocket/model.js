// The model in the worker: its files, the engine that runs it, and what it is asked.

import { fetchOnce, readJson } from "./model-cache.js";
import { within } from "./patience.js";
import { openPicture, toPixels, toSmall } from "./picture.js";
import { CarryError } from "./records.js";

const LEARNING = 20_000; // ms for what is learned with to come
export let about; // what model.json says
let list; // what files.json says
let engine; // LiteRT or ONNX Runtime: whatever suits the model

/** Fetch all that is needed, and start; returns {about, runs, version, keep}, of which the
 *  last stores what was fetched. */
export async function start({ build, threads }, onProgress) {
  const coming = import("./engine.js");
  coming.catch(() => {}); // it is waited for below
  [about, list] = await Promise.all([readJson("model.json"), readJson("files.json")]);
  const names = about.starts_with.map((name) => name.replace("BUILD", build));
  const total = names.reduce((sum, name) => sum + list.files[name], 0);
  let done = 0;
  const onBytes = (count) => {
    done += count;
    onProgress({ done, total });
  };
  const files = names.map((name) => fetchOnce(name, list, onBytes));
  const responses = files.map(async (file) => (await file).response);
  for (const response of responses) response.catch(() => {}); // the engine hears of it
  engine = await coming;
  const runs = await engine.start(responses, { about, build, threads });
  const keep = () => Promise.all(files.map(async (file) => (await file).keep()));
  return { about, runs, version: list.version, keep };
}

/** The training photos' features, which what is taught is learned beside. */
export async function fetchKnown() {
  try {
    const coming = fetchOnce(about.teaching.file, list, () => {});
    return await within(coming.then(({ response }) => response.arrayBuffer()), LEARNING);
  } catch {
    throw new CarryError("What I learn with is not here yet. Connect once, then try again.");
  }
}

/** Open a file, or take a frame as it is; do some work with it, and let it go. */
export async function withBitmap(source, work) {
  const bitmap = source instanceof Blob ? await openPicture(source, about.pictures) : source;
  try {
    return await work(bitmap);
  } finally {
    bitmap.close(); // a camera brings thirty a second
  }
}

/** Ask about an ImageBitmap of any size; for its features, too. */
export function run(bitmap, withFeatures = false) {
  // Where the page prepares pictures, it needs no more than the part that is looked at.
  const pixels = toPixels(bitmap, about.pictures, about.preparation?.crop);
  return engine.answer(pixels, withFeatures);
}

/** Look at a file or a frame to learn from it: its features, and a small picture. */
export function look(source) {
  return withBitmap(source, async (bitmap) => {
    const { features } = await run(bitmap, true);
    const seen = { features, picture: await toSmall(bitmap) };
    postMessage({ tell: "looked" }); // a sign of life: many photos take long
    return seen;
  });
}
