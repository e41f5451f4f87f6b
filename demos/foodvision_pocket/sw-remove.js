// The way out for a host: copy this over sw.js. At their next visit, browsers throw away
// what they keep of this page, and ask the server for everything, as if for the first time.

const PREFIX = `pocket ${new URL("./", location)} `;

self.oninstall = () => self.skipWaiting();
self.onactivate = (event) => event.waitUntil(forgetAll());

async function forgetAll() {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX));
  await Promise.all(names.map((name) => caches.delete(name)));
  await self.registration.unregister();
}
