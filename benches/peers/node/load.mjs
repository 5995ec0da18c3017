// One queue under the load that the bench asks for. Notes when each job was sent, acknowledged and started; the bench does
// the counting. One argument: the run, as JSON.
//
// Callers and handlers have threads of their own, so that neither waits for the other's event loop. The clock is the
// kernel's monotonic one, which all threads share.
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const [NEXT, ACKNOWLEDGED, STARTED, STOP] = [0, 1, 2, 3];
const [SENT_AT, ACKNOWLEDGED_AT, STARTED_AT] = [0, 1, 2];
const DRAINED_WITHIN_MS = 120_000;

const nowUs = () => Number(process.hrtime.bigint()) / 1000;

/** What the threads share: counters, and three times of each job in microseconds, 0 where there is none yet. */
class Notes {
  constructor({ counters, times }) {
    this.counters = counters;
    this.times = times;
  }

  static of(jobs) {
    const counters = new Int32Array(new SharedArrayBuffer(4 * Int32Array.BYTES_PER_ELEMENT));
    return new Notes({ counters, times: new Float64Array(new SharedArrayBuffer(jobs * 3 * Float64Array.BYTES_PER_ELEMENT)) });
  }

  sent() {
    const number = Atomics.add(this.counters, NEXT, 1);
    if (number * 3 >= this.times.length) throw new Error("more jobs than the bench made room for");
    this.times[number * 3 + SENT_AT] = nowUs();
    return number;
  }

  acknowledged(number) {
    this.times[number * 3 + ACKNOWLEDGED_AT] = nowUs();
    Atomics.add(this.counters, ACKNOWLEDGED, 1);
  }

  started(number) {
    this.times[number * 3 + STARTED_AT] = nowUs();
    Atomics.add(this.counters, STARTED, 1);
  }

  outstanding() {
    return Atomics.load(this.counters, ACKNOWLEDGED) - Atomics.load(this.counters, STARTED);
  }

  stop() {
    Atomics.store(this.counters, STOP, 1);
  }

  stopped() {
    return Atomics.load(this.counters, STOP) === 1;
  }

  write(path) {
    writeFileSync(path, new Uint8Array(this.times.buffer).subarray(0, this.counters[NEXT] * 3 * 8));
  }
}

async function call(enqueue, run, notes) {
  const number = notes.sent();
  await enqueue({ number, text: run.text });
  notes.acknowledged(number);
}

async function oneAfterTheOther(enqueue, run, notes) {
  while (!notes.stopped()) {
    if (notes.outstanding() >= run.outstanding) await sleep(1);
    else await call(enqueue, run, notes);
  }
}

/** Whether or not earlier jobs are answered. */
async function byTheClock(enqueue, run, notes) {
  const begin = nowUs();
  const calls = new Set();
  for (let turn = 0; !notes.stopped(); ) {
    for (; begin + (turn / run.rate) * 1e6 <= nowUs(); turn++) {
      const made = call(enqueue, run, notes).finally(() => calls.delete(made));
      calls.add(made);
    }
    await sleep(1);
  }
  await Promise.all(calls);
}

async function main(run) {
  const queue = await import(`./${run.queue}.mjs`);
  const { name, version } = JSON.parse(readFileSync(new URL(`node_modules/${run.queue}/package.json`, import.meta.url)));
  const settings = queue.settings(run.variant, run.callers);
  await queue.setUp(run.url, settings);
  const notes = Notes.of(run.jobs_max);
  const handlers = await thread("handlers", run, settings, notes);
  const callers = await thread("callers", run, settings, notes);
  callers.postMessage("go");
  await sleep(run.seconds * 1000);
  notes.stop();
  await said(callers, "ended");
  const drainedBy = nowUs() + DRAINED_WITHIN_MS * 1000;
  while (notes.outstanding() > 0 || (await queue.unfinished(run.url)) > 0) {
    if (nowUs() > drainedBy) throw new Error("acknowledged jobs were not worked off");
    await sleep(100);
  }
  handlers.postMessage("end");
  await said(handlers, "ended");
  notes.write(run.times);
  console.log(JSON.stringify({ version: `${name} ${version}, Node.js ${process.versions.node}`, settings }));
}

/** A thread that is ready. */
async function thread(role, run, settings, notes) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role, run, settings, notes: { ...notes } } });
  worker.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  await said(worker, "ready");
  return worker;
}

const said = (port, what) =>
  new Promise((resolve) => port.on("message", (message) => message === what && resolve()));

async function inThread({ role, run, settings, notes: shared }) {
  const queue = await import(`./${run.queue}.mjs`);
  const notes = new Notes(shared);
  if (role === "handlers") {
    const handlers = await queue.handlers(run.url, settings, ({ number }) => notes.started(number));
    const end = said(parentPort, "end");
    parentPort.postMessage("ready");
    await end;
    await handlers.close();
  } else {
    const caller = await queue.caller(run.url, settings);
    const go = said(parentPort, "go");
    parentPort.postMessage("ready");
    await go;
    if (run.rate === null) {
      const callers = Array.from({ length: run.callers }, () => oneAfterTheOther(caller.enqueue, run, notes));
      await Promise.all(callers);
    } else {
      await byTheClock(caller.enqueue, run, notes);
    }
    await caller.close();
  }
  parentPort.postMessage("ended");
  parentPort.close();
}

if (isMainThread) await main(JSON.parse(process.argv[2]));
else await inThread(workerData);
