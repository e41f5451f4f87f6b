// The model, away from the page: whatever it does, the page goes on answering touches.

import { PictureError, openPicture, toPixels, toPreview } from "./picture.js";
import { fetchOnce, readJson } from "./storage.js";

let about; // what model.json says
let engine; // LiteRT or ONNX Runtime: whatever suits the model

/** Fetch all that is needed, start, and answer once: the first answer takes longest. */
async function start({ build, threads }) {
  let list;
  [about, list, engine] = await Promise.all([
    readJson("model.json"),
    readJson("files.json"),
    import("./engine.js"),
  ]);
  const fetched = fetchAll(about, build, list);
  const content = fetched.then((files) => files.map((file) => file.content));
  const runs = await engine.start(content, { about, build, threads });
  await run(await createImageBitmap(new ImageData(512, 384)));
  postMessage({ ready: { about, runs, version: list.version } });
  await Promise.all((await fetched).map((file) => file.kept));
  postMessage({ kept: true });
}

/** Fetch the files that the engine starts with, and say how much of them is here. */
function fetchAll({ starts_with: needed }, build, list) {
  const names = needed.map((name) => name.replace("BUILD", build));
  const total = names.reduce((sum, name) => sum + list.files[name], 0);
  let done = 0;
  const onBytes = (count) => {
    done += count;
    postMessage({ progress: { done, total } });
  };
  return Promise.all(names.map((name) => fetchOnce(name, list, onBytes)));
}

/** Ask the model about a bitmap, an ImageBitmap of any size. */
function run(bitmap) {
  // Where the page prepares pictures, it needs no more than the part that is looked at.
  return engine.answer(toPixels(bitmap, about.pictures, about.preparation?.crop));
}

/** Answer for a file or a camera's frame; only a file's preview goes back. */
async function answer({ id, source }) {
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
