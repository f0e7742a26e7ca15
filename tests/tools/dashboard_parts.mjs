// Parts of the dashboard's page without a browser: what it keeps of the events, and how it listens to them.
// Usage: dashboard_parts.mjs FOLDER, where the page's files are

import assert from "node:assert";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock } from "node:test";

// Where Node.js takes the files for modules, as browsers do.
const folder = mkdtempSync(join(tmpdir(), "holdline-"));
cpSync(process.argv[2], folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{"type": "module"}');
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
const { Book } = await import(join(folder, "book.js"));
const { drawDelay, spans } = await import(join(folder, "draw.js"));
const { listen } = await import(join(folder, "events.js"));
rmSync(folder, { recursive: true });

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

// What calls tell is counted at once, and once: the next counters have it.
const counted = new Book();
counted.take("counters", counters(10, [[1, 0]], 0));
counted.take("session", { session: { id: "two" }, moment: { event: "handoff", at_unix_us: 11 } });
assert.strictEqual(counted.sum("handoffs", "handoff"), 1);
counted.take("counters", { ...counters(20, [[1, 0]], 0), handoffs: 1 });
assert.strictEqual(counted.sum("handoffs", "handoff"), 1);

// A long call's beginning is not known: neither what heard nor what asked for later says who had it then.
const long = { id: "long", phase: "running", started_unix_us: 0, worker: { version: "v2" }, held_since_unix_us: null };
const attached = { event: "attached", at_unix_us: 50, version: "v2" };
const external = { event: "external", at_unix_us: 60 };
counted.take("sessions", [long]);
const call = counted.calls.get("long");
assert.deepStrictEqual(spans(call, 90), [{ from: 0, unknown: true, to: 90 }]);
counted.recall(call, { dropped: 7, events: [attached] });
assert.deepStrictEqual(spans(call, 90), [{ from: 0, unknown: true, to: 50 }, { from: 50, version: "v2", to: 90 }]);
counted.recall(call, { dropped: 8, events: [external] });
call.moments = [external];
assert.deepStrictEqual(spans(call, 90), [{ from: 0, unknown: true, to: 60 }, { from: 60, version: "v2", to: 90 }]);
counted.recall(call, { dropped: 0, events: [{ event: "began", at_unix_us: 1 }, attached] });
assert.deepStrictEqual(spans(call, 90).map(({ from }) => from), [50]);
for (let at = 100; at < 400; at += 1) counted.take("session", { session: long, moment: { ...external, at_unix_us: at } });
assert.deepStrictEqual(spans(call, 400).map(({ from, unknown }) => [from, unknown]), [[0, true], [144, undefined]]);

// A page that heard nothing for a while knows nothing of it: its plot has a gap there, as wide as that was long.
const drawn = [];
const pen = new Proxy({}, { get: (_, name) => (...of) => (/To$/.test(name) && drawn.push([name, Math.round(of[0])]), { width: 0 }), set: () => true });
globalThis.document = { createElement: () => ({ style: {}, remove() {}, setAttribute() {}, append() {} }), body: { append() {} } };
globalThis.getComputedStyle = () => ({ color: "red" });
globalThis.devicePixelRatio = 1;
const delay = (second) => ({ at: second * 1e6, p50: 0.001, p99: 0.002, handoffs: 0 });
drawDelay({ clientWidth: 150, clientHeight: 100, getContext: () => pen }, [0, 1, 99, 100].map(delay), 100e6);
assert.deepStrictEqual(drawn.slice(-4), [["moveTo", 46], ["lineTo", 47], ["moveTo", 145], ["lineTo", 146]]);

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

// One that tells over and over that news were missed is asked again after ever longer times.
asked = 0;
globalThis.fetch = async () => {
  asked += 1;
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(new TextEncoder().encode("event: live\ndata: {}\n\nevent: missed\ndata: {}\n\n"));
      stream.close();
    },
  });
  return { ok: true, body };
};
const ended = () => new Promise((resolve) => { begun = () => states.at(-1) === "ended" && resolve(); });
let over = ended();
listen("/events", (more) => more, { state, refused() {}, event() {} });
for (const [time, before] of [500, 1_000, 2_000].map((time, index) => [time, index + 1])) {
  await over;
  mock.timers.tick(time - 1);
  assert.strictEqual(asked, before);
  over = ended();
  mock.timers.tick(1);
}
await over;
assert.strictEqual(asked, 4);
process.exit(0);
