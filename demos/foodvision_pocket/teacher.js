// What the worker does about taught dishes: it holds them, keeps them on the device, and
// has them learned. Whatever fails to be kept is said, and stays until the page closes.

import { makeLearner } from "./learner.js";
import { openMemory } from "./taught-db.js";
import {
  CarryError,
  MOST,
  PICTURE_SIDE,
  cleanName,
  isDish,
  isPhoto,
  isSameName,
  newId,
  readFile,
  round,
  writeFile,
} from "./records.js";

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

/**
 * Make the teacher.
 *
 * @param options
 * @param options.about What model.json says; it has `teaching`.
 * @param {() => Promise<ArrayBuffer>} options.fetchKnown Gives known.bin.
 * @param {(source: Blob | ImageBitmap) => Promise<{features, picture}>} options.look Asks
 *   the model about a picture; `picture` is a small one, as the bytes of a JPEG.
 * @param {(state) => void} options.onChange Told what is taught, after every change: by
 *   a call, or in another tab.
 */
export function makeTeacher({ about, fetchKnown, look, onChange }) {
  const dishes = new Map(); // id: a record with its photos' records
  let old = { dishes: [], photos: [] }; // records of other models
  let [learner, memory, reason, lost] = [undefined, undefined, NOT_KEPT.other, 0];
  let asleep = ""; // why what is kept could not be learned
  let isBehind = false; // whether there are photos that are not learned yet
  let turn = Promise.resolve(); // of the last who asked: one works at a time

  function inTurn(work, isChange = true) {
    const done = turn.then(work).finally(() => isChange && onChange(state()));
    turn = done.catch(() => {});
    return done;
  }

  const all = () => [...dishes.values()].sort((a, b) => a.made - b.made);
  const taught = () => all().filter(({ photos }) => photos.length > 0);
  const photosOf = (list) => list.flatMap(({ photos }) => photos);
  const unkept = () => photosOf(all()).filter(({ isKept }) => !isKept);

  async function wake() {
    learner ??= makeLearner(await fetchKnown(), about);
    return learner;
  }

  async function train() {
    const list = taught();
    if (list.length > 0) await wake();
    learner?.train(list);
    [isBehind, asleep] = [false, ""];
  }

  /** Read all records; those that could not be kept stay. */
  async function load() {
    const records = await memory.readAll();
    const whole = {
      dishes: records.dishes.filter(isDish),
      photos: records.photos.filter((record) => isPhoto(record, about)),
    };
    const names = new Map(whole.dishes.map((dish) => [dish.id, dish]));
    const isMine = ({ model }) => model === about.sha256;
    const here = new Map(photosOf(all()).map((photo) => [photo.id, photo]));
    const left = all().filter(({ photos }) => photos.some(({ isKept }) => !isKept));
    dishes.clear();
    for (const dish of whole.dishes.filter(isMine)) {
      dishes.set(dish.id, { ...dish, isKept: true, photos: [] });
    }
    for (const photo of whole.photos.filter(isMine).sort((a, b) => a.made - b.made)) {
      const record = here.get(photo.id) ?? photo; // what was worked out of it stays
      dishes.get(photo.dish)?.photos.push(Object.assign(record, { isKept: true }));
    }
    for (const dish of left) {
      const photos = dish.photos.filter(({ isKept }) => !isKept);
      const again = dishes.get(dish.id) ?? { ...dish, isKept: false, photos: [] };
      again.photos.push(...photos);
      dishes.set(dish.id, again);
    }
    const isOld = (record) => !isMine(record);
    old = { dishes: whole.dishes.filter(isOld), photos: whole.photos.filter(isOld) };
    const orphans = whole.photos.filter((photo) => !names.has(photo.dish)).length;
    lost = records.photos.length - whole.photos.length + orphans;
    lost += records.dishes.length - whole.dishes.length;
  }

  /**
   * Make a change on the device.
   *
   * @returns Whether it was made; or, where the dish that it needs is gone, GONE.
   */
  async function keep(changes) {
    if (!memory) return false;
    try {
      return (await memory.change(changes)) || GONE;
    } catch (error) {
      reason = NOT_KEPT[error?.name] ?? NOT_KEPT.other;
      return false;
    }
  }

  /** Keep all that is not kept yet; where there is no room, it stays until there is. */
  async function keepWhatIsNew(dish) {
    const photos = unkept();
    const fresh = all().filter((one) => !one.isKept);
    const put = { dishes: fresh.map(recordOf), photos: photos.map(recordOfPhoto) };
    const done = await keep({ put, needs: dish.isKept ? dish.id : undefined });
    if (done === GONE) {
      dishes.delete(dish.id);
      throw new CarryError(GONE);
    }
    if (done) for (const one of [...photos, ...fresh]) one.isKept = true;
  }

  /** Make a change that takes away; what cannot be taken from the device stays here, too. */
  async function remove(changes) {
    if (memory && !(await keep({ remove: changes }))) throw new CarryError(STUCK);
  }

  function state() {
    const list = all().map(({ id, name, photos }) => ({ id, name, photos: photos.length }));
    const notKept = unkept().length > 0 ? reason : "";
    return { dishes: list, old: describeOld(), notKept, asleep, lost };
  }

  function describeOld() {
    const names = old.dishes.map(({ name }) => name);
    const withPicture = old.photos.filter(({ picture }) => picture).length;
    const isFineEnough = about.input_size <= PICTURE_SIDE;
    return { names, photos: old.photos.length, usable: isFineEnough ? withPicture : 0 };
  }

  function find(id) {
    const dish = dishes.get(id);
    if (!dish) throw new CarryError(GONE);
    return dish;
  }

  function findByName(name) {
    return all().find((dish) => isSameName(dish.name, name));
  }

  /** A name fit to be kept; one of the model's own is spelled as the model spells it. */
  function spelled(name) {
    const clean = cleanName(name);
    if (clean === "") throw new CarryError("Give the dish a name first.");
    return about.class_names.find((own) => isSameName(own, clean)) ?? clean;
  }

  /** The dish of a name; a new one, not kept yet, if there is none. */
  function named(name) {
    const clean = spelled(name);
    const there = findByName(clean);
    if (there) return there;
    if (dishes.size >= MOST.dishes) {
      throw new CarryError(`I keep at most ${MOST.dishes} dishes apart. Forget one first.`);
    }
    const made = { id: newId(), name: clean, model: about.sha256, made: Date.now() };
    return { ...made, isKept: false, photos: [] };
  }

  /** Add a photo's features and small picture to a dish; false if it teaches nothing new. */
  async function addPhoto(dish, { features, scale, picture }) {
    if (photosOf(all()).length >= MOST.photos) {
      throw new CarryError(`I keep at most ${MOST.photos} photos. Forget a dish first.`);
    }
    const photo = { id: newId(), dish: dish.id, model: about.sha256, made: Date.now() };
    Object.assign(photo, { features, scale, picture, isKept: false });
    if ((await wake()).isOld(photo, dish.photos)) return false;
    dish.photos.push(photo);
    dishes.set(dish.id, dish);
    isBehind = true;
    await keepWhatIsNew(dish);
    return true;
  }

  async function removePhotos(dish, photos) {
    const isEmpty = photos.length === dish.photos.length;
    await remove({ photos: photos.map(({ id }) => id), dishes: isEmpty ? [dish.id] : [] });
    dish.photos = dish.photos.filter((photo) => !photos.includes(photo));
    if (isEmpty) dishes.delete(dish.id);
    await train();
  }

  /** Take in what a file holds; its pictures are drawn anew, whatever they are. */
  async function takeIn({ name, photos }, isOurs, counts) {
    const dish = named(name);
    for (const photo of photos) {
      const seen = photo.picture && (await lookAgain(photo.picture));
      const own = isOurs ? { ...photo, picture: seen?.picture } : seen;
      if (!own) counts.useless += 1;
      else if (await addPhoto(dish, own)) counts.added += 1;
      else counts.old += 1;
    }
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

  /** Another tab has changed something. */
  async function renew() {
    await load();
    await train();
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
    async train() {
      await train();
    },

    /** How well a dish is known: leave one out. */
    async check({ id }) {
      const pause = () => new Promise((resolve) => setTimeout(resolve));
      if (isBehind) await train();
      const at = taught().indexOf(find(id));
      return at < 0 ? { right: 0, asked: 0 } : learner.leaveOneOut(at, pause);
    },

    /** A dish's small pictures, as the bytes of JPEGs; undefined where there is none. */
    pictures: ({ id }) => find(id).photos.map(({ picture }) => picture),

    async rename({ id, name }) {
      const dish = find(id);
      const clean = spelled(name);
      const there = findByName(clean);
      if (there && there !== dish) {
        throw new CarryError(`There is a dish called ${there.name} already.`);
      }
      const put = { dishes: [recordOf({ ...dish, name: clean })] };
      const done = dish.isKept ? await keep({ put, needs: id }) : true;
      if (done !== true) throw new CarryError(done || reason);
      dish.name = clean;
      await train();
    },

    async takeBack({ id }) {
      const dish = find(id);
      await removePhotos(dish, dish.photos.slice(-1));
    },

    async forget({ id }) {
      const dish = find(id);
      await removePhotos(dish, dish.photos);
    },

    async forgetAll() {
      await remove("all");
      dishes.clear();
      old = { dishes: [], photos: [] };
      lost = 0;
      await train();
    },

    /** All that was taught, as the text of a file. */
    save: ({ withPictures }) => writeFile(taught(), about, withPictures),

    /** Read such a file in; photos that are here already stay as they are. */
    async read({ file }) {
      const { isOurs, dishes: inside } = await readFile(file, about);
      const withPicture = inside.some(({ photos }) => photos.some(({ picture }) => picture));
      const canLook = withPicture && about.input_size <= PICTURE_SIDE;
      if (!isOurs && !canLook) {
        throw new CarryError(
          "This was taught to another model, whose numbers mean nothing to this one, " +
            "and it has no small pictures to learn from anew. Nothing was changed.",
        );
      }
      const counts = { added: 0, old: 0, useless: 0 };
      try {
        for (const dish of inside) await takeIn(dish, isOurs, counts);
      } finally {
        await train(); // what came before there was no room
      }
      return { ...counts, isOurs };
    },

    /** Teach this model what another one was taught, from the small pictures. */
    async relearn() {
      const counts = { added: 0, old: 0, useless: 0 };
      const [before, photos] = [old.dishes, old.photos];
      for (const { id, name } of before) {
        const own = photos.filter((photo) => photo.dish === id);
        await takeIn({ name, photos: own }, false, counts);
      }
      await train();
      if (unkept().length === 0) {
        const ids = (list) => list.map(({ id }) => id);
        await remove({ dishes: ids(before), photos: ids(photos) });
        old = { dishes: [], photos: [] };
      }
      return counts;
    },
  };

  return {
    judge: (features) => learner?.judge(features),

    /** Read what is kept, and learn it. */
    async open() {
      try {
        memory = await openMemory(() => inTurn(renew));
        await load();
      } catch (error) {
        memory = undefined;
        console.info("Nothing can be kept here:", error);
      }
      try {
        await train();
      } catch (error) {
        console.warn("What was taught is not learned:", error);
        asleep = `${error.message} Until then I do not know the dishes that you taught me.`;
      }
      onChange(state());
    },

    /** Do what a visitor asks for, by the name of the call, after all that came before. */
    call: (name, given) => inTurn(() => calls[name](given), !QUIET.includes(name)),
  };
}

/** What is kept of a dish. */
function recordOf({ id, name, model, made }) {
  return { id, name, model, made };
}

/** What is kept of a photo. */
function recordOfPhoto({ id, dish, model, made, features, scale, picture }) {
  return { id, dish, model, made, features, scale, picture };
}
