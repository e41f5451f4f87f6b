// What was taught, kept on this device: IndexedDB, one record a dish and one a photo, which
// names its dish. Every change is one transaction: it is there whole or not at all.

import { within } from "./basics.js";

const NAME = `taught ${new URL("./", import.meta.url)}`; // other folders of this site have theirs
const STORES = ["dishes", "photos"];
const LIMITS = { readonly: 3000, readwrite: 10_000 }; // ms that a disk may take

/** Open it; all of it throws where the browser has no database to offer, or not to this page. */
export function openTaughtDb(onChange) {
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = onChange;

  return {
    async readAll() {
      const reading = await transact("readonly", (store) => store.getAll());
      return reading.flatMap(({ result }) => result);
    },

    /** Put records, and remove others by id or "all": everything or nothing. */
    async change({ put = [], remove = [] }) {
      await transact("readwrite", (store) => {
        const isHere = ({ dish }) => store.name === (dish ? "photos" : "dishes");
        for (const record of put.filter(isHere)) store.put(record);
        if (remove === "all") store.clear();
        else for (const id of remove) store.delete(id);
      });
      channel.postMessage("changed");
    },
  };
}

/** Wait for an event of a request or a transaction; another one means that it failed. */
const settled = (target, good, bad) =>
  new Promise((resolve, reject) => {
    target[good] = () => resolve(target.result);
    target[bad] = () => reject(target.error);
  });

/** Work with each store, in one transaction; opened anew, as browsers close what is open. */
async function transact(mode, work) {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => {
    for (const name of STORES) opening.result.createObjectStore(name, { keyPath: "id" });
  };
  const opened = await within(settled(opening, "onsuccess", "onerror"));
  const transaction = opened.transaction(STORES, mode, { durability: "strict" });
  try {
    const results = STORES.map((name) => work(transaction.objectStore(name)));
    await within(settled(transaction, "oncomplete", "onabort"), LIMITS[mode]);
    return results;
  } catch (error) {
    if (!transaction.error) transaction.abort();
    throw error;
  } finally {
    opened.close();
  }
}
