// Keep every file of this folder, so that the page opens without network. The network goes
// first, so whatever is kept can be mended on the server; sw-remove.js is the way out.
// The page registers this as sw.js?build=BUILD&v=VERSION once it runs.

const ASKED = new URL(location).searchParams;
const VERSION = ASKED.get("v");
const BUILDS = /^vendor\/litert_([a-z]+)\./; // of which this browser runs one
const FOLDER = new URL("./", location);
const PREFIX = `pocket ${FOLDER} `; // other folders of this site keep theirs
const STORE = PREFIX + VERSION; // model-cache.js says the same
const PATIENCE = 3000; // ms for the network to bring the page, if it is stored
const SEARCH = 8000; // ms for the disk to bring what is stored
const VISIT = 30_000; // ms for a stored page to bring its stored files: all of one version
let storedUntil = 0;

self.oninstall = (event) => {
  // If the server has another version, this one is forgotten: the page brings the other.
  const forgetOld = (isThis) => isThis || caches.delete(STORE);
  event.waitUntil(keepAll().then(forgetOld).then(() => self.skipWaiting()));
};

self.onmessage = (event) => event.waitUntil(keepAll());

self.onactivate = (event) => event.waitUntil(forgetOthers());

self.onfetch = (event) => {
  const { method, mode, url } = event.request;
  const { href, pathname, search } = new URL(url);
  if (method !== "GET" || !href.startsWith(FOLDER.href)) return;
  const name = pathname.slice(FOLDER.pathname.length);
  const isPage = mode === "navigate" && ["", "index.html"].includes(name);
  // A question mark behind a file asks for what the network has now.
  if (isPage || !search) event.respondWith(serve(event.request, isPage));
};

/** Store what is not stored already, whole; false if the server has another version. */
async function keepAll() {
  const list = await (await load("files.json")).json();
  if (list.version !== VERSION) return false;
  const store = await caches.open(STORE);
  const isUsed = (name) => [undefined, ASKED.get("build")].includes(BUILDS.exec(name)?.[1]);
  for (const name of [...Object.keys(list.files).filter(isUsed), "files.json"]) {
    const url = name === "index.html" ? FOLDER : new URL(name, FOLDER);
    if (await isWhole(await store.match(url), list.files[name]).catch(() => false)) continue;
    await store.put(url, await load(url).catch(() => load(name)));
  }
  return true;
}

async function isWhole(stored, size) {
  return stored && !stored.redirected && (await stored.blob()).size === size;
}

/** Fetch a file. An answer from elsewhere is none: no page may be made of it. */
async function load(name) {
  const options = { cache: "no-cache", redirect: "error" };
  const response = await fetch(new URL(name, FOLDER), options);
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response;
}

/** Take over, and keep one version only. */
async function forgetOthers() {
  const hasThis = await caches.has(STORE);
  const isOld = (name) => hasThis && name.startsWith(PREFIX) && name !== STORE;
  await Promise.all((await caches.keys()).filter(isOld).map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** Ask the network; where it does not answer, or a page not soon, take what is stored. */
async function serve(request, isPage) {
  const arriving = fetch(request, { cache: "no-cache" });
  arriving.catch(() => {}); // whoever waits for it hears of it
  if (isPage || Date.now() > storedUntil) {
    try {
      const response = await (isPage ? Promise.race([arriving, late(PATIENCE)]) : arriving);
      if (isPage) storedUntil = 0;
      if (response.status < 500) return response;
    } catch {} // no network, or next to none
  }
  if (isPage) storedUntil = Date.now() + VISIT;
  const finding = caches.open(STORE).then((store) => store.match(isPage ? FOLDER : request.url));
  const found = await Promise.race([finding, late(SEARCH)]).catch(() => undefined);
  return found ?? arriving;
}

const late = (limit) => new Promise((_, reject) => setTimeout(reject, limit));
