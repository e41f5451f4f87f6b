// A limit for every wait that the page can do without: some browsers never answer.

const LIMIT = 3000; // ms

/** Wait for a promise, but not for ever: reject if nothing came within the limit. */
export function within(promise, limit = LIMIT) {
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${limit} ms`)), limit);
  });
  return Promise.race([promise, tooLong]).finally(() => clearTimeout(timer));
}
