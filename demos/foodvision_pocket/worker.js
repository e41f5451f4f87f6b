// The model, away from the page: whatever it does, the page goes on answering touches.

import { PictureError, openPicture, toPixels, toPreview } from "./picture.js";
import { fetchOnce, readJson } from "./storage.js";

const PAUSE = 300; // ms for whoever is in a hurry, before the first answer is tried out
const STEP = 0.02; // of all bytes, after which the page is told that they came
let about; // what model.json says
let engine; // LiteRT or ONNX Runtime: whatever suits the model
let isAsked = false; // whether a picture has come

/**
 * Fetch all that is needed and start. Then answer once, unless a visitor was quicker, for
 * the first answer takes longest; last, store what was fetched.
 */
async function start({ build, threads }) {
  const [{ list, files }, code] = await Promise.all([fetchAll(build), import("./engine.js")]);
  engine = code;
  const responses = files.map(async (file) => (await file).response);
  const runs = await engine.start(responses, { about, build, threads });
  postMessage({ ready: { about, runs, version: list.version } });
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  if (!isAsked) await run(await createImageBitmap(new ImageData(512, 384)));
  await Promise.all(files.map(async (file) => (await file).keep()));
  postMessage({ kept: true });
}

/** Begin to fetch what the engine starts with, and say how much of it is here. */
async function fetchAll(build) {
  const [told, list] = await Promise.all([readJson("model.json"), readJson("files.json")]);
  about = told;
  const names = about.starts_with.map((name) => name.replace("BUILD", build));
  const total = names.reduce((sum, name) => sum + list.files[name], 0);
  let [done, shown] = [0, 0];
  const onBytes = (count) => {
    done += count;
    if (done < total && done - shown < STEP * total) return;
    shown = done;
    postMessage({ progress: { done, total } });
  };
  const files = names.map((name) => fetchOnce(name, list, onBytes));
  for (const file of files) file.catch(() => {}); // the engine hears of it
  return { list, files };
}

/** Ask the model about a bitmap, an ImageBitmap of any size. */
function run(bitmap) {
  // Where the page prepares pictures, it needs no more than the part that is looked at.
  return engine.answer(toPixels(bitmap, about.pictures, about.preparation?.crop));
}

/** Answer for a file or a camera's frame; only a file's preview goes back. */
async function answer({ id, source }) {
  isAsked = true;
  const begun = performance.now();
  const isFile = source instanceof Blob;
  const bitmap = isFile ? await openPicture(source, about.pictures) : source;
  let preview;
  try {
    const result = await run(bitmap);
    const milliseconds = performance.now() - begun;
    if (isFile) preview = await toPreview(bitmap);
    postMessage({ id, answer: { ...result, milliseconds }, preview }, preview ? [preview] : []);
  } finally {
    bitmap.close(); // a camera brings thirty a second
  }
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
  else start(data).catch((error) => postMessage({ failed: error.message }));
};
