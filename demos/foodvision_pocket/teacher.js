// What the worker does about taught dishes: it holds them, keeps them on the device, and
// has them learned. Whatever fails to be kept is said, and stays until the page closes.

import { makeLearner } from "./learner.js";
import { about, fetchKnown, look } from "./model.js";
import { SMALL_SIDE } from "./picture.js";
import {
  CarryError,
  cleanName,
  isDish,
  isPhoto,
  isSameName,
  newId,
  readFile,
  round,
  writeFile,
} from "./records.js";
import { openTaughtDb } from "./taught-db.js";

const NOT_KEPT = {
  QuotaExceededError:
    "This device has no room left: what you teach now is forgotten when the page closes. " +
    "Save it to a file, or forget a dish.",
  other:
    "This browser keeps nothing here, as in a private window: what you teach is forgotten " +
    "when the page closes. Save it to a file to keep it.",
};
const GONE = "This dish was forgotten in another tab.";
const QUIET = ["check", "pictures", "save"]; // calls that change nothing
const STUCK = "The browser did not let go of it. Reload the page, then try again.";

let dishes = new Map(); // records by id, of this model and of earlier ones; so are photos
let photos = new Map();
const unkept = new Set(); // ids of those that are not on the device
let [db, learner, lost, whyUnkept] = [undefined, undefined, 0, NOT_KEPT.other];
let asleep = ""; // why what is kept could not be learned
let tell; // given the state, after every change: by a call, or in another tab
let turn = Promise.resolve(); // of the last who asked: one works at a time

function inTurn(work, isChange = true) {
  const done = turn.then(work).finally(() => isChange && tell(state()));
  turn = done.catch(() => {});
  return done;
}

const byId = (records) => new Map(records.map((record) => [record.id, record]));
const isMine = ({ model }) => model === about.sha256;
const isOld = (record) => !isMine(record);
const some = (records, isWanted) =>
  [...records.values()].filter(isWanted).sort((one, other) => one.made - other.made);
const photosOf = ({ id, model }) =>
  some(photos, (photo) => photo.dish === id && photo.model === model);

/** All dishes to be learned, each with its photos. */
function lessons() {
  const all = some(dishes, isMine).map((dish) => ({ ...dish, photos: photosOf(dish) }));
  return all.filter((lesson) => lesson.photos.length > 0);
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
  const whole = stored.dishes.filter((one) => isDish(one, about));
  const before = dishes;
  dishes = byId(whole);
  const placed = stored.photos.filter((one) => isPhoto(one, about) && dishes.has(one.dish));
  lost = stored.dishes.length - whole.length + stored.photos.length - placed.length;
  const left = some(photos, ({ id }) => unkept.has(id));
  photos = byId([...placed, ...left]);
  for (const { dish } of left) {
    if (!dishes.has(dish)) unkept.add(dish);
    dishes.set(dish, dishes.get(dish) ?? before.get(dish));
  }
}

function drop(records) {
  for (const { id } of records) {
    for (const kept of [dishes, photos, unkept]) kept.delete(id);
  }
}

/**
 * Make a change on the device.
 *
 * @returns {Promise<boolean>} Whether it was made.
 * @throws {CarryError} Where the dish that it needs is gone.
 */
async function keep(changes) {
  if (!db) return false;
  let isThere;
  try {
    isThere = await db.change(changes);
  } catch (error) {
    whyUnkept = NOT_KEPT[error?.name] ?? NOT_KEPT.other;
    return false;
  }
  if (isThere) return true;
  const gone = dishes.get(changes.needs);
  drop([gone, ...photosOf(gone)]);
  throw new CarryError(GONE);
}

/** Make a change that takes away; what cannot be taken from the device stays here, too. */
async function remove(gone) {
  const ids = Object.entries(gone).map(([name, list]) => [name, list.map(({ id }) => id)]);
  if (db && !(await keep({ remove: Object.fromEntries(ids) }))) throw new CarryError(STUCK);
  drop(Object.values(gone).flat());
}

function state() {
  const list = some(dishes, isMine).map((dish) => ({
    id: dish.id,
    name: dish.name,
    photos: photosOf(dish).length,
  }));
  const notKept = unkept.size > 0 ? whyUnkept : "";
  return { dishes: list, old: describeOld(), notKept, asleep, lost };
}

function describeOld() {
  const names = some(dishes, isOld).map(({ name }) => name);
  const olds = some(photos, isOld);
  const withPicture = olds.filter(({ picture }) => picture).length;
  return { names, photos: olds.length, usable: about.input_size <= SMALL_SIDE ? withPicture : 0 };
}

function find(id) {
  const dish = dishes.get(id);
  if (!dish) throw new CarryError(GONE);
  return dish;
}

