// A person at the dashboard while workers are lost, calls are held and the edge itself is to end, in a real browser.
// Says on standard output how far it has come in what it sees; the test goes on then.
// node dashboard_losses.mjs URL CALLS FOLDER
import assert from "node:assert/strict";
import { finish, has, open, painted, tolerate } from "./browser.mjs";

const [url, calls, folder] = process.argv.slice(2);

// What became of the calls before is asked for again, after a while, if the edge could not be reached or said no.
tolerate("ERR_FAILED");
tolerate("503");
const asked = new Map();
const page = await open(url, { viewport: { width: 1360, height: 900 }, colorScheme: "light" }, (page) => page.route("**/sessions/*", (route) => {
  const at = asked.get(route.request().url()) ?? [];
  asked.set(route.request().url(), [...at, performance.now()]);
  if (at.length === 0) return route.abort();
  return at.length === 1 ? route.fulfill({ status: 503 }) : route.continue();
}));
const unknown = [217, 222, 230];
await painted(page, unknown);
await painted(page, unknown, false);
const [first, second, third] = [...asked.values()][0];
// The time itself is the subject.
assert.ok(second - first > 900 && third - second > 1_800, `asked again after ${second - first} and ${third - second} ms`);
console.log("watching");

// One worker dies: its calls go on with the other.
await page.waitForFunction(() => [...document.querySelectorAll("#rows .row canvas")].some((canvas) => canvas.title.includes("1 worker lost")));
await page.locator(".version", { hasText: /waiting to be met.*\(was v1\) Connection refused/ }).waitFor();
console.log("lost");

// So does the other: all calls are held, and can be listed.
await page.locator("#show").selectOption("held");
await has(page, "#count", `${calls} of ${calls} on the line`);
await page.locator("#rows .row .words.bad", { hasText: "held for" }).first().waitFor();
await page.waitForFunction(() => [...document.querySelectorAll("#rows .row canvas")].every((canvas) => /[1-9] workers? lost, [1-9] hold/.test(canvas.title)));
assert.equal(await page.locator("#numbers div", { hasText: "held" }).locator("dd").textContent(), calls);
await page.waitForFunction(() => {
  const canvas = document.querySelector("#rows .row canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let at = 0; at < data.length; at += 4) red += data[at] > 180 && data[at + 1] < 120 && data[at + 3] > 60;
  return red > 50;
});
await page.screenshot({ path: `${folder}/held.png` });
console.log("held");

// The edge is told to end.
await has(page, "#phase", "draining: takes no calls");
await finish();
