// What was taught, kept on this device: IndexedDB, one record a dish and one a photo, which
// names its dish. Every change is one transaction: it is there whole or not at all.

import { within } from "./patience.js";

const NAME = `taught ${new URL("./", import.meta.url)}`; // other folders of this site have theirs
const STORES = ["dishes", "photos"];
const WRITING = 10_000; // ms that a disk may take for a change

/** Open it, for {readAll, change}; `onChange` is told when another tab has changed something.
 *  Throws where the browser has none to offer, or not to this page. */
export async function openTaughtDb(onChange) {
  let opened = await within(open());
  let channel; // undefined where a browser has none: other tabs hear at their start
  try {
    channel = new BroadcastChannel(NAME);
    channel.onmessage = onChange;
  } catch {}

  /** A transaction; a browser that has closed the database gets it opened once more. */
  async function begin(mode) {
    const make = () => opened.transaction(STORES, mode, { durability: "strict" });
    try {
      return make();
    } catch {
      opened = await within(open());
      return make();
    }
  }

  return {
    /** All records, dishes and photos. */
    async readAll() {
      const transaction = await begin("readonly");
      const reading = STORES.map((name) => transaction.objectStore(name).getAll());
      await within(finished(transaction));
      return reading.flatMap(({ result }) => result);
    },

    /** Put records, and remove others by id or "all", everything or nothing; `needs` is the
     *  id of a dish that must be there still. Returns whether it was done: false if that
     *  dish is gone. Throws if it was not possible. */
    async change({ put = [], remove = [], needs }) {
      const transaction = await begin("readwrite");
      const [dishes, photos] = STORES.map((name) => transaction.objectStore(name));
      const done = within(finished(transaction), WRITING);
      done.catch(() => transaction.abort()).catch(() => {}); // or it has ended already
      if (needs && !(await within(resultOf(dishes.getKey(needs))))) {
        await done;
        return false;
      }
      for (const record of put) ("dish" in record ? photos : dishes).put(record);
      for (const store of [dishes, photos]) {
        if (remove === "all") store.clear();
        else for (const id of remove) store.delete(id);
      }
      await done;
      channel?.postMessage("changed");
      return true;
    },
  };
}

/** What a request brings. */
function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    for (const name of STORES) request.result.createObjectStore(name, { keyPath: "id" });
  };
  const opened = await resultOf(request);
  opened.onversionchange = () => opened.close();
  return opened;
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
