// A limit for every wait that the page can do without: some browsers never answer.

const LIMIT = 3000; // ms

/** Wait for a promise, but not for ever: reject if nothing came within the limit. */
export function within(promise, limit = LIMIT) {
  const error = new Error(`no answer in ${limit} ms`);
  const late = new Promise((_, reject) => setTimeout(reject, limit, error));
  return Promise.race([promise, late]);
}
