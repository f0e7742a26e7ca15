// A person watches a rolling deploy, in a real browser. Says on standard output how far it has come in what it
// sees; the test goes on with the deploy then.
// node dashboard_deploy.mjs URL CALLS CALL_SID FOLDER
import assert from "node:assert/strict";
import { closer, find, finish, has, open, painted, share } from "./browser.mjs";

const [url, calls, sid, folder] = process.argv.slice(2);
const page = await open(url, { viewport: { width: 1360, height: 900 }, colorScheme: "light" });

// Waits until the calls in the list have these versions.
async function versions(...wanted) {
  await page.waitForFunction((wanted) => {
    const seen = [...document.querySelectorAll("#rows .row > :nth-child(3)")].map((cell) => cell.textContent);
    return wanted === [...new Set(seen)].sort().join();
  }, wanted.join());
}

// The colour that a version has beside its name.
function colour(version) {
  return page.evaluate((version) => {
    const title = [...document.querySelectorAll(".version > h3")].find((title) => title.textContent.startsWith(version));
    return getComputedStyle(title.querySelector(".swatch")).backgroundColor.match(/\d+/g).map(Number);
  }, version);
}

await has(page, "#count", `${calls} of ${calls} on the line`);
await share(page, `v1: ${calls} calls`);
await versions("v1");
console.log("at rest");

// Half of the workers are replaced. The rest are left alone until this was seen.
await page.waitForFunction(() => /^v1: \d+ calls?, v2: \d+ calls?$/.test(document.querySelector("#share").getAttribute("aria-label")));
await versions("v1", "v2");
await page.waitForFunction(() => [...document.querySelectorAll("#rows .row")].every((row) => {
  const [, , version, words] = [...row.children].map((cell) => cell.textContent);
  return version === "v1" || /^\d+, gap up to \d/.test(words);
}));
await page.screenshot({ path: `${folder}/deploy.png` });
const [before, after] = [await colour("v1"), await colour("v2")];
console.log("half way");

await share(page, `v2: ${calls} calls`);
await versions("v2");
await page.waitForFunction(() => [...document.querySelectorAll("#rows .words")].every((cell) => /^\d+, gap up to \d/.test(cell.textContent)));

// One call, found by its carrier's name for it, by keyboard alone.
await page.keyboard.press("/");
await page.keyboard.type(sid.toLowerCase());
await find(page, sid);
await has(page, "#count", `1 of ${calls}`);
await page.waitForFunction(() => document.querySelector("#rows .row canvas").title.match(/^[1-9]\d* handoff/));
assert.notDeepEqual(before, after);
await painted(page, before);
await painted(page, after);
await closer(page);
await has(page, "#call-title", sid);
const handoff = page.locator('#call-body tr:has(td:text-is("handoff"))');
assert.match(await handoff.last().textContent(), /gap [\d.]+ m?s.*version v2/);
await page.keyboard.press("Escape");

await finish();
