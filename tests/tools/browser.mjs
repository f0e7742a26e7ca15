// A browser with an edge's dashboard in it, for the tests. Whatever a page complains of, and whatever it asks
// of anybody but its edge, is kept; `finish` wants there to be nothing. The tools' folder is in HOLDLINE_TOOLS.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { chromium } = createRequire(`${process.env.HOLDLINE_TOOLS}/../package.json`)("playwright-core");
const PATIENCE = 60_000;

const errors = [];
let browser;

// A page of the dashboard, once it is live.
export async function open(url, options) {
  browser ??= await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
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
export function has(page, place, words) {
  return page.waitForFunction(([place, words]) => document.querySelector(place)?.textContent.includes(words), [place, words]);
}

// Waits until the bar of versions says exactly this.
export function share(page, words) {
  return page.waitForFunction((words) => document.querySelector("#share").getAttribute("aria-label") === words, words);
}

// Searches, and waits until this call alone is in the list.
export async function find(page, words, id = words) {
  await page.locator("#search").fill(words);
  await page.waitForFunction((id) => {
    const rows = [...document.querySelectorAll("#rows .row")];
    return rows.length === 1 && (rows[0].id === `call-${id}` || rows[0].querySelector("code").textContent === id);
  }, id);
}

// Enters the admin token.
export async function enter(page, token) {
  await page.getByRole("button", { name: "Token" }).click();
  await page.locator("#token-value").fill(token);
  await page.getByRole("button", { name: "Use it" }).click();
  await has(page, "#link", "live");
}

export async function finish() {
  await browser.close();
  assert.deepEqual(errors, []);
}
