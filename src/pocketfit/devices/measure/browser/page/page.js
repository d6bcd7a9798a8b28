// Asks the command what to do, has a frame do it, and sends back what came of it.

const KEY = "pocketfit-key";
const ALIVE_MS = 5000;
const RETRY_MS = 2000;

const state = document.querySelector("#state");
const table = document.querySelector("table");
let key = sessionStorage.getItem(KEY) ?? "";
let loaded = { name: "", frame: null };

class Over extends Error {}

async function ask(address, body) {
  const method = body === undefined ? "GET" : "POST";
  const answer = await fetch(address, { method, body, headers: { "X-Pocketfit-Key": key } });
  if (answer.status === 410) throw new Over();
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function battery() {
  try {
    const { level, charging } = await navigator.getBattery();
    return { percent: Math.round(100 * level), charging };
  } catch {
    return null; // most browsers do not tell
  }
}

async function browser() {
  const wanted = ["model", "platformVersion"];
  const told = await navigator.userAgentData?.getHighEntropyValues(wanted).catch(() => null);
  if (!told) return navigator.userAgent.slice(0, 300);
  const named = told.brands.filter(({ brand }) => !/not.*brand/i.test(brand)).at(-1);
  const system = `${told.platform} ${told.platformVersion ?? ""}`.trim();
  return [named && `${named.brand} ${named.version}`, system, told.model].filter(Boolean).join(", ");
}

async function hello() {
  const told = { cores: navigator.hardwareConcurrency || 1, threads: crossOriginIsolated };
  ({ key } = await ask("hello", JSON.stringify({ browser: await browser(), battery: await battery(), ...told })));
  sessionStorage.setItem(KEY, key);
}

const visible = () =>
  new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });

async function keepScreenOn() {
  try {
    await navigator.wakeLock.request("screen");
  } catch {
    // The page asks for it in words as well.
  }
}

// The row of an artifact with so many threads; its last cell says how it goes.
function row(job) {
  const id = `${job.artifact}-${job.threads}`;
  let found = document.getElementById(id);
  if (!found) {
    found = table.tBodies[0].insertRow();
    found.id = id;
    for (const text of [job.title, job.threads, ""]) found.insertCell().textContent = text;
    table.hidden = false;
  }
  const cell = found.lastElementChild;
  return (text, kind = "") => {
    cell.textContent = text;
    cell.className = kind;
  };
}

// A fresh frame for another artifact or other threads; the last one, with all its memory, goes.
async function frameFor(job) {
  const name = `${job.artifact}-${job.threads}`;
  if (loaded.name === name) return loaded.frame.contentWindow.runner;
  loaded.frame?.remove();
  loaded = { name: "", frame: document.createElement("iframe") };
  loaded.frame.src = "runner.html";
  await new Promise((resolve, reject) => {
    loaded.frame.onload = resolve;
    loaded.frame.onerror = () => reject(new Error("the frame was not loaded"));
    document.body.append(loaded.frame);
  });
  const { runner } = loaded.frame.contentWindow;
  if (!runner) throw new Error("this browser is too old for the page");
  await runner.load(job);
  loaded.name = name;
  return runner;
}

function median(times) {
  const sorted = [...times].sort((one, other) => one - other);
  return (sorted[(times.length - 1) >> 1] + sorted[times.length >> 1]) / 2;
}

async function doJob(job, show) {
  show("loading …");
  const runner = await frameFor(job);
  if (job.kind === "answer") {
    await runner.answer(
      job,
      (sample, outputs) => ask(`answer/${job.id}/${sample}`, outputs),
      (done) => show(`answering, ${done} of ${job.samples}`),
    );
    show("answered");
    return {};
  }
  const timed = await timedInFront(runner, job, show);
  show(`${median(timed.times_ms).toPrecision(3)} ms`, "good");
  return timed;
}

// Browsers slow down what is not in front: such a round is done once more.
async function timedInFront(runner, job, show) {
  for (;;) {
    await visible();
    let hidden = false;
    const note = () => (hidden = true);
    document.addEventListener("visibilitychange", note);
    const timed = await runner.time(job, (done) => show(`${done} of ${job.runs}`));
    document.removeEventListener("visibilitychange", note);
    if (!hidden) return timed;
  }
}

const words = (error) => String(error?.message ?? error).slice(0, 300) || "it failed without a word";

async function work(job) {
  const show = row(job);
  const alive = setInterval(() => ask("alive", "").catch(() => {}), ALIVE_MS);
  let done;
  try {
    done = await doJob(job, show);
  } catch (error) {
    loaded.name = ""; // whatever is left of it is not to be trusted
    if (error instanceof Over) throw error;
    done = { error: words(error) };
    show(done.error, "bad");
  } finally {
    clearInterval(alive);
  }
  await ask(`done/${job.id}`, JSON.stringify({ ...done, battery: await battery() }));
}

async function main() {
  state.textContent = "Connecting …";
  await hello();
  await keepScreenOn();
  document.addEventListener("visibilitychange", () => document.hidden || keepScreenOn());
  let failures = 0;
  for (;;) {
    state.textContent = "Measuring. Nothing to do but wait.";
    try {
      const job = await ask("next");
      failures = 0;
      if (job) await work(job);
    } catch (error) {
      if (error instanceof Over || ++failures > 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

main().catch((error) => {
  loaded.frame?.remove();
  state.textContent =
    error instanceof Over || error instanceof TypeError
      ? "The command has ended. You can close this page."
      : `This page cannot go on: ${words(error)}`;
});
