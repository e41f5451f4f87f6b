// What the worker does about taught dishes: it holds them, keeps them on the device, and
// has them learned. Whatever fails to be kept is said, and stays until the page closes.

import { makeLearner } from "./learner.js";
import { about, fetchKnown, look } from "./model.js";
import { SMALL_SIDE } from "./picture.js";
import * as records from "./records.js";
import { CarryError, isSameName } from "./records.js";
import { openTaughtDb } from "./taught-db.js";

const NO_ROOM =
  "This device has no room left: what you teach now is forgotten when the page closes. " +
  "Save it to a file, or forget a dish.";
const NOTHING_KEPT =
  "This browser keeps nothing here, as in a private window: what you teach is forgotten " +
  "when the page closes. Save it to a file to keep it.";
const GONE = "This dish was forgotten in another tab.";
const STUCK = "The browser did not let go of it. Reload the page, then try again.";
const NO_USE =
  "This was taught to another model, whose numbers mean nothing to this one, and it has no " +
  "small pictures to learn from anew. Nothing was changed.";
const QUIET = ["check", "pictures", "save"]; // calls that change nothing

let all = new Map(); // records by id: dishes and photos, of this model and of earlier ones
const unkept = new Set(); // ids of those that are not on the device
let [db, learner, lost, whyUnkept] = [undefined, undefined, 0, NOTHING_KEPT];
let asleep = ""; // why what is kept could not be learned
let tell; // given the state, after every change: by a call, or in another tab
let turn = Promise.resolve(); // of the last who asked: one works at a time

function inTurn(work, isChange = true) {
  const done = turn.then(work).finally(() => isChange && tell(state()));
  turn = done.catch(() => {});
  return done;
}

const some = (isWanted) => [...all.values()].filter(isWanted).sort((a, b) => a.made - b.made);
const isOfOther = ({ model }) => model !== about.sha256;
const dishes = () => some((record) => !record.dish && !isOfOther(record));
const photosOf = ({ id }) => some(({ dish }) => dish === id);

/** All dishes to be learned, each with its photos. */
function lessons() {
  const each = dishes().map((dish) => ({ ...dish, photos: photosOf(dish) }));
  return each.filter(({ photos }) => photos.length > 0);
}

async function wake() {
  learner ??= makeLearner(await fetchKnown(), about);
  return learner;
}

async function train() {
  const list = lessons();
  if (list.length > 0) await wake();
  learner?.train(list);
  asleep = "";
}

/** Read all records from the device; those that could not be kept stay. */
async function load() {
  const stored = await db.readAll();
  const whole = stored.filter((record) => records.isWhole(record, about));
  const fresh = new Map(whole.map((record) => [record.id, record]));
  for (const { id, dish, model } of whole) {
    if (dish && fresh.get(dish)?.model !== model) fresh.delete(id);
  }
  lost = stored.length - fresh.size;
  for (const { id, dish } of some((record) => record.dish && unkept.has(record.id))) {
    for (const left of [id, dish].filter((each) => !fresh.has(each))) {
      fresh.set(left, all.get(left));
      unkept.add(left);
    }
  }
  all = fresh;
}

function drop(gone) {
  for (const { id } of gone) {
    all.delete(id);
    unkept.delete(id);
  }
}

/** Make a change on the device; returns whether it was made. Throws where the dish that it
 *  needs is gone. */
async function keep(changes) {
  if (!db) return false;
  try {
    if (await db.change(changes)) return true;
  } catch (error) {
    whyUnkept = error?.name === "QuotaExceededError" ? NO_ROOM : NOTHING_KEPT;
    return false;
  }
  const gone = find(changes.needs);
  drop([gone, ...photosOf(gone)]);
  throw new CarryError(GONE);
}

/** Take records away; what cannot be taken from the device stays here, too. */
async function remove(gone, ids = gone.map(({ id }) => id)) {
  if (db && !(await keep({ remove: ids }))) throw new CarryError(STUCK);
  drop(gone);
}

function state() {
  const list = dishes().map(({ id, name }) => ({ id, name, photos: photosOf({ id }).length }));
  const olds = some(isOfOther);
  const photos = olds.filter(({ dish }) => dish);
  const usable = canLookAgain(photos) ? photos.filter(({ picture }) => picture).length : 0;
  const names = olds.filter(({ dish }) => !dish).map(({ name }) => name);
  const old = { names, photos: photos.length, usable };
  return { dishes: list, old, notKept: unkept.size > 0 ? whyUnkept : "", asleep, lost };
}

/** Whether there are small pictures among photos, and they are large enough. */
function canLookAgain(photos) {
  return about.input_size <= SMALL_SIDE && photos.some(({ picture }) => picture);
}

function find(id) {
  if (!all.has(id)) throw new CarryError(GONE);
  return all.get(id);
}

const findByName = (name) => dishes().find((dish) => isSameName(dish.name, name));

/** A name fit to be kept; one of the model's own is spelled as the model spells it. */
function spelled(name) {
  const clean = records.cleanName(name, about.teaching.most);
  if (clean === "") throw new CarryError("Give the dish a name first.");
  return about.class_names.find((own) => isSameName(own, clean)) ?? clean;
}

const newRecord = () => ({ id: records.newId(), model: about.sha256, made: Date.now() });

