// The worker, away from the page: whatever it does, the page goes on answering touches.

import * as model from "./model.js";
import { within } from "./patience.js";
import { PictureError, toPreview } from "./picture.js";
import { CarryError } from "./records.js";

const OFFLINE =
  "There is no network, and the model is not on this device yet. Connect once and reload.";
const NOT_LOADED = "The model could not be loaded. Check the connection and reload the page.";
const OPENING = 10_000; // ms that answers wait for what was taught
const PAUSE = 300; // ms for whoever is in a hurry, before the first answer is tried out
let isAsked = false; // whether a picture has come
let teacher; // of dishes beside the model's own, where its file carries what is needed
let opened; // settled once the teacher knows what is kept on this device
let isTaught = false; // or may be: answers then need a picture's features, too

async function start(options) {
  const onProgress = (value) => postMessage({ tell: "progress", value });
  const { keep, ...ready } = await model.start(options, onProgress);
  isTaught = Boolean(ready.about.teaching);
  if (isTaught) opened = within(openTeacher(), OPENING).catch((error) => console.error(error));
  finish(keep).catch((error) => console.error(error));
  return ready;
}

/** Answer once, unless a visitor was quicker, for the first answer takes longest; then
 *  store what was fetched. */
async function finish(keep) {
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  if (!isAsked) await model.run(await createImageBitmap(new ImageData(512, 384)));
  await keep();
  postMessage({ tell: "kept" });
}

/** Begin to teach: read what is kept on this device, and learn it. */
async function openTeacher() {
  teacher = await import("./teacher.js");
  await teacher.open((taught) => {
    isTaught = taught.dishes.length > 0;
    postMessage({ tell: "taught", value: taught });
  });
}

/** Answer for a file or a frame. */
async function ask({ source, withPreview }) {
  isAsked = true;
  const begun = performance.now();
  return model.withBitmap(source, async (bitmap) => {
    const { features, ...result } = await model.run(bitmap, isTaught);
    if (isTaught) await opened;
    const taught = features && teacher?.judge(features);
    const milliseconds = performance.now() - begun;
    const preview = withPreview ? await toPreview(bitmap) : undefined;
    return { ...result, taught, milliseconds, preview };
  });
}

/** Do what the page asks of the teacher. */
async function teach(call, given) {
  await opened;
  if (!teacher) throw new CarryError("A part of this page did not come. Reload it, please.");
  return teacher.call(call, given);
}

const calls = { start, ask };

self.onmessage = async ({ data: { id, call, given } }) => {
  try {
    const result = await (calls[call]?.(given) ?? teach(call, given));
    postMessage({ id, result }, result?.preview ? [result.preview] : []);
  } catch (error) {
    const isForVisitors = error instanceof PictureError || error instanceof CarryError;
    if (!isForVisitors) console.error(error);
    let problem = "The model could not answer. Reload the page.";
    if (isForVisitors) problem = error.message;
    else if (call === "start") problem = navigator.onLine === false ? OFFLINE : NOT_LOADED;
    postMessage({ id, problem });
  }
};