function findByName(name) {
  return some(dishes, isMine).find((dish) => isSameName(dish.name, name));
}

/** A name fit to be kept; one of the model's own is spelled as the model spells it. */
function spelled(name) {
  const clean = cleanName(name, about.teaching.most);
  if (clean === "") throw new CarryError("Give the dish a name first.");
  return about.class_names.find((own) => isSameName(own, clean)) ?? clean;
}

/** The dish of a name; a new one, not kept yet, if there is none. */
function named(name) {
  const clean = spelled(name);
  const there = findByName(clean);
  if (there) return there;
  const { most } = about.teaching;
  if (some(dishes, isMine).length >= most.dishes) {
    throw new CarryError(`I keep at most ${most.dishes} dishes apart. Forget one first.`);
  }
  return { id: newId(), name: clean, model: about.sha256, made: Date.now() };
}

/** Add a photo's features and small picture to a dish; false if it teaches nothing new. */
async function addPhoto(dish, { features, scale, picture }) {
  const { most } = about.teaching;
  if (some(photos, isMine).length >= most.photos) {
    throw new CarryError(`I keep at most ${most.photos} photos. Forget a dish first.`);
  }
  const photo = { id: newId(), dish: dish.id, model: about.sha256, made: Date.now() };
  Object.assign(photo, { features, scale, picture });
  if ((await wake()).isOld(photo, photosOf(dish))) return false;
  if (!dishes.has(dish.id)) unkept.add(dish.id);
  unkept.add(photo.id);
  dishes.set(dish.id, dish);
  photos.set(photo.id, photo);
  // All that is not kept yet; where there is no room, it stays until there is.
  const [fresh, frames] = [dishes, photos].map((all) => some(all, ({ id }) => unkept.has(id)));
  const needs = unkept.has(dish.id) ? undefined : dish.id;
  if (await keep({ put: { dishes: fresh, photos: frames }, needs })) unkept.clear();
  return true;
}

async function removePhotos(dish, chosen) {
  const isEmpty = chosen.length === photosOf(dish).length;
  await remove({ photos: chosen, dishes: isEmpty ? [dish] : [] });
  await train();
}

/** Take in dishes of a file or of another model; their pictures are drawn anew. */
async function takeIn(lists, isOurs) {
  const counts = { added: 0, old: 0, useless: 0 };
  try {
    for (const { name, photos: given } of lists) {
      const dish = named(name);
      for (const photo of given) {
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

/** Look at a small picture; undefined if it is none. */
async function lookAgain(picture) {
  try {
    const { features, picture: drawn } = await look(new Blob([picture]));
    return { ...round(features), picture: drawn };
  } catch {
    return undefined;
  }
}

// What a visitor can ask for; each call is given one object.
const calls = {
  /** Look at one more photo of a dish, by its id or its name. */
  async add({ id, name, source }) {
    const dish = id ? find(id) : named(name);
    const { features, picture } = await look(source);
    const isNew = await addPhoto(dish, { ...round(features), picture });
    return { id: dish.id, isNew };
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
    const isKept = unkept.has(id) || (await keep({ put: { dishes: [renamed] }, needs: id }));
    if (!isKept) throw new CarryError(whyUnkept);
    dishes.set(id, renamed);
    await train();
  },

  takeBack: ({ id }) => removePhotos(find(id), photosOf(find(id)).slice(-1)),

  forget: ({ id }) => removePhotos(find(id), photosOf(find(id))),

  async forgetAll() {
    if (db && !(await keep({ remove: "all" }))) throw new CarryError(STUCK);
    for (const records of [dishes, photos, unkept]) records.clear();
    lost = 0;
    await train();
  },

  /** All that was taught, as the text of a file. */
  save: ({ withPictures }) => writeFile(lessons(), about, withPictures),

  /** Read such a file in; photos that are here already stay as they are. */
  async read({ file }) {
    const { isOurs, dishes: inside } = await readFile(file, about);
    const withPicture = inside.some((dish) => dish.photos.some(({ picture }) => picture));
    if (!isOurs && !(withPicture && about.input_size <= SMALL_SIDE)) {
      throw new CarryError(
        "This was taught to another model, whose numbers mean nothing to this one, " +
          "and it has no small pictures to learn from anew. Nothing was changed.",
      );
    }
    return { ...(await takeIn(inside, isOurs)), isOurs };
  },

  /** Teach this model what another one was taught, from the small pictures. */
  async relearn() {
    const before = { dishes: some(dishes, isOld), photos: some(photos, isOld) };
    const lists = before.dishes.map((dish) => ({ name: dish.name, photos: photosOf(dish) }));
    const counts = await takeIn(lists, false);
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
