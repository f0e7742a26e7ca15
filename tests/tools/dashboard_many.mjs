// The dashboard of an edge with thousands of calls, half of which move while it is open.
// node dashboard_many.mjs URL TOKEN CALLS WORKER SESSION - prints how long looking took to begin
import assert from "node:assert/strict";
import { enter, find, finish, has, open, share } from "./browser.mjs";

const [url, token, calls, worker, session] = process.argv.slice(2);
// What can be in sight of a window like this, and some more.
const IN_SIGHT = 40;

// From the question to everything as it is: without a browser, and with one.
let begun = performance.now();
const stream = new AbortController();
const answer = await fetch(`${url}events`, { signal: stream.signal });
let told = "";
for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
  told += piece;
  if (told.includes("\nevent: live\n")) break;
}
console.log(`/events live with ${calls} calls after ${Math.round(performance.now() - begun)} ms (${told.length >> 10} KiB)`);
stream.abort();
const page = await open(url, { viewport: { width: 1360, height: 900 } }, () => { begun = performance.now(); });
const rows = page.locator("#rows .row");

async function few() {
  const count = await rows.count();
  assert.ok(count > 0 && count <= IN_SIGHT, `${count} lines are drawn`);
}

await has(page, "#count", `${calls} of ${calls} on the line`);
await rows.first().waitFor();
console.log(`the page's rows with ${calls} calls after ${Math.round(performance.now() - begun)} ms`);
await few();

// To the end of the list and back.
for (const [edge, last] of [["scrollHeight", calls], ["clientTop", "1"]]) {
  await page.locator("#list").evaluate((list, edge) => { list.scrollTop = list[edge]; }, edge);
  await page.locator(`#rows .row[aria-posinset="${last}"]`).waitFor();
  await few();
}

await find(page, session);
await has(page, "#count", `1 of ${calls}`);
await page.locator("#search").fill("");
await has(page, "#count", `${calls} of ${calls}`);

// All calls of one worker leave it.
await enter(page, token);
await has(page, "#count", `${calls} of ${calls}`);
const line = page.locator(".worker", { hasText: worker });
await line.getByRole("button", { name: "Drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Drain" }).click();
await line.getByText("0 left").waitFor();
await share(page, `v2: ${calls} calls`);
await page.waitForFunction(() => [...document.querySelectorAll("#rows .row > :nth-child(3)")].every((cell) => cell.textContent === "v2"));
await has(page, "#link", "live");
await few();

await finish();
