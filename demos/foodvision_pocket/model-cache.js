// Fetch the large files once, count the bytes, and keep them for days without network.

import { within } from "./basics.js";

const READING = 8000; // ms that a disk may take to bring a large file
const FOLDER = new URL("./", import.meta.url);
const storeName = (version) => `pocket ${FOLDER} ${version}`; // sw.js says the same

async function load(name) {
  const response = await fetch(new URL(name, FOLDER));
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response;
}

/** Read a JSON file of this folder. */
export const readJson = async (name) => (await load(name)).json();

/** Fetch a file of this folder, from the store if it is there. Where a browser has no store
 *  to offer (a private window, an address without https) all works, only not offline.
 *
 * @param name Its path in the folder; .gz is uncompressed as it comes.
 * @param list What files.json says: a version, and files with their sizes.
 * @param onBytes Told about each piece that arrives.
 * @returns {response, keep}: reading it fails if it is not of the size that was promised;
 *   `keep` stores it, once all of it is here. */
export async function fetchOnce(name, list, onBytes) {
  const url = new URL(name, FOLDER);
  const size = list.files[name];
  let store; // undefined where there is none
  const finding = async () => {
    store = await within(caches.open(storeName(list.version)));
    return within(wholeIn(store, url, size), READING);
  };
  const stored = await finding().catch(() => undefined);
  const { body, headers } = stored ?? (await load(name));
  const [used, spare] = body.pipeThrough(counted(size, onBytes)).tee();
  const unzip = name.endsWith(".gz") ? new DecompressionStream("gzip") : new TransformStream();
  // Whoever reads the response hears of it.
  used.pipeTo(unzip.writable).catch(() => store?.delete(url).catch(() => {}));
  const type = name.includes(".wasm") ? "application/wasm" : "application/octet-stream";
  return {
    response: new Response(unzip.readable, { headers: { "Content-Type": type } }),
    keep: async () => {
      if (stored || !store) return;
      await store.put(url, new Response(spare, { headers })).catch(() => {}); // a full disk
    },
  };
}

/** What is stored of a file, unless it is of another size: then that is thrown away. */
async function wholeIn(store, url, size) {
  const stored = await store.match(url);
  if (!stored) return undefined;
  const blob = await stored.blob();
  if (blob.size === size) return new Response(blob, { headers: stored.headers });
  await store.delete(url);
  return undefined;
}

/** What passes a file's pieces on, counts their bytes, and fails at any other size. */
function counted(size, onBytes) {
  let count = 0;
  return new TransformStream({
    transform(piece, target) {
      count += piece.length;
      onBytes(piece.length);
      target.enqueue(piece);
    },
    flush() {
      if (count !== size) throw new Error(`${count} of ${size} bytes came`);
    },
  });
}

/** Have sw.js keep the whole folder: this version, and of the runtime this build. Returns
 *  whether the page will open without network. */
export async function keepForOffline(version, build) {
  const workers = navigator.serviceWorker;
  if (!workers) return false; // an address without https
  const address = new URL(`sw.js?build=${build}&v=${version}`, FOLDER).href;
  try {
    const { active, installing, waiting } = await workers.register(address);
    const newest = installing ?? waiting ?? active;
    active?.postMessage("look whether all is there");
    while (!["activated", "redundant"].includes(newest.state)) {
      await new Promise((resolve) => (newest.onstatechange = resolve));
    }
    return newest.state === "activated" && (await caches.has(storeName(version)));
  } catch (error) {
    console.warn("This page will go on needing the network:", error);
    return workers.controller !== null;
  }
}
