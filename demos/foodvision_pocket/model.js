// The page's side of the worker: start the model, ask it.

const TOO_OLD =
  "This browser is too old to run the model. Any current Chrome, Edge, Firefox or Safari will do.";
const MAX_THREADS = 4; // more cost a small network more than they bring
const waiting = new Map(); // id: the promise's two functions
let worker;
let lastId = 0;

/**
 * Start the model in a worker.
 *
 * @param {({done, total}) => void} onProgress Told how many bytes have come.
 * @returns {Promise<{about, threads, version}>} What model.json says, and so on.
 * @throws {Error} If it cannot start; its message is meant for the visitor.
 */
export function startModel(onProgress) {
  return new Promise((resolve, reject) => {
    if (typeof OffscreenCanvas === "undefined" || typeof DecompressionStream === "undefined") {
      reject(new Error(TOO_OLD));
      return;
    }
    const threads = countThreads();
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.onerror = () => {
      const error = new Error("Part of this page stopped working. Reload it, please.");
      reject(error);
      for (const question of waiting.values()) question.reject(error);
      waiting.clear();
    };
    worker.onmessage = ({ data }) => {
      if (data.progress) onProgress(data.progress);
      else if (data.ready) resolve({ ...data.ready, threads });
      else if (data.failed) reject(new Error(whyNotStarted(data.failed)));
      else settle(data);
    };
    worker.postMessage({ threads });
  });
}

/**
 * Half of the processor's cores: the page and the camera want some, too. Threads need
 * shared memory, which browsers allow to isolated pages only.
 */
function countThreads() {
  const half = Math.ceil((navigator.hardwareConcurrency ?? 1) / 2);
  return globalThis.crossOriginIsolated ? Math.min(MAX_THREADS, half) : 1;
}

function whyNotStarted(reason) {
  console.error(reason);
  const isOffline = navigator.onLine === false;
  return isOffline
    ? "There is no network, and the model is not on this device yet. Connect once and reload."
    : "The model could not be loaded. Check the connection and reload the page.";
}

function settle({ id, answer, preview, problem }) {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (problem) reject(new Error(problem));
  else resolve({ ...answer, preview });
}

/**
 * Ask about one picture. Call it only once `startModel` has been fulfilled.
 *
 * @param {Blob | ImageBitmap} source A file, or a frame, which is handed over for good.
 * @returns {Promise<{probabilities: number[], familiarity: number, ours: number,
 *   milliseconds: number, preview?: ImageBitmap}>} Probabilities are in the order of the
 *   class names.
 * @throws {Error} If there is no answer; its message is meant for the visitor.
 */
export function ask(source) {
  lastId += 1;
  const id = lastId;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, source }, source instanceof Blob ? [] : [source]);
  });
}
