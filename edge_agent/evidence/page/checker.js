// Has bundles checked by a worker, and gives up on one that takes longer than any honest one.
"use strict";

const PATIENCE_MS = { always: 30_000, perMegabyte: 300 };

let worker = null;

/** The report on a file, as `verifyBundle` gives it; {verdict: "unchecked", why} where none came. */
async function check(file, trusted) {
  if (file.size > MAX_BYTES) {
    return refused("unreadable", "", `is larger than any bundle (${MAX_BYTES} bytes)`);
  }
  worker ??= startWorker();
  const answer = await answerOf(worker, { file, trusted });
  if (answer.verdict === "unchecked") stopWorker();
  return answer;
}

function answerOf(asked, question) {
  return new Promise((resolve) => {
    const giveUp = (why) => resolve({ ...NOTHING_KNOWN, verdict: "unchecked", findings: [], why });
    const { always, perMegabyte } = PATIENCE_MS;
    const limit = always + (perMegabyte * question.file.size) / 2 ** 20;
    const tooLong = `it took longer than ${Math.round(limit / 1000)} s, which no honest bundle does`;
    const timer = setTimeout(giveUp, limit, tooLong);
    asked.onmessage = ({ data }) => {
      clearTimeout(timer);
      resolve(data);
    };
    asked.onerror = (event) => {
      event.preventDefault();
      clearTimeout(timer);
      giveUp(event.message || "this browser ran out of memory");
    };
    asked.postMessage(question);
  });
}

/** The page is one file: the worker's script is the text of the page's own. */
function startWorker() {
  const names = ["verification", "worker"];
  const texts = names.map((name) => document.getElementById(name).textContent);
  const url = URL.createObjectURL(new Blob(texts, { type: "text/javascript" }));
  const started = new Worker(url);
  URL.revokeObjectURL(url);
  return started;
}

function stopWorker() {
  worker?.terminate();
  worker = null;
}
