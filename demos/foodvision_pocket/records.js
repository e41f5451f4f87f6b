// What is kept of a dish and of a photo, and what a file that travels looks like. Nothing
// here believes what it reads: every record is checked, every text cleaned. The rules are
// model.json's `teaching`, which taught_file.py keeps, too.

const LEVELS = 127; // as the model file rounds the features that it carries

/** A file that cannot be read in. Its message is meant for the visitor. */
export class CarryError extends Error {}

/** An id that no other tab makes. */
export const newId = () => `${Date.now()}-${Math.random().toString(36).slice(2)}`;

/** A name fit to be shown: no control characters, single spaces, not long. May be empty. */
export function cleanName(name, most) {
  if (typeof name !== "string") return "";
  const plain = name.normalize("NFC").replace(/[\p{C}\p{Z}]+/gu, " ");
  return [...plain.trim()].slice(0, most.name).join("").trim();
}

/** Whether two names are one to people. */
export const isSameName = (one, other) => one.toLowerCase() === other.toLowerCase();

/** Round features (D) to 8 bits; the integers times the scale are the features. */
export function round(features) {
  const scale = features.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / LEVELS || 1;
  return { features: Int8Array.from(features, (value) => Math.round(value / scale)), scale };
}

/** The features of a record as numbers. */
export const unround = ({ features, scale }) =>
  Float64Array.from(features, (value) => value * scale);

/** Whether a record's features can be used. */
function hasFeatures({ features, scale }, dimensions, most) {
  const isRight = features instanceof Int8Array && features.length === dimensions;
  const isScale = Number.isFinite(scale) && scale > 0 && scale < most.scale;
  return isRight && isScale && features.some((value) => value !== 0);
}

/** Whether a stored dish or photo is whole; photos of other models may be of other size. */
export function isWhole(record, { sha256, teaching: { dimensions, most } }) {
  const { id, name, dish, model, made, picture, features } = record ?? {};
  const isText = [id, model].every((text) => typeof text === "string");
  if (!isText || !Number.isFinite(made)) return false;
  if (dish === undefined) return name !== "" && cleanName(name, most) === name;
  const size = model === sha256 ? dimensions : features?.length;
  const isPicture = picture === undefined || picture instanceof Uint8Array;
  return isPicture && hasFeatures(record, size, most);
}

/** Write dishes, {name, photos}[], as the text of a file; small pictures may go along. */
export function writeFile(dishes, about, withPictures) {
  const { format, version, dimensions } = about.teaching;
  const network = `${about.contender}, ${about.input_size} px`;
  const written = ({ features, scale, picture }) => ({
    features: toBase64(new Uint8Array(features.buffer, features.byteOffset, features.length)),
    scale,
    ...(withPictures && picture ? { picture: toBase64(picture) } : {}),
  });
  const list = dishes.map(({ name, photos }) => ({ name, photos: photos.map(written) }));
  return JSON.stringify({ format, version, model: about.sha256, network, dimensions, dishes: list });
}

/**
 * Read such a file, whoever wrote it; a CarryError if anything is not as it should be.
 *
 * @returns {Promise<{isOurs: boolean, dishes: {name: string, photos: object[]}[]}>} Whether
 *   it is of the model that runs here. Photos have features, scale and perhaps a picture,
 *   bytes that nobody has looked at yet.
 */
export async function readFile(file, about) {
  const { most, format, version, dimensions } = about.teaching;
  if (file.size > most.bytes) {
    throw new CarryError("This file is too large to hold taught dishes: over 64 MB.");
  }
  let content;
  try {
    content = JSON.parse(await file.text());
  } catch {
    throw new CarryError("This file holds no taught dishes, or it is damaged.");
  }
  if (content?.format !== format) {
    throw new CarryError("This file holds no taught dishes. Choose one that this page has saved.");
  }
  if (content.version !== version) {
    throw new CarryError("This file is from a newer page. Reload this one, then read it again.");
  }
  const isOurs = content.model === about.sha256;
  const size = isOurs ? dimensions : content.dimensions;
  check(Array.isArray(content.dishes) && typeof content.model === "string");
  check(Number.isInteger(size));
  const dishes = content.dishes.map((dish) => readDish(dish, size, most));
  const photos = dishes.flatMap((dish) => dish.photos);
  check(dishes.length <= most.dishes && photos.length <= most.photos);
  return { isOurs, dishes };
}

function check(isRight) {
  if (!isRight) throw new CarryError("This file is damaged. Save it once more where it came from.");
}

function readDish(dish, dimensions, most) {
  const name = cleanName(dish?.name, most);
  check(name !== "" && Array.isArray(dish.photos) && dish.photos.length > 0);
  return { name, photos: dish.photos.map((photo) => readPhoto(photo, dimensions, most)) };
}

function readPhoto(photo, dimensions, most) {
  const bytes = fromBase64(photo?.features, dimensions);
  const record = { features: new Int8Array(bytes.buffer), scale: photo.scale };
  check(hasFeatures(record, dimensions, most));
  if (photo.picture !== undefined) record.picture = fromBase64(photo.picture, most.picture);
  return record;
}

function toBase64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(text, most) {
  check(typeof text === "string" && text.length <= 2 * most + 4);
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return check(false);
  }
}
