// One artifact on so many threads, in a frame of its own: both runtimes settle on their threads once a page.

const WARM_UP = 5;
// An interval shorter than so many ticks of the clock is not timed by itself.
const TICKS = 100;
const BREATH_MS = 100;

let session;

async function load(job) {
  const [{ open }, model] = await Promise.all([import(`./${job.runtime}.js`), bytes(`artifact/${job.artifact}`)]);
  session = await open(model, job.threads);
}

async function bytes(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  return new Uint8Array(await answer.arrayBuffer());
}

const size = (shape) => shape.reduce((product, side) => product * side, 1);

// Several inputs of a sample lie behind one another.
function parts(row, inputs) {
  let start = 0;
  return inputs.map(({ shape }) => row.subarray(start, (start += size(shape))));
}

function joined(outputs) {
  const all = new Float32Array(outputs.reduce((total, values) => total + values.length, 0));
  outputs.reduce((start, values) => (all.set(values, start), start + values.length), 0);
  return all;
}

async function answer(job, send, tell) {
  for (let sample = 0; sample < job.samples; sample++) {
    const row = new Float32Array((await bytes(`input/${sample}`)).buffer);
    await send(sample, joined(await session.answer(session.feed(parts(row, job.inputs), job.inputs))));
    tell(sample + 1);
  }
}

function tick() {
  const start = performance.now();
  let now = start;
  while (now === start) now = performance.now();
  return now - start;
}

const breath = () => new Promise((resolve) => setTimeout(resolve));

async function mean(feed, group) {
  const start = performance.now();
  for (let index = 0; index < group; index++) await session.run(feed);
  return (performance.now() - start) / group;
}

// Any numbers will do: in 0..255 for pixels, in 0..1 for others.
function example(inputs) {
  return inputs.map(({ shape, dtype }) => {
    const length = size(shape);
    return Float32Array.from({ length }, (_, index) => ((index * 37) % 255) / (dtype === "uint8" ? 1 : 255));
  });
}

// How many inferences it takes until the clock has moved far enough.
async function grouped(feed) {
  const least = TICKS * tick();
  let group = 1;
  while (group * (await mean(feed, group)) < least) group *= 2;
  return group;
}

async function time(job, tell) {
  const feed = session.feed(example(job.inputs), job.inputs);
  await mean(feed, WARM_UP);
  const group = await grouped(feed);
  const times = [];
  let breathed = performance.now();
  while (times.length < job.runs) {
    times.push(await mean(feed, group));
    if (performance.now() - breathed > BREATH_MS) {
      tell(times.length);
      await breath();
      breathed = performance.now();
    }
  }
  return { times_ms: times, group };
}

window.runner = { load, answer, time };
