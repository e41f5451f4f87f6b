// Draw on the page: what the model says, and what is going on.

import { describe, joinNames } from "./words.js";

export const $ = (id) => document.getElementById(id);

export function write(texts) {
  for (const [id, text] of Object.entries(texts)) $(id).textContent = text;
}

export function showProgress({ done, total, isStuck }) {
  const [here, all] = [done, total].map((bytes) => Math.round(bytes / 1e6));
  let loading = `Fetching the model: ${here} of ${all} MB, only this once`;
  if (isStuck) loading = "This takes long. Check the connection, or reload the page";
  else if (done === total) loading = "Waking the model up";
  if (!isStuck) $("progress").value = done / total;
  write({ loading });
}

export function showAbout(about, runs) {
  const { class_names, contender, trained_on, practice, test_result } = about;
  const names = joinNames(class_names);
  const question = `${names[0].toUpperCase()}${names.slice(1)}?`;
  const score = `${test_result.correct} of ${test_result.total}`;
  write({ question, score, contender, runs, "trained-on": trained_on, banner: practice });
  $("trained").hidden = false;
  $("banner").hidden = !about.is_practice;
}

export function showExamples(names, onPick) {
  const buttons = names.map((src, at) => {
    const [type, alt] = ["image", `Example picture ${at + 1}`];
    const button = document.createElement("input");
    return Object.assign(button, { type, src, alt, onclick: () => onPick(src) });
  });
  $("examples").replaceChildren(...buttons);
  $("tries").hidden = names.length === 0;
}

/** Say something to those who listen instead of looking. */
export function say(text) {
  if ($("say").textContent !== text) write({ say: text });
}

/** Show what belongs to a state: idle, live, waiting, photo, problem. */
export function showState(state) {
  const isLive = state === "live";
  $("stage").dataset.state = state;
  write({ "main-label": isLive ? "Take photo" : "Start camera" });
  for (const id of ["stop", "live-note"]) $(id).hidden = !isLive;
  $("paste").hidden = isLive || !navigator.clipboard?.read;
  if (!isLive) $("flip").hidden = true;
}

export function showAnswer(answer, about) {
  const { kind, verdict, detail, numbers, rows } = describe(answer, about);
  showTexts(kind.replace(" ", "-"), verdict, detail, numbers);
  showBars(rows);
  return `${verdict} ${detail}`;
}

export function showPace(rate, rests = false) {
  write({ rate });
  $("stage").classList.toggle("resting", rests);
}

export function showProblem(title, sentence) {
  showTexts("problem", `${title}.`, sentence);
  say(`${title}. ${sentence}`);
}

export function showInvitation() {
  showTexts("none", "What is on your plate?", "Point the camera at it, or choose a photo.");
  say("");
}

function showTexts(mood, verdict, detail, numbers = "") {
  for (const part of ["answer", "stage"]) $(part).dataset.mood = mood;
  write({ verdict, detail, numbers });
}

function showBars(rows) {
  const list = $("bars"); // its rows stay: widths move from one answer to the next
  while (list.children.length < rows.length) list.append($("bar").content.cloneNode(true));
  while (list.children.length > rows.length) list.lastElementChild.remove();
  for (const [at, { name, probability, share }] of rows.entries()) {
    const bar = list.children[at];
    bar.querySelector(".name").textContent = name;
    bar.querySelector(".share").textContent = share;
    bar.style.setProperty("--share", probability);
  }
}

/** Move the bars to a newer answer; words, numbers and their order stay. */
export function moveBars({ rows }) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const now = new Map(rows.map(({ name, probability }) => [name, probability]));
  for (const bar of $("bars").children) {
    const share = now.get(bar.querySelector(".name").textContent);
    if (share !== undefined) bar.style.setProperty("--share", share);
  }
}

/** Draw a picture, and once more behind it, blurred, to fill the frame. */
export function showPicture(bitmap) {
  const [shown, backdrop] = [$("shown"), $("backdrop")];
  [shown.width, shown.height] = [bitmap.width, bitmap.height];
  for (const canvas of [shown, backdrop]) {
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }
  bitmap.close();
}
