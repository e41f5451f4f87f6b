// The page's side of the worker: start it, ask it.

const TOO_OLD =
  "This browser is too old to run the model. Any current Chrome, Edge, Firefox or Safari will do.";
const STOPPED = "Part of this page stopped working. Reload it, please.";
const DEAF = "The model has not answered for a minute. Reload the page, please.";
const MAX_THREADS = 4; // more cost a small network more than they bring
// A program of WebAssembly: one function, of one instruction of relaxed SIMD, a swizzle.
const RELAXED_SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0],
  ...[65, 0, 253, 15, 65, 0, 253, 15, 253, 128, 2, 11],
);
const STUCK = 20_000; // ms without a word from the worker, while it starts
const SILENT = 60_000; // ms without a word from it, while a question waits
const START = 1; // the first question's id
const waiting = new Map(); // id: the promise's two functions
let worker;
let hear; // what the worker tells unasked, by its name
let lastId = 0;
let clock; // of the worker's silence

/** Start the model in a worker; an error's message is meant for the visitor. `onProgress` is
 *  told {done, total} in bytes, or {isStuck: true} where none come; `onTaught` what is taught.
 *  `kept`, of what is returned, is fulfilled once the model's files are stored. */
export async function startModel(onProgress, onTaught = () => {}) {
  if (!globalThis.OffscreenCanvas || !globalThis.DecompressionStream) throw new Error(TOO_OLD);
  // Half of the cores: the page and the camera want some, too. Threads need shared memory,
  // which browsers allow to isolated pages only.
  const half = Math.ceil(navigator.hardwareConcurrency / 2);
  const threads = globalThis.crossOriginIsolated ? Math.min(MAX_THREADS, half) : 1;
  let build = threads > 1 ? "threads" : "relaxed"; // of a runtime, where there are several
  if (!WebAssembly.validate(RELAXED_SIMD)) build = "plain";
  const { promise: kept, resolve } = Promise.withResolvers();
  hear = { progress: onProgress, taught: onTaught, kept: resolve };
  worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onerror = () => rejectAll(STOPPED);
  worker.onmessage = ({ data: { id, result, problem, tell, value } }) => {
    const question = waiting.get(id);
    waiting.delete(id);
    if (problem) question?.reject(new Error(problem));
    else question?.resolve(result);
    hear[tell]?.(value);
    listen();
  };
  return { ...(await teach("start", { build, threads })), build, kept };
}

/** Wait for the next word: a slow start is told, other questions are let go. */
function listen() {
  clearTimeout(clock);
  if (waiting.has(START)) clock = setTimeout(hear.progress, STUCK, { isStuck: true });
  else if (waiting.size > 0) clock = setTimeout(rejectAll, SILENT, DEAF);
}

function rejectAll(sentence) {
  clearTimeout(clock);
  for (const { reject } of waiting.values()) reject(new Error(sentence));
  waiting.clear();
}

/** Ask about a Blob or an ImageBitmap; a live one is handed over, for others there is a
 *  `preview`. What learner.js says is `taught`. */
export function ask(source, isLive = false) {
  return teach("ask", { source, withPreview: !isLive }, isLive ? [source] : []);
}

/** Ask the teacher for something: one of `calls` in teacher.js. */
export function teach(call, given = {}, handedOver = []) {
  const id = (lastId += 1);
  const question = Promise.withResolvers();
  waiting.set(id, question);
  if (waiting.size === 1) listen();
  worker.postMessage({ id, call, given }, handedOver);
  return question.promise;
}
