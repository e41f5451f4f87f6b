// Serve this folder's files. The network goes first, so whatever is kept can be mended on the
// server; what model-cache.js has stored is for days without one. sw-remove.js is the way out.
// The page registers this as sw.js?v=VERSION once all of that version is stored.

const FOLDER = new URL("./", location);
const STORE = `pocket ${FOLDER} ${new URL(location).searchParams.get("v")}`;
const PATIENCE = 3000; // ms for the network to bring the page, if it is stored
const SEARCH = 8000; // ms for the disk to bring what is stored
const VISIT = 30_000; // ms for a stored page to bring its stored files: all of one version
let storedUntil = 0;

self.oninstall = () => self.skipWaiting();
self.onactivate = (event) => event.waitUntil(self.clients.claim());

self.onfetch = (event) => {
  const { method, mode, url } = event.request;
  const { href, pathname, search } = new URL(url);
  if (method !== "GET" || !href.startsWith(FOLDER.href)) return;
  const name = pathname.slice(FOLDER.pathname.length);
  const isPage = mode === "navigate" && ["", "index.html"].includes(name);
  // A question mark behind a file asks for what the network has now.
  if (isPage || !search) event.respondWith(serve(event.request, isPage));
};

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
  const finding = caches.match(isPage ? FOLDER : request.url, { cacheName: STORE });
  const found = await Promise.race([finding, late(SEARCH)]).catch(() => undefined);
  return found ?? arriving;
}

const late = (limit) => new Promise((_, reject) => setTimeout(reject, limit));
