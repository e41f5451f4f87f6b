// From a file that a visitor chose to pixels, as open_picture in model.py does it. The
// rules (what is large enough, what too large, what is said) are model.json's `pictures`.

const STRIP = 1 << 20; // pixels looked at in one go: a phone's memory is small
const PREVIEW = 1200; // pixels of the longer side: enough for any screen's viewfinder

/** A picture that cannot be used. Its message is meant for the visitor. */
export class PictureError extends Error {}

/**
 * Decode a file; EXIF's turn is applied, colour profiles are not (Pillow's way).
 *
 * @param {Blob} file Anything at all.
 * @param rules What model.json says about pictures.
 * @returns {Promise<ImageBitmap>}
 * @throws {PictureError} If it is empty, broken, too large or not a picture.
 */
export async function openPicture(file, rules) {
  const { sentences } = rules;
  if (file.size === 0) throw new PictureError(sentences["empty"]);
  const head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  if (isJpeg(head) && !isWholeJpeg(new Uint8Array(await file.arrayBuffer()))) {
    throw new PictureError(sentences["damaged"]); // browsers would show half of it
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new PictureError(sentences[whyNot(head, rules)]);
  }
  if (bitmap.width * bitmap.height > rules.max_pixels) {
    bitmap.close();
    throw new PictureError(sentences["too large"]);
  }
  return bitmap;
}

/** Say why a browser would not decode a file that starts with these bytes. */
function whyNot(head, rules) {
  const text = String.fromCharCode(...head);
  const startsWith = (pattern) => new RegExp(`^(?:${pattern})`, "s").test(text);
  if (startsWith(rules.heic_start)) return "heic";
  return startsWith(rules.picture_start) ? "damaged" : "no picture";
}

function isJpeg(head) {
  return head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff;
}

/**
 * Follow a JPEG's segments to its end marker.
 *
 * Looking for the marker alone would not do: a thumbnail inside has one, too, and
 * phones append films.
 */
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

/**
 * Read a bitmap's pixels; a large one is made smaller by a whole factor.
 *
 * Each pixel is the mean of a square of the original, as Pillow's `reduce` has it,
 * so that every browser gives the model the same picture. See-through parts are white.
 *
 * @param {ImageBitmap} bitmap
 * @param {{enough: number}} rules What model.json says about pictures.
 * @returns {{rgb: Uint8Array, height: number, width: number}} rgb is (height, width, 3);
 *   the shorter side keeps at least `enough` pixels.
 */
export function toPixels(bitmap, { enough }) {
  const factor = Math.max(1, Math.floor(Math.min(bitmap.width, bitmap.height) / enough));
  const width = Math.ceil(bitmap.width / factor);
  const height = Math.ceil(bitmap.height / factor);
  const rgb = new Uint8Array(3 * width * height);
  const rows = factor * Math.max(1, Math.floor(STRIP / (bitmap.width * factor)));
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(rows, bitmap.height));
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  for (let top = 0; top < bitmap.height; top += rows) {
    const strip = readStrip(context, bitmap, top, Math.min(rows, bitmap.height - top));
    average(strip, factor, rgb.subarray(3 * width * (top / factor)), width);
  }
  return { rgb, height, width };
}

function readStrip(context, bitmap, top, rows) {
  context.fillStyle = "white";
  context.fillRect(0, 0, bitmap.width, rows);
  context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
  return context.getImageData(0, 0, bitmap.width, rows);
}

/** Fill rows of `rgb` with the means of factor x factor squares of RGBA pixels. */
function average({ data, width, height }, factor, rgb, columns) {
  let to = 0;
  for (let top = 0; top < height; top += factor) {
    const bottom = Math.min(top + factor, height);
    for (let column = 0; column < columns; column += 1) {
      const left = column * factor;
      const right = Math.min(left + factor, width);
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let y = top; y < bottom; y += 1) {
        const end = 4 * (y * width + right);
        for (let from = 4 * (y * width + left); from < end; from += 4) {
          red += data[from];
          green += data[from + 1];
          blue += data[from + 2];
        }
      }
      const count = (bottom - top) * (right - left);
      rgb[to] = Math.round(red / count);
      rgb[to + 1] = Math.round(green / count);
      rgb[to + 2] = Math.round(blue / count);
      to += 3;
    }
  }
}

/** Shrink a bitmap to what a screen shows; may return the very same one. */
export async function toPreview(bitmap) {
  const scale = PREVIEW / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return bitmap;
  const preview = await createImageBitmap(bitmap, {
    resizeWidth: Math.round(bitmap.width * scale),
    resizeHeight: Math.round(bitmap.height * scale),
    resizeQuality: "medium",
  });
  bitmap.close();
  return preview;
}
