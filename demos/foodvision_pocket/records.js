// What is kept of a dish and of a photo, and what a file that travels looks like. Nothing
// here believes what it reads: every record is checked, every text cleaned. The rules are
// model.json's `teaching`, which taught_file.py keeps, too.

const LEVELS = 127; // as the model file rounds the features that it carries

/** A file that cannot be read in. Its message is meant for the visitor. */
export class CarryError extends Error {}

/** An id that no other tab makes. */
export function newId() {
  return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

/** A name fit to be shown: no control characters, single spaces, not long. May be empty. */
export function cleanName(name, most) {
  if (typeof name !== "string") return "";
  const plain = name.normalize("NFC").replace(/[\p{C}\p{Z}]+/gu, " ");
  return [...plain.trim()].slice(0, most.name).join("").trim();
}

/** Whether two names are one to people. */
export function isSameName(one, other) {
  return one.toLowerCase() === other.toLowerCase();
}

/** Round features (D) to 8 bits; the integers times the scale are the features. */
export function round(features) {
  const scale = features.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / LEVELS || 1;
  return { features: Int8Array.from(features, (value) => Math.round(value / scale)), scale };
}

/** The features of a record as numbers. */
export function unround({ features, scale }) {
  return Float64Array.from(features, (value) => value * scale);
}

/** Whether a record's features can be used. */
function hasFeatures({ features, scale }, dimensions, most) {
  return (
    features instanceof Int8Array &&
    features.length === dimensions &&
    features.some((value) => value !== 0) &&
    Number.isFinite(scale) &&
    scale > 0 &&
    scale < most.scale
  );
}

/** Whether a stored dish is whole. */
export function isDish(record, { teaching }) {
  const { id, name, model, made } = record ?? {};
  const isText = typeof id === "string" && typeof model === "string" && Number.isFinite(made);
  return isText && cleanName(name, teaching.most) === name && name !== "";
}

/** Whether a stored photo is whole; of another model it may have other dimensions. */
export function isPhoto(record, about) {
  const { id, dish, model, made, picture, features } = record ?? {};
  const isText = [id, dish, model].every((text) => typeof text === "string");
  const { dimensions, most } = about.teaching;
  const size = model === about.sha256 ? dimensions : features?.length;
  const isPicture = picture === undefined || picture instanceof Uint8Array;
  return isText && Number.isFinite(made) && isPicture && hasFeatures(record, size, most);
}

/** Write dishes, {name, photos}[], as the text of a file; small pictures may go along. */
export function writeFile(dishes, about, withPictures) {
  const { format, version, dimensions } = about.teaching;
  const content = {
    format,
    version,
    model: about.sha256,
    network: `${about.contender}, ${about.input_size} px`,
    dimensions,
    dishes: dishes.map(({ name, photos }) => ({
      name,
      photos: photos.map(({ features, scale, picture }) => ({
        features: toBase64(new Uint8Array(features.buffer, features.byteOffset, features.length)),
        scale,
        ...(withPictures && picture ? { picture: toBase64(picture) } : {}),
      })),
    })),
  };
  return JSON.stringify(content);
}

/**
 * Read such a file, whoever wrote it.
 *
 * @returns {Promise<{isOurs: boolean, dishes: {name: string, photos: object[]}[]}>} Whether
 *   it is of the model that runs here. Photos have features, scale and perhaps a picture,
 *   bytes that nobody has looked at yet.
 * @throws {CarryError} If anything in it is not as it should be.
 */
export async function readFile(file, about) {
  const { most, format, version, dimensions } = about.teaching;
  const content = await parse(file, most);
  if (content?.format !== format) {
    throw new CarryError("This file holds no taught dishes. Choose one that this page has saved.");
  }
  if (content.version !== version) {
    throw new CarryError("This file is from a newer page. Reload this one, then read it again.");
  }
  const { dishes, model } = content;
  const isOurs = model === about.sha256;
  const size = isOurs ? dimensions : content.dimensions;
  if (!Array.isArray(dishes) || typeof model !== "string" || !Number.isInteger(size)) {
    throw damaged();
  }
  const read = dishes.map((dish) => readDish(dish, size, most));
  const photos = read.reduce((sum, dish) => sum + dish.photos.length, 0);
  if (read.length > most.dishes || photos > most.photos) throw damaged();
  return { isOurs, dishes: read };
}

function damaged() {
  return new CarryError("This file is damaged. Save it once more where it came from.");
}

async function parse(file, most) {
  if (file.size > most.bytes) {
    throw new CarryError("This file is too large to hold taught dishes: over 64 MB.");
  }
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new CarryError("This file holds no taught dishes, or it is damaged.");
  }
}

function readDish(dish, dimensions, most) {
  const name = cleanName(dish?.name, most);
  if (name === "" || !Array.isArray(dish.photos) || dish.photos.length === 0) throw damaged();
  return { name, photos: dish.photos.map((photo) => readPhoto(photo, dimensions, most)) };
}

function readPhoto(photo, dimensions, most) {
  const bytes = fromBase64(photo?.features, dimensions);
  const record = { features: new Int8Array(bytes.buffer), scale: photo.scale };
  if (!hasFeatures(record, dimensions, most)) throw damaged();
  if (photo.picture !== undefined) record.picture = fromBase64(photo.picture, most.picture);
  return record;
}

function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

function fromBase64(text, most) {
  if (typeof text !== "string" || text.length > 2 * most + 4) throw damaged();
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    throw damaged();
  }
}
