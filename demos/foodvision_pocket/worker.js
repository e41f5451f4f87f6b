// The model, away from the page: whatever it does, the page goes on answering touches.

import { PictureError, openPicture, toPixels, toPreview, toSmall } from "./picture.js";
import { CarryError, PICTURE_SIDE } from "./records.js";
import { fetchOnce, readJson } from "./model-cache.js";
import { within } from "./patience.js";

const OPENING = 10_000; // ms that answers wait for what was taught
const LEARNING = 20_000; // ms for what is learned with to come
const PAUSE = 300; // ms for whoever is in a hurry, before the first answer is tried out
const STEP = 0.02; // of all bytes, after which the page is told that they came
let about; // what model.json says
let engine; // LiteRT or ONNX Runtime: whatever suits the model
let isAsked = false; // whether a picture has come
let teacher; // of dishes beside the model's own, where its file carries what is needed
let opened; // settled once the teacher knows what is kept on this device
let isTaught = false; // or may be: answers then need a picture's features, too

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
  isTaught = Boolean(about.teaching);
  if (isTaught) opened = within(openTeacher(list), OPENING).catch((error) => console.error(error));
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

/** Begin to teach: read what is kept on this device, and learn it. */
async function openTeacher(list) {
  const { makeTeacher } = await import("./teacher.js");
  const fetchKnown = async () => {
    try {
      const coming = fetchOnce(about.teaching.file, list, () => {});
      return await within(coming.then(({ response }) => response.arrayBuffer()), LEARNING);
    } catch {
      throw new CarryError("What I learn with is not here yet. Connect once, then try again.");
    }
  };
  const onChange = (taught) => {
    isTaught = taught.dishes.length > 0;
    postMessage({ taught });
  };
  teacher = makeTeacher({ about, fetchKnown, look, onChange });
  await teacher.open();
}

/** Ask the model about a bitmap, an ImageBitmap of any size; for its features, too. */
function run(bitmap, withFeatures = false) {
  // Where the page prepares pictures, it needs no more than the part that is looked at.
  const pixels = toPixels(bitmap, about.pictures, about.preparation?.crop);
  return engine.answer(pixels, withFeatures);
}

/** Look at a file or a frame to learn from it: its features, and a small picture. */
async function look(source) {
  const bitmap = source instanceof Blob ? await openPicture(source, about.pictures) : source;
  try {
    const { features } = await run(bitmap, true);
    return { features, picture: await toSmall(bitmap, PICTURE_SIDE) };
  } finally {
    bitmap.close();
  }
}

/** Answer for a file or a camera's frame; only a file's preview goes back. */
async function answer({ id, source }) {
  isAsked = true;
  const begun = performance.now();
  const isFile = source instanceof Blob;
  const bitmap = isFile ? await openPicture(source, about.pictures) : source;
  let preview;
  try {
    const { features, ...result } = await run(bitmap, isTaught);
    if (isTaught) await opened;
    const taught = features && teacher?.judge(features);
    const milliseconds = performance.now() - begun;
    if (isFile) preview = await toPreview(bitmap);
    const said = { ...result, taught, milliseconds };
    postMessage({ id, answer: said, preview }, preview ? [preview] : []);
  } finally {
    bitmap.close(); // a camera brings thirty a second
  }
}

/** Do what the page asks of the teacher. */
async function teach({ id, call, given }) {
  await opened;
  if (!teacher) throw new CarryError("A part of this page did not come. Reload it, please.");
  postMessage({ id, result: await teacher.call(call, given) });
}

async function doOrSayWhyNot(question) {
  try {
    await (question.call ? teach(question) : answer(question));
  } catch (error) {
    const isForVisitors = error instanceof PictureError || error instanceof CarryError;
    if (!isForVisitors) console.error(error);
    const problem = isForVisitors ? error.message : "The model could not answer. Reload the page.";
    postMessage({ id: question.id, problem });
  }
}

self.onmessage = ({ data }) => {
  if (data.id) doOrSayWhyNot(data);
  else start(data).catch((error) => postMessage({ failed: error.message }));
};
