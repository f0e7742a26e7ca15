// A person at the dashboard, in a real browser, by keyboard alone: looks, searches, drains a worker and sees its
// calls move, moves a call and ends one, sets rules.
// node dashboard.mjs URL TOKEN CALLS WORKER OTHER SESSION OVER FOLDER
// SESSION is on the line, OVER is not, and more calls ended since than the page is told of
import assert from "node:assert/strict";
import { answer, closer, find, finish, focusSeen, has, open, tolerate } from "./browser.mjs";

const [url, token, calls, worker, other, session, over, folder] = process.argv.slice(2);
const page = await open(url, { viewport: { width: 1360, height: 900 }, colorScheme: "light" });
const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
const post = (path, body) => fetch(url + path, {
  method: "POST", headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) }, body: body && JSON.stringify(body),
}).then(async (answer) => assert.ok(answer.ok, await answer.text()));
await has(page, "#count", `${calls} of ${calls} on the line`);
await has(page, "#delay-words", "Last second:");

// Search: the first call's own name finds it alone; from there down to it, closer, and back.
const name = await page.locator(".row code").first().textContent();
await press("/");
assert.ok(await focusSeen(page));
await page.keyboard.type(name);
await has(page, "#count", `1 of ${calls}`);
await press("ArrowDown");
assert.ok(await focusSeen(page));
await press("Enter");
await page.locator("#call[open]", { hasText: name }).waitFor();
await press("Escape");
assert.equal(await page.evaluate(() => document.activeElement.id), "list");
await press("/");
await page.keyboard.press("ControlOrMeta+a");
await press("Delete");
await has(page, "#count", `${calls} of ${calls}`);

// One that ended is not found among those that the page knows: the edge knows it. It does not get older.
await find(page, over);
await has(page, "#count", "none on the line, 1 that ended");
const row = page.locator("#rows .row");
assert.match(await row.textContent(), /caller_hung_up, fault: none/);
const lasted = await row.locator("span").first().textContent();
await closer(page);
await has(page, "#call-body", `lasted${lasted}worker`);
await press("Escape");
await page.locator("#search").fill("");

// The first button of a worker, and a drain that is thought better of.
const line = page.locator(".worker", { hasText: worker });
const button = line.getByRole("button");
await page.locator("#key").focus();
await press("Tab");
const first = page.locator(":focus");
assert.match(await first.textContent(), /^Drain$/);
assert.ok(await focusSeen(page));
await button.focus();
await press("Space");
await answer(page, false);
assert.equal(await line.locator(".chip").textContent(), "ready");
assert.equal(await page.evaluate(() => document.activeElement.dataset.worker), worker);

// One that is meant; a press lasts while the list of workers changes under it. The first token is wrong.
tolerate("401");
await page.keyboard.down("Space");
for (const way of ["drain", "undrain"]) {
  await post(`workers/${other}/${way}`);
  const said = await page.locator("#delay-words").textContent();
  await page.waitForFunction((said) => document.querySelector("#delay-words").textContent !== said, said);
}
await page.keyboard.up("Space");
await answer(page, true);
await has(page, "#token-why", "wants its token");
await page.keyboard.type("not-this-one");
await press("Enter");
await has(page, "#token-why", "did not accept this token");
await page.keyboard.press("ControlOrMeta+a");
await page.keyboard.type(token);
await press("Enter");
await line.locator(".chip", { hasText: "draining" }).waitFor();
await line.getByText("0 left").waitFor();
await page.waitForFunction(() => [...document.querySelectorAll(".row canvas")].some((canvas) => canvas.title.startsWith("1 handoff,")));
await page.locator("#show").selectOption("moved");
await page.screenshot({ path: `${folder}/drain.png` });

// One of them closely.
await closer(page);
await has(page, "#call-body", "handoff");
await page.screenshot({ path: `${folder}/call.png` });
await press("Escape");

// Back.
await button.focus();
await press("Enter");
await answer(page, true);
await line.locator(".chip", { hasText: "ready" }).waitFor();

// One call is not moved, is moved, and is ended.
await page.locator("#show").selectOption("live");
await find(page, session);
const moved = () => page.locator("#rows .row .words").textContent();
const before = parseInt(await moved(), 10) || 0;
for (const [what, meant] of [["Move to another worker", false], ["Move to another worker", true], ["End the call", true]]) {
  await closer(page);
  await page.locator("#call").getByRole("button", { name: what }).focus();
  assert.ok(await focusSeen(page));
  await press("Enter");
  await answer(page, meant);
  if (!meant) {
    assert.ok(await page.locator("#call").isVisible());
    await press("Escape");
    continue;
  }
  await page.locator("#call").waitFor({ state: "hidden" });
  if (what.startsWith("Move")) await page.waitForFunction((before) => parseInt(document.querySelector("#rows .row .words").textContent, 10) === before + 1, before);
}
await has(page, "#count", "none on the line, 1 that ended");
assert.equal(await moved(), "operator, fault: none");
await page.locator("#search").fill("");
await has(page, "#count", `${calls - 1} of ${calls - 1} on the line`);

// Rules, as an operator sets them.
const [v1, v2] = ["v1", "v2"].map((version) => page.locator(".version", { has: page.locator("h3", { hasText: version }) }).locator("h3"));
await has(page, "#rules", "Rollout: no weights · calls move when their worker drains · as configured");
const pins = [{ attribute: "parameter.tenant", equals: "acme", version: "v2" }];
await post("rollout", { pool: "default", weights: { v1: 90, v2: 10 }, pins, existing: "pinned" });
await has(page, "#rules", "Rollout: v1 90 %, v2 10 % · parameter.tenant=acme to v2 · calls stay with their version · set by an operator at ");
assert.match(await v1.textContent(), /90 % of calls$/);
assert.match(await v2.textContent(), /10 % of calls1 pin$/);
await post("rollout", { pool: "default", weights: {}, pins: [], disabled: ["v2"] });
await has(page, "#rules", "v2 disabled");
await v2.locator(".chip.bad", { hasText: "disabled" }).waitFor();
await page.screenshot({ path: `${folder}/rules.png` });

// A phone, in the dark: nothing stands out of it.
const phone = await open(url, { viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 });
await has(phone, "#count", `${calls - 1} of ${calls - 1}`);
const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
await phone.screenshot({ path: `${folder}/phone.png`, fullPage: true });

await finish();
