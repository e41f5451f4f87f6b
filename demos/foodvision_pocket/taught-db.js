// What was taught, kept on this device: IndexedDB, one record a dish and one a photo. Every
// change is one transaction, so it is there whole or not at all.

import { within } from "./patience.js";

const NAME = `taught ${new URL("./", import.meta.url)}`; // other folders of this site have theirs
const STORES = ["dishes", "photos"];
const WRITING = 10_000; // ms that a disk may take for a change

/**
 * Open it.
 *
 * @param {() => void} onChange Told when another tab has changed something.
 * @returns {Promise<{readAll, change}>}
 * @throws {DOMException} Where the browser has none to offer, or not to this page.
 */
export async function openTaughtDb(onChange) {
  let opened = await within(open());
  const channel = makeChannel(onChange);

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
    /** All records: {dishes: [...], photos: [...]}. */
    async readAll() {
      const transaction = await begin("readonly");
      const [dishes, photos] = STORES.map((name) => transaction.objectStore(name).getAll());
      await within(finished(transaction));
      return { dishes: dishes.result, photos: photos.result };
    },

    /**
     * Put and remove records, all or none.
     *
     * @param {{put?: object, remove?: object, needs?: string}} changes Arrays of records or
     *   of ids by store; remove "all" for all. `needs` is the id of a dish that must be
     *   there still.
     * @returns {Promise<boolean>} Whether it was done: false if that dish is gone.
     * @throws {DOMException} If it was not possible; nothing has changed.
     */
    async change({ put = {}, remove = {}, needs }) {
      const transaction = await begin("readwrite");
      const done = within(finished(transaction), WRITING);
      done.catch(() => abort(transaction));
      if (needs && !(await within(has(transaction, needs)))) {
        await done;
        return false;
      }
      for (const name of STORES) {
        const store = transaction.objectStore(name);
        for (const record of put[name] ?? []) store.put(record);
        if (remove === "all") store.clear();
        for (const id of remove[name] ?? []) store.delete(id);
      }
      await done;
      channel?.postMessage("changed");
      return true;
    },
  };
}

/** What tells other tabs; undefined where a browser has none: they hear at their start. */
function makeChannel(onChange) {
  try {
    const channel = new BroadcastChannel(NAME);
    channel.onmessage = onChange;
    return channel;
  } catch {
    return undefined;
  }
}

function abort(transaction) {
  try {
    transaction.abort();
  } catch {
    // It has ended already.
  }
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

async function has(transaction, id) {
  return (await resultOf(transaction.objectStore("dishes").getKey(id))) !== undefined;
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
