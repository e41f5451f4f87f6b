// From a chosen file to pixels, as open_picture in model.py does it, by model.json's rules.

import { VisitorError } from "./basics.js";

export const SMALL_SIDE = 256; // pixels of a small picture's shorter side
const STRIP = 1 << 20; // pixels looked at in one go: a phone's memory is small
const PREVIEW = 1200; // pixels of the longer side: enough for any screen's viewfinder
const LAST_CHUNK = 0x49454e44; // "IEND"
let pen; // of the last strip's canvas, for the next one

/** Decode a file, anything at all: upright, in the colours of screens; or a VisitorError. */
export async function openPicture(file, { sentences, starts, max_pixels }) {
  if (file.size === 0) throw new VisitorError(sentences["empty"]);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = String.fromCharCode(...bytes.subarray(0, 500));
  const [isJpeg, isPng] = [text.startsWith("\xff\xd8\xff"), text.startsWith("\x89PNG")];
  const isTorn = (isJpeg && !isWholeJpeg(bytes)) || (isPng && !isWholePng(bytes));
  if (isTorn) throw new VisitorError(sentences["damaged"]); // some browsers would show half
  const bitmap = await createImageBitmap(file).catch(() => {
    const isSo = (why) => new RegExp(`^(?:${starts[why]})`, "s").test(text);
    throw new VisitorError(sentences[Object.keys(starts).find(isSo) ?? "no picture"]);
  });
  if (bitmap.width * bitmap.height <= max_pixels) return bitmap;
  bitmap.close();
  throw new VisitorError(sentences["too large"]);
}

// Follow a JPEG's segments to its end marker. Looking for the marker alone would not do: a
// thumbnail inside has one, too, and phones append films.
function isWholeJpeg(bytes) {
  let at = 2;
  while (at < bytes.length - 1) {
    const marker = bytes[at + 1];
    // 0x00: an 0xff in the data; 0x01, 0xd0 to 0xd7: markers alone; 0xff: padding
    const alone = marker <= 1 || (marker >= 0xd0 && marker <= 0xd7);
    if (bytes[at] !== 0xff || marker === 0xff) at += 1; // compressed data, or padding
    else if (marker === 0xd9) return true;
    else at += alone ? 2 : 2 + (bytes[at + 2] << 8) + bytes[at + 3];
  }
  return false;
}

// Follow a PNG's chunks, each of a length, a name, content and 4 bytes, to the last one's name.
function isWholePng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === LAST_CHUNK) return true;
  }
  return false;
}

/** Read a bitmap's pixels, RGBA (height, width, 4), or only a centred square whose sides are a
 *  share of the shorter side, as `Preprocess` in the lesson cuts it out. A large one is made
 *  smaller by a whole factor, to a shorter side of at least `enough`: each pixel is the mean of
 *  a square, as Pillow's `reduce` has it, so every browser gives the model the same picture. */
export function toPixels(bitmap, { enough }, share) {
  const factor = Math.max(1, Math.floor(Math.min(bitmap.width, bitmap.height) / enough));
  let [width, height] = [bitmap.width, bitmap.height].map((side) => Math.ceil(side / factor));
  let [left, top] = [0, 0];
  if (share !== undefined) {
    const exact = Math.fround(Math.min(height, width) * Math.fround(share)); // as float32 is
    const side = Math.max(1, Math.trunc(exact));
    [left, top] = [width, height].map((length) => factor * Math.floor((length - side) / 2));
    [width, height] = [side, side];
  }
  const right = Math.min(left + width * factor, bitmap.width);
  const bottom = Math.min(top + height * factor, bitmap.height);
  const rows = factor * Math.max(1, Math.floor(STRIP / ((right - left) * factor)));
  if (factor === 1 && rows >= height) return readStrip(bitmap, left, top, width, height);
  const data = new Uint8ClampedArray(4 * width * height);
  let to = 0;
  for (; top < bottom; top += rows) {
    const strip = readStrip(bitmap, left, top, right - left, Math.min(rows, bottom - top));
    to = average(strip, factor, data, to);
  }
  return { data, height, width };
}

/** Read a part of a bitmap as RGBA; what is see-through is white. */
function readStrip(bitmap, left, top, width, height) {
  if (pen?.canvas.width !== width || pen.canvas.height !== height) {
    const canvas = new OffscreenCanvas(width, height);
    pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  }
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
  return pen.getImageData(0, 0, width, height);
}

function average({ data, width, height }, factor, means, to) {
  for (let top = 0; top < height; top += factor) {
    const bottom = Math.min(top + factor, height);
    for (let left = 0; left < width; left += factor) {
      const right = Math.min(left + factor, width);
      const count = (bottom - top) * (right - left);
      for (let colour = 0; colour < 4; colour += 1) {
        let sum = 0;
        for (let y = top; y < bottom; y += 1) {
          for (let x = left; x < right; x += 1) sum += data[4 * (y * width + x) + colour];
        }
        means[to] = Math.round(sum / count);
        to += 1;
      }
    }
  }
  return to;
}

/** Draw a bitmap small, as the bytes of a JPEG: no note about where it was taken is left. */
export async function toSmall(bitmap) {
  const scale = Math.min(1, SMALL_SIDE / Math.min(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.round(length * scale));
  const most = 4 * SMALL_SIDE;
  const small = new OffscreenCanvas(Math.min(width, most), Math.min(height, most));
  const brush = small.getContext("2d", { alpha: false });
  brush.imageSmoothingQuality = "high";
  brush.fillStyle = "white";
  brush.fillRect(0, 0, small.width, small.height);
  brush.drawImage(bitmap, (small.width - width) / 2, (small.height - height) / 2, width, height);
  const blob = await small.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  return new Uint8Array(await blob.arrayBuffer());
}

export function toPreview(bitmap) {
  const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
  const scaled = (side) => Math.max(1, Math.round(side * scale));
  const [resizeWidth, resizeHeight] = [scaled(bitmap.width), scaled(bitmap.height)];
  return createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "medium" });
}
