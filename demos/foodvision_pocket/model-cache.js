// Fetch the large files once, count the bytes, and keep them for days without network.

import { within } from "./patience.js";

const READING = 8000; // ms that a disk may take to bring a large file
const FOLDER = new URL("./", import.meta.url);

/** The name of the store for one version of the files; sw.js says the same. */
function storeName(version) {
  return `pocket ${FOLDER} ${version}`;
}

/**
 * Open the store, or return undefined where a browser has none to offer (a private
 * window, an address without https): all works there too, only not offline.
 */
async function openStore(version) {
  const opening = async () => within(caches.open(storeName(version)));
  return opening().catch(() => undefined);
}

/** Read a JSON file of this folder. */
export async function readJson(name) {
  const response = await fetch(new URL(name, FOLDER));
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response.json();
}

/**
 * Fetch a file of this folder, from the store if it is there.
 *
 * @param {string} name Its path in the folder; .gz is uncompressed as it comes.
 * @param list What files.json says: a version, and files with their sizes.
 * @param {(bytes: number) => void} onBytes Told about each piece that arrives.
 * @returns {Promise<{response: Response, keep: () => Promise<void>}>} What is in it, as it
 *   comes; reading it fails if it is not of the size that was promised. `keep` stores it,
 *   once all of it is here.
 * @throws {Error} If it cannot be had.
 */
export async function fetchOnce(name, list, onBytes) {
  const url = new URL(name, FOLDER);
  const store = await openStore(list.version);
  const stored = await within(wholeIn(store, url, list.files[name]), READING).catch(() => undefined);
  const arriving = stored ?? (await fetch(url));
  if (!arriving.ok) throw new Error(`${name}: the server answered ${arriving.status}`);
  const unzip = name.endsWith(".gz") ? new DecompressionStream("gzip") : new TransformStream();
  const all = readAll(arriving, list.files[name], unzip.writable, onBytes);
  all.catch(() => store?.delete(url).catch(() => {})); // whoever reads the response hears of it
  const type = name.includes(".wasm") ? "application/wasm" : "application/octet-stream";
  return {
    response: new Response(unzip.readable, { headers: { "Content-Type": type } }),
    keep: async () => {
      if (stored || !store) return;
      const whole = new Response(await all, { headers: arriving.headers });
      await store.put(url, whole).catch(() => {}); // a full disk: fetched another day
    },
  };
}

/** What is stored of a file, unless it is of another size: then that is thrown away. */
async function wholeIn(store, url, size) {
  const stored = await store?.match(url);
  if (!stored) return undefined;
  const blob = await stored.blob();
  if (blob.size === size) return new Response(blob, { headers: stored.headers });
  await store.delete(url);
  return undefined;
}

/** Read a whole response, and pass its pieces on; returns all of its bytes. */
async function readAll(response, size, target, onBytes) {
  const bytes = new Uint8Array(size);
  let count = 0;
  const [reader, writer] = [response.body.getReader(), target.getWriter()];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (count + value.length > size) throw new Error("more bytes came than promised");
      bytes.set(value, count);
      writer.write(value).catch(() => {}); // close says what was wrong
      count += value.length;
      onBytes(value.length);
    }
    if (count !== size) throw new Error(`only ${count} of ${size} bytes came`);
    await writer.close();
  } catch (error) {
    writer.abort(error).catch(() => {});
    throw error;
  }
  return bytes;
}

/**
 * Have sw.js keep the whole folder: this version, and of the runtime this build.
 *
 * @returns {Promise<boolean>} Whether the page will open without network.
 */
export async function keepForOffline(version, build) {
  const workers = navigator.serviceWorker;
  if (!workers) return false; // an address without https
  const address = new URL(`sw.js?build=${build}&v=${version}`, FOLDER).href;
  try {
    if (workers.controller?.scriptURL === address) {
      workers.controller.postMessage("look whether all is there");
      return await caches.has(storeName(version));
    }
    const { active, installing, waiting } = await workers.register(address);
    const newest = installing ?? waiting ?? active;
    await new Promise((resolve) => {
      newest.onstatechange = () => /^(activated|redundant)$/.test(newest.state) && resolve();
      newest.onstatechange();
    });
    return newest.state === "activated" && (await caches.has(storeName(version)));
  } catch (error) {
    console.warn("This page will go on needing the network:", error);
    return workers.controller !== null;
  }
}
