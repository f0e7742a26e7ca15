// A person at the dashboard, in a real browser: looks, searches, drains a worker and sees its calls move.
// node dashboard.mjs URL TOKEN CALLS WORKER FOLDER
import assert from "node:assert/strict";
import { enter, finish, has, open } from "./browser.mjs";

const [url, token, calls, worker, folder] = process.argv.slice(2);
const page = await open(url, { viewport: { width: 1360, height: 900 }, colorScheme: "light" });
await has(page, "#count", `${calls} of ${calls} on the line`);
await has(page, "#delay-words", "Last second:");

// Search, by keyboard: the first call's own name finds it alone.
const name = await page.locator(".row code").first().textContent();
await page.keyboard.press("/");
await page.keyboard.type(name);
await has(page, "#count", `1 of ${calls}`);
await page.locator("#search").fill("");
await has(page, "#count", `${calls} of ${calls}`);

// The token, and a drain that is thought better of.
await enter(page, token);
const line = page.locator(".worker", { hasText: worker });
await line.getByRole("button", { name: "Drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Cancel" }).click();
assert.equal(await line.locator(".chip").textContent(), "ready");

// And one that is meant. The calls leave while the page looks on.
await line.getByRole("button", { name: "Drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Drain" }).click();
await line.locator(".chip", { hasText: "draining" }).waitFor();
await line.getByText("0 left").waitFor();
await page.waitForFunction(() => [...document.querySelectorAll(".row canvas")].some((canvas) => canvas.title.startsWith("1 handoff,")));
await page.locator("#show").selectOption("moved");
await page.screenshot({ path: `${folder}/drain.png` });

// One of them closely, by keyboard.
await page.locator("#list").focus();
await page.keyboard.press("ArrowDown");
await page.keyboard.press("Enter");
await has(page, "#call-body", "handoff");
await page.screenshot({ path: `${folder}/call.png` });
await page.keyboard.press("Escape");

// Back.
await line.getByRole("button", { name: "Undo drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Undo drain" }).click();
await line.locator(".chip", { hasText: "ready" }).waitFor();

// A phone, in the dark: nothing stands out of it.
const phone = await open(url, { viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 });
await has(phone, "#count", `${calls} of ${calls}`);
const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
await phone.screenshot({ path: `${folder}/phone.png`, fullPage: true });

await finish();
