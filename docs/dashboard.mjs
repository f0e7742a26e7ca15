#!/usr/bin/env node
// Makes dashboard.png, dashboard-dark.png and dashboard-phone.png: the dashboard in the middle of the demo's
// rolling deploy.
//
//   cargo build --release -p holdline
//   HOLDLINE_TOOLS=target/tools/bin docs/dashboard.mjs target/release/holdline docs
//
// It starts the demo, has its edge move one call a second, so that there is something to see, and opens its page
// three times. A page stands still once a worker is half left and the calls are about half moved, and is taken then.
// The browser and what drives it are those of the tests: tests/run installs them.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

process.env.HOLDLINE_TOOLS = resolve(process.env.HOLDLINE_TOOLS ?? "target/tools/bin");
const { finish, has, open } = await import("../tests/tools/browser.mjs");

const [holdline, out] = process.argv.slice(2);
const [CALLS, WORKERS] = [18, 3];
const PAGES = {
  "dashboard.png": { viewport: { width: 1200, height: 1040 }, colorScheme: "light", deviceScaleFactor: 1.5 },
  "dashboard-dark.png": { viewport: { width: 1200, height: 1040 }, colorScheme: "dark", deviceScaleFactor: 1.5 },
  "dashboard-phone.png": { viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 },
};

// Waits until there is something to see, and stops the page's clock.
function still(page) {
  return page.waitForFunction((calls) => {
    const shares = [...document.querySelector("#share").getAttribute("aria-label").matchAll(/: (\d+) call/g)].map(([, calls]) => Number(calls));
    const bar = document.querySelector(".worker progress");
    const seen = bar && bar.value > 0 && bar.value < bar.max && Math.min(...shares) >= calls / 2 - 1 && shares.length === 2;
    if (seen) window.requestAnimationFrame = () => 0;
    return seen;
  }, CALLS);
}

const folder = mkdtempSync(join(tmpdir(), "holdline-"));
const demo = spawn(holdline, ["demo", "--calls", String(CALLS), "--workers", String(WORKERS), "--pause", "15", "--out", folder], { stdio: ["ignore", "pipe", "inherit"] });
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
const file = join(folder, "edge.yaml");
const edge = readFileSync(file, "utf8");
writeFileSync(file, edge.replace(/^( *)discovery:/m, "$1handoffs_per_second: 1\n$&"));
const port = edge.match(/^admin:.*?127\.0\.0\.1:(\d+)/ms)[1];
const pages = {};
for (const [file, options] of Object.entries(PAGES)) {
  pages[file] = await open(`http://127.0.0.1:${port}/`, options);
  await has(pages[file], "#count", `${CALLS} of ${CALLS}`);
}
await line("rolling deploy: v1 to v2");
await Promise.all(Object.values(pages).map(still));
for (const [file, page] of Object.entries(pages)) await page.screenshot({ path: join(out, file), fullPage: true });
await finish();
// The demo ends what it started.
for await (const _ of lines);
await ended;
rmSync(folder, { recursive: true });
