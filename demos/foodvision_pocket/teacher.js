// What the worker does about taught dishes: it holds them, keeps them on the device, and
// has them learned. Whatever fails to be kept is said, and stays until the page closes.

import { VisitorError } from "./basics.js";
import { makeLearner } from "./learner.js";
import { SMALL_SIDE } from "./picture.js";
import { cleanName, isSameName, isWhole, readFile, round, writeFile } from "./records.js";
import { openTaughtDb } from "./taught-db.js";
import { count, describeAdded, fill, join } from "./words.js";

const QUIET = ["check", "pictures", "save"]; // calls that change nothing

const unkept = new Set(); // ids of records that are not on the device, as they are here
let all = new Map(); // records by id: dishes and photos, of this model and of earlier ones
let model; // {look, fetchKnown}, of the worker
let about; // what model.json says
let db; // undefined where the browser keeps nothing
let learner;
let lost = 0; // records on the device that are not whole, or whose dish is not: left alone
let whyUnkept = "nothing kept";
let asleep = ""; // why what is kept could not be learned
let tell; // given the state, after every change: by a call, or in another tab
let turn = Promise.resolve(); // of the last who asked: one works at a time

function inTurn(work, isChange = true) {
  const done = turn.then(work).finally(() => isChange && tell(state()));
  turn = done.catch(() => {});
  return done;
}

const sentence = (key, values) => fill(about.page[key], values);
const problem = (key, values) => new VisitorError(sentence(key, values));

const some = (isWanted) => [...all.values()].filter(isWanted).sort((a, b) => a.made - b.made);
const isOfOther = (record) => record.model !== about.sha256;
const dishes = () => some((record) => !record.dish && !isOfOther(record));
const oldDishes = () => some((record) => !record.dish && isOfOther(record));
const photosOf = ({ id }) => some(({ dish }) => dish === id);
const withPhotos = (dish) => ({ ...dish, photos: photosOf(dish) });
const findByName = (name) => dishes().find((dish) => isSameName(dish.name, name));
const notKept = () => some(({ id }) => unkept.has(id));

function find(id) {
  if (!all.has(id)) throw problem("gone");
  return all.get(id);
}

const lessons = () => dishes().map(withPhotos).filter(({ photos }) => photos.length > 0);

const wake = async () => (learner ??= makeLearner(await model.fetchKnown(), about));

async function train() {
  const list = lessons();
  if (list.length > 0) await wake();
  learner?.train(list);
  asleep = "";
}

/** Read what the device keeps; what could not be kept stays. */
async function load() {
  const stored = await db.readAll();
  const whole = stored.filter((record) => isWhole(record, about));
  const fresh = new Map(whole.map((record) => [record.id, record]));
  for (const { id, dish, model } of whole) {
    if (dish && fresh.get(dish)?.model !== model) fresh.delete(id);
  }
  lost = stored.length - fresh.size;
  for (const record of notKept()) {
    if (!record.dish || fresh.has(record.dish)) fresh.set(record.id, record);
  }
  all = fresh;
}

/** Hold records, and keep all that is not on the device yet, as soon as there is room. */
async function hold(...held) {
  for (const record of held) {
    all.set(record.id, record);
    unkept.add(record.id);
  }
  try {
    await db?.change({ put: notKept() });
    if (db) unkept.clear();
  } catch (error) {
    whyUnkept = error?.name === "QuotaExceededError" ? "no room" : "nothing kept";
  }
}

/** Take records away, and learn the rest; what the device does not let go stays here, too. */
async function remove(gone, ids = gone.map(({ id }) => id)) {
  const stuck = () => Promise.reject(problem("stuck"));
  await db?.change({ remove: ids }).catch(stuck);
  for (const { id } of gone) all.delete(id);
  await train();
}

function state() {
  const list = dishes().map(({ id, name }) => ({ id, name, photos: photosOf({ id }).length }));
  const photos = some((record) => record.dish && isOfOther(record));
  const canRelearn = canLookAgain(photos);
  const names = join(oldDishes().map(({ name }) => name), "conjunction");
  const values = { names, photos: count(photos.length, "photo"), records: count(lost, "record") };
  const notes = [asleep];
  if (notKept().length > 0) notes.push(sentence(whyUnkept));
  if (lost > 0) notes.push(sentence("broken", values));
  if (names) notes.push(sentence(canRelearn ? "old" : "old without pictures", values));
  const note = notes.join(" ").trim();
  return { dishes: list, note, canRelearn, canForget: all.size + lost > 0 };
}

const canLookAgain = (photos) =>
  about.input_size <= SMALL_SIDE && photos.some(({ picture }) => picture);

