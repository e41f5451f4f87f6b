// The viewfinder: the one road that every picture takes to its answer, and the camera.

import { answerLive, closeCamera, grabFrame, openCamera } from "./camera.js";
import { keepForOffline, readJson } from "./model-cache.js";
import * as view from "./view.js";
import { $ } from "./view.js";
import { ask, startModel } from "./worker-client.js";

const FRAMED = "#framed"; // behind this page's address, where another page shows it
const WISHES = ["click", "change", "drop", "paste"];
const video = $("video");
let ready; // fulfilled once the model can be asked
let about; // what model.json says, once it is here
let facing = "environment";
let seen; // the picture that the page shows an answer for: a file, or a frozen frame
let turn = 0; // counts what the visitor asked for: answers to earlier turns are dropped

/** Start the model; in another page's frame, once the visitor wants something. */
export function start(onTaught) {
  const [wish, { promise, resolve }] = [new AbortController(), Promise.withResolvers()];
  ready = promise;
  ready.then(begin, (error) => {
    document.body.dataset.model = "failed";
    view.showProblem("The model did not start", error.message);
  });
  const wake = () => {
    wish.abort();
    delete document.body.dataset.model;
    resolve(startModel(view.showProgress, onTaught));
  };
  if (location.hash !== FRAMED) return wake();
  document.documentElement.className = document.body.dataset.model = "framed";
  readJson("model.json").then((told) => about ?? greet(told, "once you ask"), wake);
  for (const kind of WISHES) {
    addEventListener(kind, wake, { capture: true, signal: wish.signal });
  }
}

function greet(told, runs) {
  view.showAbout(told, runs);
  view.showExamples(told.examples, (name) => show(fetchExample(name)));
}

async function begin({ about: told, build, kept, runs, version }) {
  about = told;
  greet(about, runs);
  document.body.dataset.model = "ready";
  if (turn === 0) view.say("The model is ready.");
  await kept;
  $("offline").hidden = !(await keepForOffline(version, build));
}

async function fetchExample(name) {
  const reply = await fetch(name).catch(() => undefined);
  if (!reply?.ok) throw new Error("It did not arrive. Check the connection.");
  return reply.blob();
}

export const isLive = () => $("stage").dataset.state === "live";

function newTurn(state) {
  turn += 1;
  seen = undefined;
  setState(state);
  return turn;
}

/** Show a state; the camera closes unless it is live. */
function setState(state) {
  view.showState(state);
  if (state !== "live") closeCamera(video);
  $("teach-this").hidden = !about?.teaching || !(isLive() || seen);
}

/** Show a file, a frame, or what was promised, and its answer, if its turn lasts so long. */
export async function show(coming) {
  const mine = newTurn("waiting");
  try {
    const picture = await coming;
    await ready;
    if (mine !== turn) return;
    const answer = await ask(picture);
    if (mine !== turn) return;
    seen = picture;
    view.showPicture(answer.preview);
    setState("photo");
    view.say(view.showAnswer(answer, about));
  } catch (error) {
    stopWith(mine, "This picture did not work", error.message);
  }
}

/** Answer once more for the picture that is shown: more may have been taught. */
export async function askAgain() {
  const mine = turn;
  if (!seen) return;
  const answer = await ask(seen);
  answer.preview.close();
  if (mine === turn) view.showAnswer(answer, about);
}

/** What is seen now, to learn from. */
export const takePicture = async () => (isLive() ? grabFrame(video) : seen);

export const freeze = async () => show(await grabFrame(video));

/** Open the camera and answer for what it sees; returns whether it is open. */
export async function startLive() {
  const mine = newTurn("waiting");
  const keepClosed = ({ message }) => stopWith(mine, "The camera stays closed", message);
  await openCamera(video, facing).catch(keepClosed); // which ends this turn
  if (mine !== turn && !isLive()) closeCamera(video); // it was long in coming
  if (mine !== turn) return false;
  if (document.hidden) return stopLive(); // nobody looks any more
  setState("live");
  video.srcObject.getVideoTracks()[0].onended = () =>
    stopWith(mine, "The camera stopped", "Start it again, or choose a photo instead.", "idle");
  offerFlip().catch(console.info);
  answerWhileOpen(mine).catch(keepClosed);
  return true;
}

async function offerFlip() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  $("flip").hidden = devices.filter(({ kind }) => kind === "videoinput").length < 2;
}

async function answerWhileOpen(mine) {
  await ready;
  if (mine === turn) setState("live"); // what is seen can be taught from here on
  await answerLive(video, about, () => mine !== turn);
}

function stopWith(mine, title, sentence, state = "problem") {
  if (mine !== turn) return;
  newTurn(state);
  view.showProblem(title, sentence);
}

export function stopLive() {
  newTurn("idle");
  view.showInvitation();
  $("main").focus(); // the button that was pressed is gone
}

export function flip() {
  facing = facing === "environment" ? "user" : "environment";
  startLive();
}
