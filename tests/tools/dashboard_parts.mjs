// Parts of the dashboard's page without a browser: what it keeps of the events, and how it listens to them.
// Usage: dashboard_parts.mjs FOLDER, where the page's files are

import assert from "node:assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { mock } from "node:test";

const part = (name) => {
  const text = readFileSync(join(process.argv[2], name)).toString("base64");
  return import(`data:text/javascript;base64,${text}`);
};
const { Book } = await part("book.js");
const { listen } = await part("events.js");

// What the edge counted so far: how many inputs took up to each bound, and all of them.
const counters = (now, buckets, count) => ({ now_unix_us: now, handoffs: 0, round_trip: { count, buckets } });

// A second without frames has no delay, and what lies beyond the last bucket is of no known length.
const book = new Book();
book.take("counters", counters(1, [[0.001, 0], [1, 0]], 0));
book.take("counters", counters(2, [[0.001, 0], [1, 0]], 0));
book.take("counters", counters(3, [[0.001, 4], [1, 4]], 4));
book.take("counters", counters(4, [[0.001, 4], [1, 4]], 8));
const delays = book.delays.map(({ p50, p99 }) => [p50, p99]);
assert.deepStrictEqual(delays, [[null, null], [0.0005, 0.00099], [Infinity, Infinity]]);
assert.strictEqual(book.delays[0].longest, 1);

// A call that ended while the page began to listen is in the list of those that ended, and told of again.
const brief = { id: "one", phase: "ended" };
book.take("ended", [brief]);
book.take("session", { session: brief, moment: { event: "ended", at_unix_us: 5 } });
assert.deepStrictEqual(book.ended.map((call) => call.brief.id), ["one"]);

// An edge that says nothing any more is not taken for live, and is asked again.
mock.timers.enable({ apis: ["setTimeout"] });
const states = [];
let asked = 0;
let begun;
globalThis.fetch = async (_path, { signal }) => {
  asked += 1;
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(new TextEncoder().encode("event: live\ndata: {}\n\n"));
      signal.addEventListener("abort", () => stream.error(signal.reason));
    },
  });
  return { ok: true, body };
};
const wait = () => new Promise((resolve) => { begun = resolve; });
const state = (words) => {
  states.push(words);
  begun?.();
};
const live = wait();
listen("/events", (more) => more, { state, refused() {}, event() {} });
await live;
while (states.at(-1) !== "live") await wait();
const told = wait();
mock.timers.tick(6_000);
await told;
assert.strictEqual(states.at(-1), "no word from the edge");
const anew = wait();
mock.timers.tick(1_000);
await anew;
assert.strictEqual(states.at(-1), "connecting");
assert.strictEqual(asked, 2);
process.exit(0);
