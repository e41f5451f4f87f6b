// Draw on the page: what the model says, and what is going on.

import * as words from "./words.js";
import { describe } from "./words.js";

const KEPT = 500; // answers whose times the median is of
const times = []; // ms, of the latest answers
const withoutMotion = matchMedia("(prefers-reduced-motion: reduce)");
let order = []; // names of the bars, from the top

export const $ = (id) => document.getElementById(id);

/** Show how much of the model is here, in bytes. */
export function showProgress({ done, total, isStuck }) {
  const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
  if (!isStuck) $("progress").value = done / total;
  let sentence = "Waking the model up";
  if (isStuck) sentence = "This takes long. Check the connection, or reload the page";
  else if (done < total) {
    sentence = `Fetching the model: ${megabytes(done)} of ${megabytes(total)} MB, only this once`;
  }
  $("loading").textContent = sentence;
}

/** Fill in what model.json says, and what runs the model. */
export function showAbout(about, runs) {
  document.body.dataset.model = "ready";
  const question = words.joinNames(about.class_names);
  $("question").textContent = `${question[0].toUpperCase()}${question.slice(1)}?`;
  $("banner").textContent = about.practice;
  $("banner").hidden = !about.is_practice;
  const [before, count, after] = words.describeModel(about);
  const strong = document.createElement("strong");
  strong.textContent = count;
  $("trained").replaceChildren(before, strong, after);
  $("runs").textContent = runs;
}

/** Offer pictures to try; `onPick` is given the address of the one picked. */
export function showExamples(names, onPick) {
  for (const [index, name] of names.entries()) {
    const button = document.createElement("button");
    const alt = `Example picture ${index + 1}`;
    button.append(Object.assign(new Image(), { src: name, alt }));
    button.onclick = () => onPick(name);
    $("examples").append(button);
  }
  $("tries").hidden = names.length === 0;
}

/** Say something to those who listen instead of looking. */
export function say(text) {
  if ($("say").textContent !== text) $("say").textContent = text;
}

/** Show the buttons and the viewfinder of a state: idle, live, waiting, photo, problem. */
export function showState(state) {
  $("stage").dataset.state = state;
  const isLive = state === "live";
  $("main-label").textContent = isLive ? "Take photo" : "Start camera";
  $("stop").hidden = !isLive;
  $("paste").hidden = isLive || !navigator.clipboard?.read;
  $("live-note").hidden = !isLive;
  if (!isLive) $("flip").hidden = true;
}

/** Show an answer; returns it in words. */
export function showAnswer(answer, about) {
  const { kind, verdict, detail, rows } = describe(answer, about);
  setTexts(kind.replace(" ", "-"), verdict, detail, words.describeNumbers(answer, about));
  showBars(rows);
  const answers = times.length === 1 ? "1 answer" : `${times.length} answers`;
  $("median").textContent = `${words.median(times).toFixed(1)} ms (median of ${answers})`;
  return `${verdict} ${detail}`;
}

/** Move the bars to a newer answer; words, numbers and their order stay. */
export function moveBars(answer, about) {
  if (withoutMotion.matches) return;
  for (const { name, probability } of describe(answer, about).rows) {
    const place = order.indexOf(name);
    if (place >= 0) setBar($("bars").children[place], probability);
  }
}

/** Say how often live answers come, or that the page rests. */
export function showPace(words, rests = false) {
  $("rate").textContent = words;
  $("stage").classList.toggle("resting", rests);
}

/** Show one sentence in the place of an answer. */
export function showProblem(title, sentence) {
  setTexts("problem", `${title}.`, sentence);
  say(`${title}. ${sentence}`);
}

/** Ask again, as when the page was new. */
export function showInvitation() {
  setTexts("none", "What is on your plate?", "Point the camera at it, or choose a photo.");
  say("");
}

function setTexts(mood, verdict, detail, numbers = "") {
  for (const part of ["answer", "stage"]) $(part).dataset.mood = mood;
  $("verdict").textContent = verdict;
  $("detail").textContent = detail;
  $("numbers").textContent = numbers;
}

function showBars(rows) {
  const list = $("bars"); // its rows stay: widths move from one answer to the next
  order = rows.map(({ name }) => name);
  while (list.children.length < rows.length) list.append($("bar").content.cloneNode(true));
  while (list.children.length > rows.length) list.lastElementChild.remove();
  rows.forEach(({ name, probability }, index) => {
    const row = list.children[index];
    row.querySelector(".name").textContent = name;
    row.querySelector(".share").textContent = words.shortPercent(probability);
    setBar(row, probability);
  });
}

function setBar(row, probability) {
  row.querySelector(".fill").style.setProperty("--share", probability);
}

/** Count an answer's time; it shows with the next words. */
export function countTime(milliseconds) {
  times.push(milliseconds);
  if (times.length > KEPT) times.shift();
}

/** Draw a picture as it is, and once more behind it, blurred, to fill the frame. */
export function showPicture(bitmap) {
  const [shown, backdrop] = [$("shown"), $("backdrop")];
  [shown.width, shown.height] = [bitmap.width, bitmap.height];
  shown.getContext("2d").drawImage(bitmap, 0, 0);
  backdrop.getContext("2d").drawImage(bitmap, 0, 0, backdrop.width, backdrop.height);
  bitmap.close();
}
