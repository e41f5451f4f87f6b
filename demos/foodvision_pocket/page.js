// What happens when: buttons, files, camera, and whose answer may still be shown.

import { closeCamera, grabFrame, hasTwoCameras, openCamera } from "./camera.js";
import { answerLive } from "./live.js";
import { ask, startModel } from "./worker-client.js";
import { keepForOffline } from "./model-cache.js";
import { offerTeaching, showTaught, startTeaching } from "./teach.js";
import {
  $,
  countTime,
  say,
  showAbout,
  showAnswer,
  showExamples,
  showInvitation,
  showPicture,
  showProblem,
  showProgress,
  showState,
} from "./view.js";

const NO_PICTURE = "This picture did not work";

const video = $("video");
let about; // what model.json says, once it is here
let facing = "environment";
let answered; // the file that the page shows an answer for
let turn = 0; // counts what the visitor asked for: answers to earlier turns are dropped

const ready = startModel(showProgress, showTaught);
ready.then(begin, (error) => {
  document.body.dataset.model = "failed";
  showProblem("The model did not start", error.message);
});

async function begin({ about: told, build, kept, runs, version }) {
  about = told;
  showAbout(about, runs);
  showExamples(about.examples, answerExample);
  if (turn === 0) say("The model is ready.");
  await kept;
  $("offline").hidden = !(await keepForOffline(version, build));
}

/** Begin something new in the viewfinder; the camera closes unless it is live. */
function newTurn(state) {
  turn += 1;
  answered = undefined;
  setState(state);
  return turn;
}

function setState(state) {
  showState(state);
  if (state !== "live") closeCamera(video);
  offerTeaching(canTeach());
}

/** Whether there is a picture to learn from, and a model that can. */
function canTeach() {
  const { state } = $("stage").dataset;
  return Boolean(about?.teaching) && (state === "live" || (state === "photo" && Boolean(answered)));
}

function isLive() {
  return $("stage").dataset.state === "live";
}

/** Answer for a file, whatever it is. */
async function answerFile(file) {
  const mine = newTurn("waiting");
  try {
    await ready;
    const answer = await ask(file);
    if (mine !== turn) return;
    answered = file;
    showPicture(answer.preview);
    setState("photo");
    countTime(answer.milliseconds);
    say(showAnswer(answer, about));
  } catch (error) {
    if (mine !== turn) return;
    setState("problem");
    showProblem(NO_PICTURE, error.message);
  }
}

async function answerExample(name) {
  const reply = await fetch(name).catch(() => undefined);
  if (reply?.ok) return answerFile(await reply.blob());
  return showProblem(NO_PICTURE, "It did not arrive. Check the connection.");
}

/** Open the camera and answer for what it sees; returns whether it is open. */
async function startLive() {
  const mine = newTurn("waiting");
  try {
    await openCamera(video, facing);
    if (mine !== turn) return false;
    setState("live");
    video.srcObject.getVideoTracks()[0].onended = () => lostCamera(mine);
    hasTwoCameras().then((has) => ($("flip").hidden = !has), console.info);
    answerWhileOpen(mine);
    return true;
  } catch (error) {
    whyClosed(mine, error);
    return false;
  }
}

async function answerWhileOpen(mine) {
  try {
    await ready;
    offerTeaching(canTeach());
    await answerLive(video, about, () => mine !== turn);
  } catch (error) {
    whyClosed(mine, error);
  }
}

function whyClosed(mine, error) {
  if (mine !== turn) return;
  newTurn("problem");
  showProblem("The camera stays closed", error.message);
}

function lostCamera(mine) {
  if (mine !== turn) return;
  newTurn("idle");
  showProblem("The camera stopped", "Start it again, or choose a photo instead.");
}

/** What the viewfinder shows now, as a file. */
async function freeze() {
  const frame = await grabFrame(video);
  const canvas = new OffscreenCanvas(frame.width, frame.height);
  canvas.getContext("2d").drawImage(frame, 0, 0);
  frame.close();
  return canvas.convertToBlob({ type: "image/png" }); // loses nothing
}

/** Freeze what the viewfinder shows, and answer for that. */
async function takePhoto() {
  await answerFile(await freeze());
}

/** Answer once more for the picture that is shown: there may be more to know it by. */
async function askAgain() {
  const mine = turn;
  if (!answered) return;
  const answer = await ask(answered);
  answer.preview.close();
  if (mine === turn) showAnswer(answer, about);
}

function stopLive() {
  newTurn("idle");
  showInvitation();
  $("main").focus(); // the button that was pressed is gone
}

async function pasteFromButton() {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith("image/"));
      if (type) return await answerFile(await item.getType(type));
    }
    showProblem("Nothing to paste", "There is no picture on the clipboard. Copy one first.");
  } catch {
    showProblem("Nothing to paste", "The browser did not allow it. Try Ctrl+V, or choose a photo.");
  }
}

/** Answer for the first picture among files; failing that, say what the first one is. */
function answerFirst(files) {
  const picture = [...files].find(({ type }) => type.startsWith("image/"));
  if (files.length) answerFile(picture ?? files[0]);
}

startTeaching({
  askAgain,
  canTeach,
  isLive,
  startLive,
  takePicture: async () => (isLive() ? freeze() : answered),
  video,
});
$("main").onclick = () => (isLive() ? takePhoto() : startLive());
$("stop").onclick = stopLive;
$("paste").onclick = pasteFromButton;
$("choose").onclick = () => $("file").click();
$("file").onchange = ({ target }) => {
  answerFirst([...target.files]);
  target.value = ""; // so that choosing the same file again counts
};
$("flip").onclick = () => {
  facing = facing === "environment" ? "user" : "environment";
  startLive();
};

addEventListener("paste", ({ clipboardData }) => answerFirst(clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("stage").classList.add("dropping");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) $("stage").classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("stage").classList.remove("dropping");
  const { files } = event.dataTransfer;
  if (files.length) answerFirst(files);
  else showProblem(NO_PICTURE, "Drop a picture file, not a link to one.");
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden && isLive()) stopLive(); // its light goes out
});

let installer;
addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  installer = event;
  $("install").hidden = false;
});
$("install").onclick = async () => {
  await installer.prompt();
  $("install").hidden = true;
};

showState("idle");
$("not-started").remove(); // from here on, whatever fails is said
