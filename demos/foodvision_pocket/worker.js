// The worker, away from the page: whatever it does, the page goes on answering touches. It
// fetches the model, starts the engine that runs it, and is asked; a teacher helps it.

import { VisitorError, within } from "./basics.js";
import { fetchOnce, readJson } from "./model-cache.js";
import { openPicture, toPixels, toPreview, toSmall } from "./picture.js";

const OFFLINE =
  "There is no network, and the model is not on this device yet. Connect once and reload.";
const NOT_LOADED = "The model could not be loaded. Check the connection and reload the page.";
const NO_ANSWER = "The model could not answer. Reload the page.";
const LOST = "A part of this page did not come. Reload it, please.";
const OPENING = 10_000; // ms that answers wait for what was taught
const LEARNING = 20_000; // ms for what is learned with to come
const PAUSE = 300; // ms for whoever is in a hurry, before the first answer is tried out
let about; // what model.json says
let list; // what files.json says
let engine; // LiteRT or ONNX Runtime: whatever suits the model
let isAsked = false; // whether a picture has come
let teacher; // of dishes beside the model's own, where its file carries what is needed
let opened; // settled once the teacher knows what is kept on this device
let isTaught = false; // or may be: answers then need a picture's features, too

async function start({ build, threads }) {
  const coming = import("./engine.js");
  coming.catch(() => {}); // it is waited for below
  [about, list] = await Promise.all([readJson("model.json"), readJson("files.json")]);
  const names = about.starts_with.map((name) => name.replace("BUILD", build));
  const total = names.reduce((sum, name) => sum + list.files[name], 0);
  let done = 0;
  const onBytes = (count) => {
    done += count;
    postMessage({ tell: "progress", value: { done, total } });
  };
  const files = names.map((name) => fetchOnce(name, list, onBytes));
  for (const file of files) file.catch(() => {}); // the engine hears of it
  engine = await coming;
  const runs = await engine.start(files, { about, build, threads });
  isTaught = Boolean(about.teaching);
  if (isTaught) opened = within(openTeacher(), OPENING).catch(console.error);
  finish(files).catch(console.error);
  return { about, runs, version: list.version };
}

/** Answer once, as the first answer takes longest; then store what was fetched. */
async function finish(files) {
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  if (!isAsked) await run(await createImageBitmap(new ImageData(512, 384)));
  for (const file of files) await (await file).keep();
  postMessage({ tell: "kept" });
}

async function openTeacher() {
  teacher = await import("./teacher.js");
  await teacher.open({ look, fetchKnown }, about, (taught) => {
    isTaught = taught.dishes.length > 0;
    postMessage({ tell: "taught", value: taught });
  });
}

function fetchKnown() {
  const coming = fetchOnce(about.teaching.file, list, () => {});
  return within(coming.then((file) => file.arrayBuffer()), LEARNING).catch(() => {
    throw new VisitorError(about.page["no features"]);
  });
}

async function withBitmap(source, work) {
  const bitmap = source instanceof Blob ? await openPicture(source, about.pictures) : source;
  try {
    return await work(bitmap);
  } finally {
    bitmap.close(); // a camera brings thirty a second
  }
}

function run(bitmap, withFeatures = false) {
  // Where the page prepares pictures, it needs no more than the part that is looked at.
  const pixels = toPixels(bitmap, about.pictures, about.preparation?.crop);
  return engine.answer(pixels, withFeatures);
}

async function ask({ source, withPreview }) {
  isAsked = true;
  const begun = performance.now();
  return withBitmap(source, async (bitmap) => {
    const { features, ...result } = await run(bitmap, isTaught);
    if (isTaught) await opened;
    const taught = features && teacher?.judge(features);
    const milliseconds = performance.now() - begun;
    const preview = withPreview ? await toPreview(bitmap) : undefined;
    return { ...result, taught, milliseconds, preview };
  });
}

function look(source) {
  return withBitmap(source, async (bitmap) => {
    const { features } = await run(bitmap, true);
    postMessage({ tell: "looked" }); // a sign of life: many photos take long
    return { features, picture: await toSmall(bitmap) };
  });
}

async function teach(call, given) {
  await opened;
  if (!teacher) throw new VisitorError(LOST);
  return teacher.call(call, given);
}

const calls = { start, ask };
self.onmessage = async ({ data: { id, call, given } }) => {
  try {
    const result = await (calls[call]?.(given) ?? teach(call, given));
    postMessage({ id, result }, result?.preview ? [result.preview] : []);
  } catch (error) {
    let problem = error.message;
    if (!(error instanceof VisitorError)) {
      console.error(error);
      problem = NO_ANSWER;
      if (call === "start") problem = navigator.onLine === false ? OFFLINE : NOT_LOADED;
    }
    postMessage({ id, problem });
  }
};
