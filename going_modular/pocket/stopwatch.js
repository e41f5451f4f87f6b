// Asks the browser demo's own model about pictures, and reports how long each took. It is
// served beside the demo. Pictures lie beside it, by number; the hash says how many.

const WARM_UP = 5; // answers that do not count

async function measure(count) {
  const { ask, startModel } = await import("/worker-client.js");
  const { kept, runs } = await startModel(() => {});
  await kept; // what comes after the start is over for all pictures alike
  const answerFor = async (number) => {
    const { preview, ...answer } = await ask(await (await fetch(number)).blob());
    preview.close();
    return answer;
  };
  for (let number = 0; number < WARM_UP; number += 1) await answerFor(number % count);
  const [answers, milliseconds] = [[], []];
  for (let number = 0; number < count; number += 1) {
    const answer = await answerFor(number);
    answers.push(answer.probabilities);
    milliseconds.push(answer.milliseconds);
  }
  return { agent: navigator.userAgent, answers, milliseconds, runs };
}

const count = Number(location.hash.slice(1));
const report = await measure(count).catch(({ message }) => ({ failed: message }));
await fetch("result", { method: "POST", body: JSON.stringify(report) });
