// What is kept of a dish and of a photo, and what a file that travels looks like. Nothing
// here believes what it reads: every record is checked, every text cleaned.

const FORMAT = "FoodVision taught dishes";
const VERSION = 1;
export const PICTURE_SIDE = 256; // pixels of a small picture's shorter side
export const MOST = { dishes: 20, photos: 400, name: 40, bytes: 64_000_000 };
const MOST_PICTURE = 500_000; // bytes; ours have about 15,000
const LEVELS = 127; // as the model file rounds the features that it carries

/** A file that cannot be read in. Its message is meant for the visitor. */
export class CarryError extends Error {}

/** An id that no other tab makes. */
export function newId() {
  return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

/** A name fit to be shown: no control characters, single spaces, not long. May be empty. */
export function cleanName(name) {
  if (typeof name !== "string") return "";
  const plain = name.normalize("NFC").replace(/[\p{C}\p{Z}]+/gu, " ");
  return [...plain.trim()].slice(0, MOST.name).join("").trim();
}

/** Whether two names are one to people. */
export function isSameName(one, other) {
  return one.toLowerCase() === other.toLowerCase();
}

/**
 * Round features (D) to 8 bits.
 *
 * @returns {{features: Int8Array, scale: number}} Their product is the features.
 */
export function round(features) {
  const scale = features.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / LEVELS || 1;
  return { features: Int8Array.from(features, (value) => Math.round(value / scale)), scale };
}

/** The features of a record as numbers. */
export function unround({ features, scale }) {
  return Float64Array.from(features, (value) => value * scale);
}

/** Whether a record's features can be used. */
function hasFeatures({ features, scale }, dimensions) {
  return (
    features instanceof Int8Array &&
    features.length === dimensions &&
    features.some((value) => value !== 0) &&
    Number.isFinite(scale) &&
    scale > 0 &&
    scale < 1e6
  );
}

/** Whether a stored dish is whole. */
export function isDish(record) {
  const { id, name, model, made } = record ?? {};
  const isText = typeof id === "string" && typeof model === "string" && Number.isFinite(made);
  return isText && cleanName(name) === name && name !== "";
}

/** Whether a stored photo is whole; of another model it may have other dimensions. */
export function isPhoto(record, about) {
  const { id, dish, model, made, picture, features } = record ?? {};
  const isText = [id, dish, model].every((text) => typeof text === "string");
  const size = model === about.sha256 ? about.teaching.dimensions : features?.length;
  const isPicture = picture === undefined || picture instanceof Uint8Array;
  return isText && Number.isFinite(made) && isPicture && hasFeatures(record, size);
}

/**
 * Write dishes as the text of a file.
 *
 * @param {{name: string, photos: object[]}[]} dishes
 * @param about What model.json says.
 * @param {boolean} withPictures Whether the small pictures go along.
 */
export function writeFile(dishes, about, withPictures) {
  const content = {
    format: FORMAT,
    version: VERSION,
    model: about.sha256,
    network: `${about.contender}, ${about.input_size} px`,
    dimensions: about.teaching.dimensions,
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
 * @param {Blob} file
 * @param about What model.json says.
 * @returns {Promise<{isOurs: boolean, dishes: {name: string, photos: object[]}[]}>} Whether
 *   it is of the model that runs here. Photos have features, scale and perhaps a picture,
 *   bytes that nobody has looked at yet.
 * @throws {CarryError} If anything in it is not as it should be.
 */
export async function readFile(file, about) {
  const content = await parse(file);
  if (content?.format !== FORMAT) {
    throw new CarryError("This file holds no taught dishes. Choose one that this page has saved.");
  }
  if (content.version !== VERSION) {
    throw new CarryError("This file is from a newer page. Reload this one, then read it again.");
  }
  const { dishes, model, dimensions } = content;
  const isOurs = model === about.sha256;
  const size = isOurs ? about.teaching.dimensions : dimensions;
  if (!Array.isArray(dishes) || typeof model !== "string" || !Number.isInteger(size)) {
    throw damaged();
  }
  return { isOurs, dishes: dishes.map((dish) => readDish(dish, size)) };
}

function damaged() {
  return new CarryError("This file is damaged. Save it once more where it came from.");
}

async function parse(file) {
  if (file.size > MOST.bytes) {
    throw new CarryError("This file is too large to hold taught dishes: over 64 MB.");
  }
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new CarryError("This file holds no taught dishes, or it is damaged.");
  }
}

function readDish(dish, dimensions) {
  const name = cleanName(dish?.name);
  if (name === "" || !Array.isArray(dish.photos) || dish.photos.length > MOST.photos) {
    throw damaged();
  }
  return { name, photos: dish.photos.map((photo) => readPhoto(photo, dimensions)) };
}

function readPhoto(photo, dimensions) {
  const bytes = fromBase64(photo?.features, dimensions);
  const record = { features: new Int8Array(bytes.buffer), scale: photo.scale };
  if (!hasFeatures(record, dimensions)) throw damaged();
  if (photo.picture !== undefined) record.picture = fromBase64(photo.picture, MOST_PICTURE);
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
