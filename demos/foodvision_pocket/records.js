// What is kept of a dish and of a photo, and what a file that travels looks like: nothing
// that is read is believed. The rules are model.json's, which teaching.py keeps, too.

import { VisitorError } from "./basics.js";

const LEVELS = 127; // as the model file rounds the features that it carries

/** A name fit to be shown: no control characters, single spaces, not long. May be empty. */
export function cleanName(name, most) {
  if (typeof name !== "string") return "";
  const plain = name.normalize("NFC").replace(/[\p{C}\p{Z}]+/gu, " ");
  return [...plain.trim()].slice(0, most.name).join("").trim();
}

export const isSameName = (one, other) => one.toLowerCase() === other.toLowerCase();

/** Round features (D) to 8 bits; the integers times the scale are the features. */
export function round(features) {
  const scale = features.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / LEVELS || 1;
  return { features: Int8Array.from(features, (value) => Math.round(value / scale)), scale };
}

export const unround = ({ features, scale }) =>
  Float64Array.from(features, (value) => value * scale);

function isUsable({ features, scale }, size, most) {
  const isRight = features instanceof Int8Array && features.length === size;
  const isScale = Number.isFinite(scale) && scale > 0 && scale < most.scale;
  return isRight && isScale && features.some((value) => value !== 0);
}

/** Whether a stored dish or photo is whole; photos of other models may be of other size. */
export function isWhole(record, { sha256, teaching: { dimensions, most } }) {
  const { name, dish, model, made, picture, features } = record;
  if (typeof model !== "string" || !Number.isFinite(made)) return false;
  if (dish === undefined) return name !== "" && cleanName(name, most) === name;
  const isPicture = picture === undefined || picture instanceof Uint8Array;
  return isPicture && isUsable(record, model === sha256 ? dimensions : features?.length, most);
}

const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

export function writeFile(dishes, about, withPictures) {
  const { format, version, dimensions } = about.teaching;
  const network = `${about.contender}, ${about.input_size} px`;
  const written = ({ features, scale, picture }) => ({
    features: toBase64(new Uint8Array(features)),
    scale,
    picture: withPictures && picture ? toBase64(picture) : undefined, // which JSON leaves out
  });
  const list = dishes.map(({ name, photos }) => ({ name, photos: photos.map(written) }));
  return JSON.stringify({ format, version, model: about.sha256, network, dimensions, dishes: list });
}

/** Read such a file, or throw a VisitorError. Returns dishes, {name, photos}[], and whether
 *  they are of the model that runs here. Pictures are bytes that nobody has looked at. */
export async function readFile(file, about) {
  const { most, format, version, dimensions } = about.teaching;
  const check = (isRight, why = "damaged") => {
    if (!isRight) throw new VisitorError(about.page[why]);
  };
  check(file.size <= most.bytes, "too large");
  const content = await file.text().then(JSON.parse).catch(() => check(false, "no file"));
  check(content?.format === format, "no file");
  check(content.version === version, "newer");
  const isOurs = content.model === about.sha256;
  const size = isOurs ? dimensions : content.dimensions;
  check(Array.isArray(content.dishes) && typeof content.model === "string");
  check(Number.isInteger(size));

  function decoded(text, bytes) {
    check(typeof text === "string" && text.length <= 2 * bytes + 4);
    try {
      return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    } catch {
      return check(false);
    }
  }
  function readPhoto(photo) {
    const features = new Int8Array(decoded(photo?.features, size).buffer);
    const record = { features, scale: photo.scale };
    check(isUsable(record, size, most));
    if (photo.picture !== undefined) record.picture = decoded(photo.picture, most.picture);
    return record;
  }
  const dishes = content.dishes.map((dish) => {
    const name = cleanName(dish?.name, most);
    check(name !== "" && Array.isArray(dish.photos) && dish.photos.length > 0);
    return { name, photos: dish.photos.map(readPhoto) };
  });
  const photos = dishes.flatMap((dish) => dish.photos);
  check(dishes.length <= most.dishes && photos.length <= most.photos);
  return { isOurs, dishes };
}
