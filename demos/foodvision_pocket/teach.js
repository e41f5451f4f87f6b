// The page's side of teaching: a name, photos or the camera, and what came of them.

import { askAgain, isLive, startLive, takePicture } from "./finder.js";
import { $, say, write } from "./view.js";
import { count, describeAdded, describeLesson } from "./words.js";
import { teach } from "./worker-client.js";

const FRAMES = 10; // that one press of the film button looks at
const BETWEEN = 450; // ms from one to the next: the hand moves on meanwhile
const FILE_NAME = "taught-dishes.json";

let taken; // the picture that the visitor pressed "Teach me this" at
let open; // the id of the dish whose photos are shown
let dishes = []; // as teacher.js told last

const works = {
  "teach-this": async () => {
    taken = await takePicture();
    if (open) await addAll([taken], 1);
    else askForName("");
  },
  film,
  "take-back": () => change("takeBack", { id: open }),
  save,
  relearn: () => change("relearn"),
  "forget-all": () => forget("every dish that you taught me, with all photos", "forgetAll"),
};
for (const [name, work] of Object.entries(works)) $(name).onclick = () => attempt(work);
$("name-form").onsubmit = (event) => {
  event.preventDefault();
  attempt(open ? rename : teachFirst);
};
$("name-cancel").onclick = () => (open ? attempt(() => showLesson(open)) : close());
$("rename").onclick = () => askForName(openName());
$("teach-done").onclick = close;
chooseFiles("more-photos", "more-files", (files) => attempt(() => addAll(files, files.length)));
chooseFiles("read", "read-file", ([file]) => attempt(() => change("read", { file })));

export function chooseFiles(button, input, work) {
  $(button).onclick = () => $(input).click();
  $(input).onchange = ({ target }) => {
    const files = [...target.files];
    target.value = ""; // so that choosing the same file again counts
    if (files.length) work(files);
  };
}

export function showTaught({ dishes: told, note, canRelearn, canForget }) {
  dishes = told;
  const photos = dishes.reduce((sum, dish) => sum + dish.photos, 0);
  const many = dishes.length ? `${dishes.length}, from ${count(photos, "photo")}` : "none yet";
  write({ "taught-title": `Dishes you taught me: ${many}`, "taught-note": note });
  $("taught-list").replaceChildren(...dishes.map(listed));
  $("names").replaceChildren(...dishes.map(({ name }) => new Option(name, name)));
  $("taught").hidden = false;
  $("relearn").hidden = !canRelearn;
  $("forget-all").hidden = !canForget;
  for (const name of ["save", "with-pictures-label"]) $(name).hidden = dishes.length === 0;
  if (note) $("taught").open = true;
  if (open && !dishes.some(({ id }) => id === open)) close();
}

function listed({ id, name, photos }) {
  const row = $("taught-row").content.cloneNode(true);
  row.querySelector(".name").textContent = name;
  row.querySelector(".photos").textContent = count(photos, "photo");
  const [look, away] = row.querySelectorAll("button");
  [look.ariaLabel, away.ariaLabel] = [`Teach more of ${name}`, `Forget ${name}`];
  look.onclick = () => attempt(() => showLesson(id));
  away.onclick = () => attempt(() => forget(`${name} and all its photos`, "forget", { id }));
  return row;
}

/** Do one thing that may fail; until it is done, buttons do nothing. */
async function attempt(work) {
  const parts = [$("teach"), $("taught")];
  if (parts[0].ariaBusy === "true") return;
  for (const part of parts) part.ariaBusy = "true";
  tell("");
  await work().catch((error) => tell(error.message));
  for (const part of parts) part.ariaBusy = "false";
}

function tell(sentence) {
  const isTeaching = !$("teach").hidden;
  write({ "teach-note": isTeaching ? sentence : "", "file-note": isTeaching ? "" : sentence });
  if (sentence) say(sentence);
}

/** Show a part of the teaching section, "name-form" or "lesson"; or none of it. */
function showPart(part) {
  $("teach").hidden = !part;
  for (const each of ["name-form", "lesson"]) $(each).hidden = each !== part;
  $("answer").classList.toggle("asking", part === "name-form" && !open);
  write({ "teach-this": open ? `This is ${openName()}, too` : "Teach me this dish" });
  if (part) $("teach").scrollIntoView({ block: "nearest" });
}

