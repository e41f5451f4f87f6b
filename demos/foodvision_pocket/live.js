// The live camera: which frames the model is asked about, and what the answers come to.

import { grabFrame, watchFrames, watchStillness } from "./camera.js";
import { ask } from "./worker-client.js";
import { countTime, moveBars, say, showAnswer, showPace } from "./view.js";
import { describe } from "./words.js";

const FASTEST = 20; // ms from frame to frame; cameras of 60 a second lose every second one
const REST_AFTER = 3000; // ms without movement
const REST = 500; // ms from frame to frame while nothing moves
const NAP = 120; // ms until it looks again for movement while nothing moves
const WINDOW = 500; // ms whose answers are averaged; index.html says so, too
const READABLE = 250; // ms that words and numbers stay before they may change
const CALM = 1500; // ms that a live verdict must last before it is read aloud
const RECENT = 2000; // ms whose answers the rate is of
const STARTING = "Live, starting";

/** Answer for what the camera sees until `isOver()`; all of it shows on the page. */
export async function answerLive(video, about, isOver) {
  const [average, mayChange, sayCalmly] = [runningMean(), steadyWords(), calmly()];
  const paceOf = recentPace();
  showPace(STARTING);
  for await (const { answer, rests } of answers(video, isOver)) {
    const now = performance.now();
    const mean = { ...average(answer, now), milliseconds: answer.milliseconds };
    const pace = paceOf(rests, now);
    countTime(answer.milliseconds);
    moveBars(mean, about);
    if (!mayChange(describe(mean, about).verdict, now)) continue;
    sayCalmly(showAnswer(mean, about), now);
    showPace(pace, rests);
  }
}

/** Ask about frame after frame, one at a time: frames that come meanwhile are dropped.
 *  Yields {answer, rests}: whether the page rests, as nothing moves. */
async function* answers(video, isOver) {
  const [nextFrame, stillFor] = [watchFrames(video), watchStillness(video)];
  let asked = -Infinity;
  for (;;) {
    await nextFrame(asked);
    if (isOver()) return;
    const rests = stillFor() > REST_AFTER;
    const now = performance.now();
    if (now - asked < (rests ? REST : FASTEST)) {
      if (rests) await new Promise((resolve) => setTimeout(resolve, NAP));
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

/** Make a function that adds an answer, and returns the mean of the last half second. */
export function runningMean() {
  const latest = [];
  return (answer, now) => {
    latest.push({ answer, now });
    const isOver = ({ answer: old, now: then }) =>
      now - then >= WINDOW || old.taught?.version !== answer.taught?.version;
    while (isOver(latest[0])) latest.shift();
    return meanOf(latest.map((one) => one.answer));
  };
}

/** The mean of numbers, of lists and objects of them; of anything else the first. */
function meanOf(values) {
  const [first] = values;
  if (typeof first === "number") return values.reduce((sum, one) => sum + one, 0) / values.length;
  if (typeof first !== "object") return first;
  if (Array.isArray(first)) return first.map((_, at) => meanOf(values.map((one) => one[at])));
  const pairs = Object.keys(first).map((key) => [key, meanOf(values.map((one) => one[key]))]);
  return Object.fromEntries(pairs);
}

/** Make a function that says whether the words may change now. They stay long enough to be
 *  read; a new verdict must be found twice in a row, so that the page does not waver. */
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

/** Make a function that says live words aloud: once, and only if the verdict lasts. */
function calmly() {
  let [verdict, since, said] = ["", 0, ""];
  return (words, now) => {
    const current = words.split(".")[0];
    if (current !== verdict) [verdict, since] = [current, now];
    if (verdict === said || now - since < CALM) return;
    said = verdict;
    say(words);
  };
}

/** Make a function that counts an answer, and puts the pace of late into words. */
function recentPace() {
  const times = []; // since something moved
  let pace = STARTING;
  return (rests, now) => {
    if (rests) times.length = 0;
    else times.push(now);
    while (times.length > 2 && now - times[0] > RECENT) times.shift();
    const perSecond = (1000 * (times.length - 1)) / (now - times[0]);
    if (rests) pace = "Resting: nothing moves";
    else if (times.length > 1) pace = `Live, ${Math.max(1, Math.round(perSecond))} a second`;
    return pace;
  };
}
