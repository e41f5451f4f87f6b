// What several parts of the page and of its worker need.

/** What went wrong, in a sentence that is meant for the visitor. */
export class VisitorError extends Error {}

/** Wait for a promise, but no longer than so many ms: some browsers never answer. */
export function within(promise, limit = 3000) {
  const { promise: late, reject } = Promise.withResolvers();
  setTimeout(reject, limit, new Error(`no answer in ${limit} ms`));
  return Promise.race([promise, late]);
}
