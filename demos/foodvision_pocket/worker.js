// The model, away from the page: whatever it does, the page goes on answering touches.

import * as engine from "./engine.js"; // LiteRT or ONNX Runtime: whatever suits the model
import { PictureError, openPicture, toPixels, toPreview } from "./picture.js";
import { fetchOnce, gunzip } from "./storage.js";

let about; // what model.json says

/** Fetch all that is needed, start, and answer once: the first answer takes longest. */
async function start({ build, threads }) {
  const [list, told] = await Promise.all(["files.json", "model.json"].map(readJson));
  about = told;
  const names = engine.files(about, build);
  const total = names.reduce((sum, name) => sum + list.files[name], 0);
  let done = 0;
  const onBytes = (count) => {
    done += count;
    postMessage({ progress: { done, total } });
  };
  const fetched = names.map((name) => fetchOnce(name, list, onBytes));
  const content = fetched.map(async (file, index) => {
    const { bytes } = await file;
    return names[index].endsWith(".gz") ? gunzip(bytes) : bytes;
  });
  for (const file of content) file.catch(() => {}); // start says which one failed first
  const runs = await engine.start(content, { about, build, threads });
  await run(await createImageBitmap(new ImageData(512, 384)));
  postMessage({ ready: { about, runs, version: list.version } });
  await Promise.all(fetched.map(async (file) => (await file).kept));
  postMessage({ kept: true });
}

async function readJson(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response.json();
}

/** Ask the model about a bitmap, an ImageBitmap of any size. */
function run(bitmap) {
  return engine.answer(toPixels(bitmap, about.pictures, engine.lookedAt(about)));
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
