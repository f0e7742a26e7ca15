// A person at the dashboard, in a real browser: looks, searches, drains a worker and sees its calls move.
// node dashboard.mjs URL TOKEN CALLS WORKER FOLDER - the tools' folder is in HOLDLINE_TOOLS
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.HOLDLINE_TOOLS}/../package.json`)("playwright-core");
const [url, token, calls, worker, folder] = process.argv.slice(2);
const PATIENCE = 60_000;

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const errors = [];

async function open(options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || errors.push(`asked ${request.url()}`));
  await page.goto(url);
  await has(page, "#link", "live");
  return page;
}

// Waits until this is what stands there.
function has(page, place, words) {
  return page.waitForFunction(([place, words]) => document.querySelector(place)?.textContent.includes(words), [place, words]);
}

const page = await open({ viewport: { width: 1360, height: 900 }, colorScheme: "light" });
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
await page.getByRole("button", { name: "Token" }).click();
await page.locator("#token-value").fill(token);
await page.getByRole("button", { name: "Use it" }).click();
await has(page, "#link", "live");
const line = page.locator(".worker", { hasText: worker });
await line.getByRole("button", { name: "Drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Cancel" }).click();
assert.equal(await line.locator(".chip").textContent(), "ready");

// And one that is meant. The calls leave while the page looks on.
await line.getByRole("button", { name: "Drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Drain" }).click();
await line.locator(".chip", { hasText: "draining" }).waitFor();
await line.getByText("0 left").waitFor();
await page.waitForFunction(() => [...document.querySelectorAll(".row canvas")].some((canvas) => canvas.title.startsWith("1 handoffs")));
await page.locator("#show").selectOption("moved");
await page.screenshot({ path: `${folder}/dashboard-deploy.png` });

// One of them closely, by keyboard.
await page.locator("#list").focus();
await page.keyboard.press("ArrowDown");
await page.keyboard.press("Enter");
await has(page, "#call-body", "handoff");
await page.screenshot({ path: `${folder}/dashboard-call.png` });
await page.keyboard.press("Escape");

// Back.
await line.getByRole("button", { name: "Undo drain" }).click();
await page.locator("#ask").getByRole("button", { name: "Undo drain" }).click();
await line.locator(".chip", { hasText: "ready" }).waitFor();

// A phone, in the dark: nothing stands out of it.
const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 });
await has(phone, "#count", `${calls} of ${calls}`);
const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
assert.ok(wide <= 0, `${wide} pixels too wide for a phone`);
await phone.screenshot({ path: `${folder}/dashboard-phone.png`, fullPage: true });

await browser.close();
assert.deepEqual(errors, []);