/** A name fit to be kept; one of the model's own as the model spells it. */
function spelled(name) {
  const clean = cleanName(name, about.teaching.most);
  if (clean === "") throw problem("no name");
  return about.class_names.find((own) => isSameName(own, clean)) ?? clean;
}

function newRecord() {
  const made = Date.now();
  const id = `${made}-${Math.random().toString(36).slice(2)}`; // that no other tab makes
  return { id, model: about.sha256, made };
}

/** The dish of a name; a new one, not kept yet, if there is none. */
function named(given) {
  const name = spelled(given);
  const there = findByName(name);
  if (!there && dishes().length >= about.teaching.most.dishes) throw problem("too many dishes");
  return there ?? { ...newRecord(), name };
}

/** Add a photo to a dish; false if it teaches nothing new. */
async function addPhoto(dish, { features, scale, picture }) {
  const total = some((record) => record.dish && !isOfOther(record)).length;
  if (total >= about.teaching.most.photos) throw problem("too many photos");
  const photo = { ...newRecord(), dish: dish.id, features, scale, picture };
  if ((await wake()).isOld(photo, photosOf(dish))) return false;
  await hold(dish, photo);
  return true;
}

/** Take in dishes of a file or of another model, whose pictures are looked at anew. */
async function takeIn(lists, isOurs) {
  const counts = { added: 0, old: 0, useless: 0 };
  try {
    for (const { name, photos } of lists) {
      const dish = named(name);
      for (const photo of photos) {
        const looking = photo.picture && lookAt(new Blob([photo.picture]));
        const seen = await looking?.catch(() => undefined); // it may be no picture
        const own = isOurs ? { ...photo, picture: seen?.picture } : seen;
        if (!own) counts.useless += 1;
        else counts[(await addPhoto(dish, own)) ? "added" : "old"] += 1;
      }
    }
  } finally {
    await train(); // what came before there was no room
  }
  return describeAdded(counts);
}

async function lookAt(source) {
  const { features, picture } = await model.look(source);
  return { ...round(features), picture };
}

// What a visitor can ask for. What changes more than one photo returns a sentence.
const calls = {
  async add({ id, name, source }) {
    const dish = id ? find(id) : named(name);
    return { id: dish.id, isNew: await addPhoto(dish, await lookAt(source)) };
  },

  train,
  pictures: ({ id }) => photosOf(find(id)).map(({ picture }) => picture),
  save: ({ withPictures }) => writeFile(lessons(), about, withPictures),

  async check({ id }) {
    find(id);
    return (await wake()).leaveOneOut(id, () => new Promise((resolve) => setTimeout(resolve)));
  },

  async rename({ id, name }) {
    const renamed = { ...find(id), name: spelled(name) };
    const there = findByName(renamed.name);
    if (there && there.id !== id) throw problem("same name", there);
    await hold(renamed);
    await train();
  },

  async takeBack({ id }) {
    const photos = photosOf(find(id));
    await remove(photos.length > 1 ? photos.slice(-1) : [...photos, find(id)]);
    return sentence("taken back");
  },

  async forget({ id }) {
    const dish = find(id);
    await remove([...photosOf(dish), dish]);
    return sentence("forgotten", dish);
  },

  async forgetAll() {
    await remove([...all.values()], "all");
    lost = 0;
    return sentence("all forgotten");
  },

  async read({ file }) {
    const { isOurs, dishes: lists } = await readFile(file, about);
    if (!isOurs && !canLookAgain(lists.flatMap(({ photos }) => photos))) throw problem("no use");
    const added = await takeIn(lists, isOurs);
    return isOurs ? added : sentence("from another model", { added });
  },

  /** Teach this model what another one was taught, from the small pictures. */
  async relearn() {
    const before = some(isOfOther);
    const added = await takeIn(oldDishes().map(withPhotos), false);
    if (notKept().length === 0) await remove(before);
    return added;
  },
};

export const judge = (features) => learner?.judge(features);

/** Read what is kept, and learn it; `onChange` is told the state, now and later. */
export async function open(worker, told, onChange) {
  [model, about, tell] = [worker, told, onChange];
  try {
    db = openTaughtDb(() => inTurn(() => load().then(train)));
    await load();
  } catch (error) {
    db = undefined;
    console.info("Nothing can be kept here:", error);
  }
  await train().catch((error) => {
    console.warn("What was taught is not learned:", error);
    asleep = sentence("asleep", { why: error.message });
  });
  tell(state());
}

/** Do what a visitor asks for, after all that came before. */
export const call = (name, given) => inTurn(() => calls[name](given), !QUIET.includes(name));
