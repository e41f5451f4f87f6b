// The camera: open it, ask about its frames, rest while nothing moves.

import { moveBars, say, showAnswer, showPace } from "./view.js";
import { describe } from "./words.js";
import { ask } from "./worker-client.js";

const ENOUGH = 30; // frames a second: more would only cost battery
const FASTEST = 20; // ms from frame to frame; cameras of 60 a second lose every second one
const REST_AFTER = 3000; // ms without movement
const REST = 500; // ms from frame to frame while nothing moves
const LOOK = 120; // ms between two looks for movement
const [COLUMNS, ROWS] = [16, 9]; // cells of a look, each the mean of 4 x 4 pixels
// What a cell's colour must change by, of 255: a sensor in a dim room is noisy by about 10 a
// pixel, a cell by 2 to 6. Grey would not do: red pizza and green salad can be equally light.
const NOISE = 8;
const WINDOW = 500; // ms whose answers are averaged; index.html says so, too
const READABLE = 250; // ms that words and numbers stay before they may change
const CALM = 1500; // ms that a live verdict must last before it is read aloud
const RECENT = 2000; // ms whose answers the rate is of
const STARTING = "Live, starting";

const HINT = "or choose a photo instead.";
const NONE = "No camera was found on this device. Choose a photo instead.";
const WHY_NOT = {
  NotAllowedError: `The camera is not allowed here. Allow it for this page in the browser, ${HINT}`,
  NotFoundError: NONE,
  OverconstrainedError: NONE,
  NotReadableError: `The camera is busy. Close the other program that uses it, ${HINT}`,
};

/** Show a camera in a video element; an error's message is meant for the visitor. */
export async function openCamera(video, facingMode) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The camera works on https addresses only. Choose a photo instead.");
  }
  const [width, height, frameRate] = [1280, 720, ENOUGH].map((ideal) => ({ ideal }));
  const wanted = { video: { facingMode, frameRate, width, height } };
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia(wanted);
    await video.play();
  } catch (error) {
    closeCamera(video);
    throw new Error(WHY_NOT[error.name] ?? `The camera did not start. Try again, ${HINT}`);
  }
}

export function closeCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** Take the part of the frame that the element shows: the model sees what the visitor does. */
export function grabFrame(video) {
  const { videoWidth, videoHeight, clientWidth, clientHeight } = video;
  const scale = Math.min(videoWidth / clientWidth, videoHeight / clientHeight);
  const [width, height] = [clientWidth, clientHeight].map((side) => Math.round(side * scale));
  const left = Math.floor((videoWidth - width) / 2);
  const top = Math.floor((videoHeight - height) / 2);
  return createImageBitmap(video, left, top, width, height);
}

export async function answerLive(video, about, isOver) {
  const [average, mayChange, paceOf] = [runningMean(), steadyWords(), recentPace()];
  let verdict; // that was shown last
  let clock; // until it is read aloud
  showPace(STARTING);
  for await (const { answer, rests } of answers(video, isOver)) {
    const now = performance.now();
    const mean = { ...average(answer, now), milliseconds: answer.milliseconds };
    const [pace, words] = [paceOf(rests, now), describe(mean, about)];
    moveBars(words);
    if (!mayChange(words.verdict, now)) continue;
    const text = showAnswer(mean, about);
    showPace(pace, rests);
    if (words.verdict === verdict) continue;
    verdict = words.verdict;
    clearTimeout(clock);
    clock = setTimeout(() => isOver() || say(text), CALM);
  }
}

/** Ask about one frame at a time; those that come meanwhile are dropped. */
async function* answers(video, isOver) {
  const frameShown = () =>
    new Promise((resolve) => video.requestVideoFrameCallback((_, details) => resolve(details)));
  const stillFor = watchStillness(video);
  let [asked, coming] = [-Infinity, frameShown()];
  for (;;) {
    const { presentationTime } = await coming;
    coming = frameShown(); // one that comes meanwhile counts, so no time is lost
    if (isOver()) return;
    const rests = stillFor() > REST_AFTER;
    const now = performance.now();
    // The browser may tell of a frame after it was grabbed: it is not asked about twice.
    if (presentationTime <= asked || now - asked < (rests ? REST : FASTEST)) {
      if (rests) await new Promise((resolve) => setTimeout(resolve, LOOK));
      continue;
    }
    asked = now;
    const frame = await grabFrame(video);
    if (isOver()) return frame.close();
    const answer = await ask(frame, true); // which closes the frame
    if (isOver()) return;
    yield { answer, rests };
  }
}

/** Make a function that says for how many ms nothing has moved; slow movement adds up. */
function watchStillness(video) {
  const canvas = new OffscreenCanvas(4 * COLUMNS, 4 * ROWS);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  let [looked, moved, reference] = [-Infinity, 0, []];
  return () => {
    const now = performance.now();
    if (now - looked < LOOK) return now - moved;
    looked = now;
    let [width, height] = [canvas.width, canvas.height];
    context.drawImage(video, 0, 0, width, height);
    for (; width > COLUMNS; width /= 2, height /= 2) { // halves are means, in every browser
      context.drawImage(canvas, 0, 0, width, height, 0, 0, width / 2, height / 2);
    }
    const { data } = context.getImageData(0, 0, COLUMNS, ROWS);
    const isSame = (value, at) => Math.abs(value - reference[at]) <= NOISE; // not at first
    if (!data.every(isSame)) [moved, reference] = [now, data];
    return now - moved;
  };
}

/** Make a function that adds an answer, and returns the mean of the last half second. */
function runningMean() {
  let latest = [];
  return (answer, now) => {
    const version = answer.taught?.version; // what another head said is no longer said
    latest.push({ answer, now, version });
    latest = latest.filter((one) => now - one.now < WINDOW && one.version === version);
    return meanOf(latest.map((one) => one.answer));
  };
}

/** The mean of numbers, lists or objects of them; of anything else the first. */
function meanOf(values) {
  const [first] = values;
  if (typeof first === "number") return values.reduce((sum, one) => sum + one, 0) / values.length;
  if (typeof first !== "object") return first;
  const mean = structuredClone(first);
  for (const key of Object.keys(first)) mean[key] = meanOf(values.map((one) => one[key]));
  return mean;
}

/** Let words stay long enough to be read; a new verdict must be found twice in a row. */
function steadyWords() {
  let [shown, changed, doubts] = [undefined, -Infinity, 0];
  return (verdict, now) => {
    if (now - changed < READABLE) return false;
    changed = now;
    doubts = shown === undefined || verdict === shown ? 0 : doubts + 1;
    if (doubts === 1) return false;
    [shown, doubts] = [verdict, 0];
    return true;
  };
}

/** Make a function that counts an answer, and puts the pace of late into words. */
function recentPace() {
  let times = []; // since something moved
  return (rests, now) => {
    if (rests) times = [];
    times.push(now);
    while (times.length > 2 && now - times[0] > RECENT) times.shift();
    const perSecond = (1000 * (times.length - 1)) / (now - times[0]);
    if (rests) return "Resting: nothing moves";
    return times.length > 1 ? `Live, ${Math.max(1, Math.round(perSecond))} a second` : STARTING;
  };
}
