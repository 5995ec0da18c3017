// graphile-worker, with the settings under "Quick stats" of its page on performance: a local queue of 500, 24 jobs at once,
// answers in batches without delay.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const TASK = "noop";

export function settings(variant, callers) {
  return {
    callers: { max: callers },
    worker: {
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  };
}

function fail(error) {
  throw error;
}

// A line for each job is no part of the queue.
const logger = new Logger(() => () => {});

export async function setUp(url) {
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  await utils.release();
}

export async function caller(url, { callers }) {
  const pgPool = new pg.Pool({ connectionString: url, ...callers });
  pgPool.on("error", fail).on("connect", (client) => client.on("error", fail));
  const utils = await makeWorkerUtils({ pgPool, logger });
  const close = async () => {
    await utils.release();
    await pgPool.end();
  };
  return { enqueue: (data) => utils.addJob(TASK, data), close };
}

export async function handlers(url, { worker }, note) {
  const preset = { worker: { connectionString: url, logger, ...worker } };
  const runner = await run({ preset, taskList: { [TASK]: note }, noHandleSignals: true });
  return { close: () => runner.stop() };
}

export async function unfinished(url) {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query("SELECT count(*)::int AS jobs FROM graphile_worker.jobs");
  await client.end();
  return rows[0].jobs;
}
