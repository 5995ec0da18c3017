// pg-boss. Its documentation of work() has what is fast: large batches, the shortest interval it takes, burstWhenBatchFull
// to go on at once after a full batch, and NOTIFY for the latency of single jobs.
import pg from "pg";
import { PgBoss } from "pg-boss";

const QUEUE = "bench";

export function settings(variant, callers) {
  const notify = variant === "notify";
  return {
    callers: { max: callers },
    handlers: { max: 10, useListenNotify: notify },
    queue: { notify },
    work: { batchSize: 2000, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true, localConcurrency: notify ? 4 : 1 },
  };
}

async function started(url, options) {
  const boss = new PgBoss({ connectionString: url, schedule: false, connectionTimeoutMillis: 60_000, ...options });
  boss.on("error", (error) => {
    throw error;
  });
  await boss.start();
  return boss;
}

export async function setUp(url, { queue }) {
  const boss = await started(url, { supervise: false });
  await boss.createQueue(QUEUE, queue);
  await boss.stop();
}

export async function caller(url, { callers }) {
  const boss = await started(url, { supervise: false, ...callers });
  return { enqueue: (data) => boss.send(QUEUE, data), close: () => boss.stop() };
}

export async function handlers(url, { handlers, work }, note) {
  const boss = await started(url, handlers);
  await boss.work(QUEUE, work, async (jobs) => jobs.forEach((job) => note(job.data)));
  return { close: () => boss.stop() };
}

export async function unfinished(url) {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query("SELECT count(*)::int AS jobs FROM pgboss.job WHERE state < 'completed'");
  await client.end();
  return rows[0].jobs;
}
