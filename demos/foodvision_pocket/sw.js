// Keep every file of this folder, so that the page opens without network.
//
// The page registers this as sw.js?build=BUILD&v=VERSION once it runs, so a page that is
// open has all that it needs. A new version is another address: the browser installs it
// beside the old one, and the next visit gets it.

const ASKED = new URL(location).searchParams;
const VERSION = ASKED.get("v");
const BUILDS = /^vendor\/litert_([a-z]+)\./; // of which this browser runs one
const FOLDER = new URL("./", location);
const PREFIX = `pocket ${FOLDER} `; // other folders of this site keep theirs
const STORE = PREFIX + VERSION; // storage.js says the same

self.addEventListener("install", (event) => {
  event.waitUntil(keepAll().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const { href, search } = new URL(url);
  // A question mark asks for what the network has now.
  const isOurs = href.startsWith(FOLDER.href) && method === "GET" && !search;
  if (isOurs) event.respondWith(serve(event.request));
});

/** Store what the page's worker has not stored already. All of it, or it is no use. */
async function keepAll() {
  const store = await caches.open(STORE);
  const list = await (await load("files.json")).json();
  if (list.version !== VERSION) throw new Error("the files changed meanwhile");
  const isUsed = (name) => [undefined, ASKED.get("build")].includes(BUILDS.exec(name)?.[1]);
  for (const name of [...Object.keys(list.files).filter(isUsed), "files.json"]) {
    const url = new URL(name, FOLDER);
    if (!(await store.match(url))) await store.put(url, await load(name));
  }
}

async function load(name) {
  const response = await fetch(new URL(name, FOLDER), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response;
}

async function forgetOthers() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== STORE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function serve(request) {
  const isPage = request.mode === "navigate" && request.url === FOLDER.href;
  const store = await caches.open(STORE);
  const stored = await store.match(isPage ? new URL("index.html", FOLDER) : request.url);
  return stored ?? fetch(request);
}
