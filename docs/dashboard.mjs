#!/usr/bin/env node
// Makes dashboard.png, dashboard-dark.png and dashboard-phone.png: the dashboard in the middle of the demo's
// rolling deploy.
//
//   cargo build --release -p holdline
//   HOLDLINE_TOOLS=target/tools/bin docs/dashboard.mjs target/release/holdline docs
//
// It starts the demo, opens its edge's page three times, takes pictures again and again while workers are
// replaced, and keeps of each page the one on which the calls are nearest to half moved. The browser and what
// drives it are those of the tests: tests/run installs them.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

process.env.HOLDLINE_TOOLS = resolve(process.env.HOLDLINE_TOOLS ?? "target/tools/bin");
const { finish, has, open } = await import("../tests/tools/browser.mjs");

const [holdline, out] = process.argv.slice(2);
const CALLS = 12;
const PAGES = {
  "dashboard.png": { viewport: { width: 1200, height: 900 }, colorScheme: "light", deviceScaleFactor: 1.5 },
  "dashboard-dark.png": { viewport: { width: 1200, height: 900 }, colorScheme: "dark", deviceScaleFactor: 1.5 },
  "dashboard-phone.png": { viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 },
};

// How much there is to see: calls on the rarer version, and whether a worker is being left.
function told(page) {
  return page.evaluate(() => {
    const share = [...document.querySelector("#share").getAttribute("aria-label").matchAll(/: (\d+) call/g)];
    const left = [...document.querySelectorAll(".worker progress")].some((bar) => bar.value < bar.max);
    return share.length === 2 ? Math.min(...share.map(([, calls]) => Number(calls))) + (left ? 0.5 : 0) : 0;
  });
}

async function look(page, best) {
  const before = await told(page);
  const picture = await page.screenshot({ fullPage: true });
  const worth = Math.min(before, await told(page));
  return worth > best.worth ? { worth, picture } : best;
}

const folder = mkdtempSync(join(tmpdir(), "holdline-"));
const demo = spawn(holdline, ["demo", "--calls", String(CALLS), "--pause", "20", "--out", folder], { stdio: ["ignore", "pipe", "inherit"] });
const ended = new Promise((resolve) => demo.on("exit", resolve));
const lines = createInterface({ input: demo.stdout })[Symbol.asyncIterator]();
async function line(words) {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the demo ended before it said "${words}"`);
    if (value.includes(words)) return;
  }
}

await line("on the line");
const port = readFileSync(join(folder, "edge.yaml"), "utf8").match(/^admin:.*?127\.0\.0\.1:(\d+)/ms)[1];
const pages = {};
for (const [file, options] of Object.entries(PAGES)) {
  pages[file] = await open(`http://127.0.0.1:${port}/`, options);
  await has(pages[file], "#count", `${CALLS} of ${CALLS}`);
}
await line("rolling deploy: v1 to v2");
const best = Object.fromEntries(Object.keys(PAGES).map((file) => [file, { worth: 0 }]));
let over = false;
line("rolling deploy: done").then(() => { over = true; });
while (!over) for (const file of Object.keys(PAGES)) best[file] = await look(pages[file], best[file]);
await finish();
for (const [file, { picture }] of Object.entries(best)) writeFileSync(join(out, file), picture);
// The demo ends what it started.
for await (const _ of lines);
await ended;
rmSync(folder, { recursive: true });
