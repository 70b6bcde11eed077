// BullMQ on Redis: `node bullmq_bell.cjs work` posts, `node bullmq_bell.cjs send` adds the plan ahead with `delay`,
// `node bullmq_bell.cjs left` prints how many jobs have not ended.
"use strict";

const fs = require("node:fs");
const { Queue, Worker } = require("bullmq");
const IORedis = require("ioredis");
const { Agent, request } = require("undici");

const NAME = "bells";
const TIMEOUT_MS = 10_000;
const ATTEMPTS = 4;
const IN_FLIGHT = Number(process.env.IN_FLIGHT);
const IDLE_MS = 3_600_000; // longer than any pause of the bench: connections are kept from one burst to the next
const AT_ONCE = 1000; // jobs that are added together

const connection = () => new IORedis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

function work() {
  const dispatcher = new Agent({ connections: 10, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS });
  const ring = async ({ data }) => {
    const answer = await request(data.url, {
      dispatcher,
      method: "POST",
      body: data.body,
      headers: { "content-type": "application/json", "webhook-id": data.id },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`HTTP ${answer.statusCode}`);
  };
  const worker = new Worker(NAME, ring, { connection: connection(), concurrency: IN_FLIGHT });
  worker.on("ready", () => console.log("ready"));
  worker.on("error", (error) => console.error(error));
}

async function send() {
  const queue = new Queue(NAME, { connection: connection() });
  const bells = fs.readFileSync(process.env.PLAN, "utf8").trim().split("\n").map(JSON.parse);
  const options = {
    attempts: ATTEMPTS,
    backoff: { type: "exponential", delay: 1000 },
    removeOnComplete: { count: 1000 },
    removeOnFail: { count: 5000 },
  };
  const job = ({ id, url, at }) => ({
    name: "ring",
    data: { id, url, body: process.env.BODY },
    opts: { ...options, jobId: id, delay: Math.max(0, Math.ceil(at * 1000) - Date.now()) },
  });
  for (let n = 0; n < bells.length; n += AT_ONCE) await queue.addBulk(bells.slice(n, n + AT_ONCE).map(job));
  await queue.close();
  process.exit(0);
}

async function left() {
  const queue = new Queue(NAME, { connection: connection() });
  console.log(await queue.getJobCountByTypes("waiting", "paused", "prioritized", "delayed", "active"));
  await queue.close();
  process.exit(0);
}

({ work, send, left })[process.argv[2]]();
