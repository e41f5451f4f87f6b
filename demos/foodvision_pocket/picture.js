// From a file that a visitor chose to pixels, as open_picture in model.py does it. The
// rules (what is large enough, what too large, what is said) are model.json's `pictures`.

export const SMALL_SIDE = 256; // pixels of a small picture's shorter side
const STRIP = 1 << 20; // pixels looked at in one go: a phone's memory is small
const PREVIEW = 1200; // pixels of the longer side: enough for any screen's viewfinder
const LAST_CHUNK = 0x49454e44; // "IEND"
let canvas; // of the last strip, for the next one
let context;

/** A picture that cannot be used. Its message is meant for the visitor. */
export class PictureError extends Error {}

/**
 * Decode a file, anything at all: upright, and in the colours of screens.
 *
 * @throws {PictureError} If it is empty, broken, too large or not a picture.
 */
export async function openPicture(file, rules) {
  const { sentences } = rules;
  if (file.size === 0) throw new PictureError(sentences["empty"]);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const starts = (...first) => first.every((byte, at) => bytes[at] === byte);
  const [isJpeg, isPng] = [starts(0xff, 0xd8, 0xff), starts(0x89, 0x50, 0x4e, 0x47)];
  if ((isJpeg && !isWholeJpeg(bytes)) || (isPng && !isWholePng(bytes))) {
    throw new PictureError(sentences["damaged"]); // some browsers would show half of it
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new PictureError(sentences[whyNot(bytes.subarray(0, 500), rules)]);
  }
  if (bitmap.width * bitmap.height > rules.max_pixels) {
    bitmap.close();
    throw new PictureError(sentences["too large"]);
  }
  return bitmap;
}

/** Say why a browser would not decode a file that starts with these bytes. */
function whyNot(head, { starts }) {
  const text = String.fromCharCode(...head);
  const isSo = (why) => new RegExp(`^(?:${starts[why]})`, "s").test(text);
  return Object.keys(starts).find(isSo) ?? "no picture";
}

// Follow a JPEG's segments to its end marker. Looking for the marker alone would not do: a
// thumbnail inside has one, too, and phones append films.
function isWholeJpeg(bytes) {
  let at = 2;
  while (at < bytes.length - 1) {
    if (bytes[at] !== 0xff) {
      at += 1; // compressed data
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xd9) return true;
    // 0x00: an 0xff in the data; 0x01, 0xd0 to 0xd7: markers alone; 0xff: padding
    const alone = marker <= 1 || (marker >= 0xd0 && marker <= 0xd7) || marker === 0xff;
    if (marker === 0xff) at += 1;
    else at += alone ? 2 : 2 + (bytes[at + 2] << 8) + bytes[at + 3];
  }
  return false;
}

// Follow a PNG's chunks, each of a length, a name, content and 4 bytes, to the last. Nothing
// of that one but its name counts: no decoder asks for more.
function isWholePng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === LAST_CHUNK) return true;
  }
  return false;
}

/**
 * Read a bitmap's pixels; a large one is made smaller by a whole factor.
 *
 * Each pixel is the mean of a square of the original, as Pillow's `reduce` has it,
 * so that every browser gives the model the same picture. See-through parts are white.
 * The whole picture's shorter side keeps at least `enough` pixels.
 *
 * @param {number} [share] Read only a centred square with sides of this share of the
 *   shorter side, as `Preprocess` in the lesson cuts it out. Undefined: read all.
 * @returns {{data: Uint8ClampedArray, height: number, width: number}} data is RGBA,
 *   (height, width, 4).
 */
export function toPixels(bitmap, { enough }, share) {
  const factor = Math.max(1, Math.floor(Math.min(bitmap.width, bitmap.height) / enough));
  const whole = {
    left: 0,
    top: 0,
    width: Math.ceil(bitmap.width / factor),
    height: Math.ceil(bitmap.height / factor),
  };
  const area = share === undefined ? whole : centreOf(whole, share);
  const right = Math.min((area.left + area.width) * factor, bitmap.width);
  const bottom = Math.min((area.top + area.height) * factor, bitmap.height);
  const left = area.left * factor;
  const rows = factor * Math.max(1, Math.floor(STRIP / ((right - left) * factor)));
  if (factor === 1 && rows >= area.height) {
    return readStrip(bitmap, left, area.top, right - left, area.height);
  }
  const data = new Uint8ClampedArray(4 * area.width * area.height);
  let to = 0;
  for (let top = area.top * factor; top < bottom; top += rows) {
    const strip = readStrip(bitmap, left, top, right - left, Math.min(rows, bottom - top));
    to = average(strip, factor, data, to);
  }
  return { data, height: area.height, width: area.width };
}

/** The square in the middle of a picture; its side is rounded as float32 numbers are. */
function centreOf({ height, width }, share) {
  const exact = Math.fround(Math.min(height, width) * Math.fround(share));
  const side = Math.max(1, Math.trunc(exact));
  const middle = (length) => Math.floor((length - side) / 2);
  return { left: middle(width), top: middle(height), width: side, height: side };
}

/** Read a part of a bitmap as RGBA. */
function readStrip(bitmap, left, top, width, height) {
  if (canvas?.width !== width || canvas.height !== height) {
    canvas = new OffscreenCanvas(width, height);
    context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  }
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Write the means of factor x factor squares, as RGBA, from a place on. */
function average({ data, width, height }, factor, means, to) {
  for (let top = 0; top < height; top += factor) {
    const bottom = Math.min(top + factor, height);
    for (let left = 0; left < width; left += factor) {
      const right = Math.min(left + factor, width);
      let [red, green, blue] = [0, 0, 0];
      for (let y = top; y < bottom; y += 1) {
        const end = 4 * (y * width + right);
        for (let from = 4 * (y * width + left); from < end; from += 4) {
          red += data[from];
          green += data[from + 1];
          blue += data[from + 2];
        }
      }
      const count = (bottom - top) * (right - left);
      means[to] = Math.round(red / count);
      means[to + 1] = Math.round(green / count);
      means[to + 2] = Math.round(blue / count);
      means[to + 3] = 255;
      to += 4;
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
  const pen = small.getContext("2d", { alpha: false });
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "white";
  pen.fillRect(0, 0, small.width, small.height);
  pen.drawImage(bitmap, (small.width - width) / 2, (small.height - height) / 2, width, height);
  const blob = await small.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  return new Uint8Array(await blob.arrayBuffer());
}

/** Shrink a bitmap to what a screen shows. */
export function toPreview(bitmap) {
  const scale = Math.min(1, PREVIEW / Math.max(bitmap.width, bitmap.height));
  return createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
    resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
    resizeQuality: "medium",
  });
}