function askForName(name) {
  showPart("name-form");
  const [title, go] = open ? ["Another name", "Rename"] : ["What is it called?", "Teach"];
  write({ "name-title": title, "name-go": go });
  $("name").value = name;
  $("name").focus();
  $("name").select();
}

async function teachFirst() {
  tell("Looking ...");
  const added = await teach("add", { name: $("name").value, source: taken });
  await teach("train");
  await showLesson(added.id);
  await askAgain();
  tell(added.isNew ? "Learned." : "I have learned from this picture already.");
  navigator.storage?.persist?.()?.catch?.(() => {}); // the browser may say no
}

async function rename() {
  await teach("rename", { id: open, name: $("name").value });
  await showLesson(open);
  await askAgain();
}

async function change(call, given) {
  const sentence = await teach(call, given);
  if (open) await showPictures();
  await askAgain();
  tell(sentence);
}

async function showLesson(id) {
  open = id;
  showPart("lesson");
  await showPictures();
  $("lesson-title").focus();
  $("teach").scrollIntoView({ block: "nearest" });
}

const openName = () => dishes.find(({ id }) => id === open)?.name;

async function showPictures() {
  const pictures = await teach("pictures", { id: open });
  write({ "lesson-title": openName(), "lesson-count": describeLesson(pictures.length) });
  $("pictures").replaceChildren(...pictures.map(thumbnail));
  const checked = await teach("check", { id: open });
  write({ "lesson-count": describeLesson(pictures.length, checked) });
}

function thumbnail(bytes, at) {
  if (!bytes) return Object.assign(new Image(), { alt: `Photo ${at + 1}, not kept` });
  const [src, alt] = [URL.createObjectURL(new Blob([bytes])), `Photo ${at + 1}`];
  return Object.assign(new Image(), { src, alt, onload: () => URL.revokeObjectURL(src) });
}

/** Add pictures to the open dish until it is closed; what is none is named and passed over. */
async function addAll(sources, total) {
  const id = open;
  const counts = { added: 0, old: 0 };
  const problems = [];
  let place = 0;
  for await (const source of sources) {
    if (open !== id || problems.length === 3) break;
    place += 1;
    tell(`Looking at ${place} of ${total} ...`);
    try {
      const { isNew } = await teach("add", { id, source });
      counts[isNew ? "added" : "old"] += 1;
    } catch (error) {
      problems.push(source.name ? `${source.name}: ${error.message}` : error.message);
    }
  }
  await teach("train");
  if (open === id) await showPictures();
  await askAgain();
  const added = [describeAdded(counts), ...problems].join(" ");
  tell(added);
  if (open === id) say(`${added} ${$("lesson-count").textContent}`);
}

async function film() {
  if (!isLive() && !(await startLive())) return; // the page says why
  tell("Move slowly around the plate ...");
  await addAll(frames(), FRAMES);
}

async function* frames() {
  for (let number = 0; number < FRAMES; number += 1) {
    await new Promise((resolve) => setTimeout(resolve, BETWEEN));
    if (!isLive()) return;
    yield await takePicture();
  }
}

async function forget(what, call, given) {
  write({ "sure-text": `Forget ${what}?` });
  $("sure").showModal();
  $("sure").returnValue = "no"; // unless a button says more: a key closes it, too
  await new Promise((resolve) => ($("sure").onclose = resolve));
  if ($("sure").returnValue !== "yes") return;
  $("taught-title").focus(); // the button that was pressed goes
  await change(call, given);
}

async function save() {
  const text = await teach("save", { withPictures: $("with-pictures").checked });
  const file = new Blob([text], { type: "application/json" });
  const href = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href, download: FILE_NAME }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
  tell(`Saved as ${FILE_NAME}, ${Math.ceil(file.size / 1000)} kB, among your downloads.`);
}

function close() {
  [open, taken] = [undefined, undefined];
  showPart();
  $("teach-this").focus(); // if it is offered
}