/** The dish of a name; a new one, not kept yet, if there is none. */
function named(given) {
  const name = spelled(given);
  const { most } = about.teaching;
  const there = findByName(name);
  if (!there && dishes().length >= most.dishes) {
    throw new CarryError(`I keep at most ${most.dishes} dishes apart. Forget one first.`);
  }
  return there ?? { ...newRecord(), name };
}

/** Add a photo's features and small picture to a dish; false if it teaches nothing new. */
async function addPhoto(dish, { features, scale, picture }) {
  const { most } = about.teaching;
  if (some((record) => record.dish && !isOfOther(record)).length >= most.photos) {
    throw new CarryError(`I keep at most ${most.photos} photos. Forget a dish first.`);
  }
  const photo = { ...newRecord(), dish: dish.id, features, scale, picture };
  if ((await wake()).isOld(photo, photosOf(dish))) return false;
  for (const record of [dish, photo].filter(({ id }) => !all.has(id))) {
    all.set(record.id, record);
    unkept.add(record.id);
  }
  // All that is not kept yet; where there is no room, it stays until there is.
  const needs = unkept.has(dish.id) ? undefined : dish.id;
  if (await keep({ put: some(({ id }) => unkept.has(id)), needs })) unkept.clear();
  return true;
}

async function removePhotos(dish, chosen) {
  const isEmpty = chosen.length === photosOf(dish).length;
  await remove(isEmpty ? [...chosen, dish] : chosen);
  await train();
}

/** Take in dishes of a file or of another model; their pictures are drawn anew. */
async function takeIn(lists, isOurs) {
  const counts = { added: 0, old: 0, useless: 0 };
  try {
    for (const { name, photos } of lists) {
      const dish = named(name);
      for (const photo of photos) {
        const seen = photo.picture && (await lookAgain(photo.picture));
        const own = isOurs ? { ...photo, picture: seen?.picture } : seen;
        if (!own) counts.useless += 1;
        else counts[(await addPhoto(dish, own)) ? "added" : "old"] += 1;
      }
    }
  } finally {
    await train(); // what came before there was no room
  }
  return counts;
}

/** Look at a picture, for what is kept of it. */
async function lookAt(source) {
  const { features, picture } = await look(source);
  return { ...records.round(features), picture };
}

/** The same for the bytes of a small picture; undefined if they are none. */
const lookAgain = (bytes) => lookAt(new Blob([bytes])).catch(() => undefined);

// What a visitor can ask for; each call is given one object.
const calls = {
  /** Look at one more photo of a dish, by its id or its name. */
  async add({ id, name, source }) {
    const dish = id ? find(id) : named(name);
    return { id: dish.id, isNew: await addPhoto(dish, await lookAt(source)) };
  },

  /** Learn what was added. */
  train,

  /** How well a dish is known: leave one out. */
  async check({ id }) {
    find(id);
    return (await wake()).leaveOneOut(id, () => new Promise((resolve) => setTimeout(resolve)));
  },

  /** A dish's small pictures, as the bytes of JPEGs; undefined where there is none. */
  pictures: ({ id }) => photosOf(find(id)).map(({ picture }) => picture),

  async rename({ id, name }) {
    const renamed = { ...find(id), name: spelled(name) };
    const there = findByName(renamed.name);
    if (there && there.id !== id) {
      throw new CarryError(`There is a dish called ${there.name} already.`);
    }
    const isKept = unkept.has(id) || (await keep({ put: [renamed], needs: id }));
    if (!isKept) throw new CarryError(whyUnkept);
    all.set(id, renamed);
    await train();
  },

  takeBack: ({ id }) => removePhotos(find(id), photosOf(find(id)).slice(-1)),

  forget: ({ id }) => removePhotos(find(id), photosOf(find(id))),

  async forgetAll() {
    await remove([...all.values()], "all");
    lost = 0;
    await train();
  },

  /** All that was taught, as the text of a file. */
  save: ({ withPictures }) => records.writeFile(lessons(), about, withPictures),

  /** Read such a file in; photos that are here already stay as they are. */
  async read({ file }) {
    const { isOurs, dishes: lists } = await records.readFile(file, about);
    if (!isOurs && !canLookAgain(lists.flatMap(({ photos }) => photos))) {
      throw new CarryError(NO_USE);
    }
    return { ...(await takeIn(lists, isOurs)), isOurs };
  },

  /** Teach this model what another one was taught, from the small pictures. */
  async relearn() {
    const before = some(isOfOther);
    const old = before.filter(({ dish }) => !dish);
    const counts = await takeIn(old.map((dish) => ({ ...dish, photos: photosOf(dish) })), false);
    if (unkept.size === 0) await remove(before);
    return counts;
  },
};

export const judge = (features) => learner?.judge(features);

/** Read what is kept, and learn it; `onChange` is told the state, now and later. */
export async function open(onChange) {
  tell = onChange;
  try {
    db = await openTaughtDb(() => inTurn(() => load().then(train)));
    await load();
  } catch (error) {
    db = undefined;
    console.info("Nothing can be kept here:", error);
  }
  try {
    await train();
  } catch (error) {
    console.warn("What was taught is not learned:", error);
    asleep = `${error.message} Until then I do not know the dishes that you taught me.`;
  }
  tell(state());
}

/** Do what a visitor asks for, by the name of the call, after all that came before. */
export function call(name, given) {
  return inTurn(() => calls[name](given), !QUIET.includes(name));
}
