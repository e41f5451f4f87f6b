// Fetch the large files once, count the bytes, and keep them for days without network.

import { within } from "./basics.js";

const READING = 8000; // ms that a disk may take to bring a large file
const FOLDER = new URL("./", import.meta.url);
const PREFIX = `pocket ${FOLDER} `; // and a version; other folders of this site keep theirs
const BUILDS = /^vendor\/litert_([a-z]+)\./; // of which a browser runs one

const openStore = async (version) => caches.open(PREFIX + version); // if there are caches

async function load(name) {
  const response = await fetch(new URL(name, FOLDER), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response;
}

export const readJson = async (name) => (await load(name)).json();

/** Fetch a file of this folder, uncompressed, from the store if there is one: not in a private
 *  window, nor without https. Reading the Response fails if its size is not what `list`,
 *  files.json, promises; `keep` stores it; `onBytes` is told the size of each piece. */
export async function fetchOnce(name, list, onBytes) {
  const url = new URL(name, FOLDER);
  const size = list.files[name];
  const store = await within(openStore(list.version)).catch(() => undefined);
  const stored = await within(wholeIn(store, url, size), READING).catch(() => undefined);
  const { body, headers } = stored ?? (await load(name));
  const [used, spare] = body.pipeThrough(counted(size, onBytes)).tee();
  const unzip = name.endsWith(".gz") ? new DecompressionStream("gzip") : new TransformStream();
  // Whoever reads the response hears of it.
  used.pipeTo(unzip.writable).catch(() => store?.delete(url).catch(() => {}));
  const type = name.includes(".wasm") ? "application/wasm" : "application/octet-stream";
  const keep = async () => {
    if (stored || !store) return;
    await store.put(url, new Response(spare, { headers })).catch(() => {}); // a full disk
  };
  const response = new Response(unzip.readable, { headers: { "Content-Type": type } });
  return Object.assign(response, { keep });
}

/** What is stored of a file; what is of another size, or no page may be made of, is none. */
async function wholeIn(store, url, size) {
  const stored = await store.match(url);
  if (!stored || stored.redirected) return undefined;
  const blob = await stored.blob();
  return blob.size === size ? new Response(blob, { headers: stored.headers }) : undefined;
}

/** Pass a file's pieces on, counted; fail at any other size. */
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

/** Keep this version of the folder, with this build of the runtime, for sw.js to serve.
 *  Returns whether the page will open without network. */
export async function keepForOffline(version, build) {
  const workers = navigator.serviceWorker;
  if (!workers) return false; // an address without https
  try {
    const { files, version: newest } = await readJson("files.json");
    if (newest !== version) return workers.controller !== null; // the next visit brings it
    const isUsed = (name) => [undefined, build].includes(BUILDS.exec(name)?.[1]);
    const store = await openStore(version);
    for (const name of [...Object.keys(files).filter(isUsed), "files.json"]) {
      const url = name === "index.html" ? FOLDER : new URL(name, FOLDER);
      if (await wholeIn(store, url, files[name]).catch(() => false)) continue;
      const { body, headers } = await load(url).catch(() => load(name));
      await store.put(url, new Response(body, { headers }));
    }
    await serveWith(new URL(`sw.js?v=${version}`, FOLDER).href);
    const isOld = (name) => name.startsWith(PREFIX) && name !== PREFIX + version;
    await Promise.all((await caches.keys()).filter(isOld).map((name) => caches.delete(name)));
    return await caches.has(PREFIX + version); // sw-remove.js throws it away
  } catch (error) {
    console.warn("This page will go on needing the network:", error);
    return workers.controller !== null;
  }
}

async function serveWith(address) {
  const workers = navigator.serviceWorker;
  if (workers.controller?.scriptURL === address) return;
  const { active, installing, waiting } = await workers.register(address);
  const newest = installing ?? waiting ?? active;
  while (!["activated", "redundant"].includes(newest.state)) {
    await new Promise((resolve) => (newest.onstatechange = resolve));
  }
}
