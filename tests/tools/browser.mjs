// A browser with an edge's dashboard in it, for the tests. Whatever a page complains of, and whatever it asks
// of anybody but its edge, is kept; `finish` wants there to be nothing but what was tolerated. The tools' folder is
// in HOLDLINE_TOOLS. With HOLDLINE_PAGE the page's files come from that folder: a change of them needs no build.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(`${process.env.HOLDLINE_TOOLS}/../package.json`)("playwright-core");
const PATIENCE = 60_000;

const errors = [];
const tolerated = [];
let browser;

// A complaint with these words is what a test is about.
export function tolerate(words) {
  tolerated.push(words);
}

// A page of the dashboard, once it is live. `prepare`: what is done to it before it asks for anything.
export async function open(url, options, prepare = () => {}) {
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
  const folder = process.env.HOLDLINE_PAGE;
  if (folder) {
    await page.route(/:\d+\/$/, (route) => route.fulfill({ path: join(folder, "index.html") }));
    await page.route("**/dashboard/*", (route) => route.fulfill({ path: join(folder, new URL(route.request().url()).pathname.slice(11)) }));
  }
  await prepare(page);
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

// Enters the admin token, by keyboard alone.
export async function enter(page, token) {
  await page.locator("#key").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await page.waitForFunction((token) => sessionStorage.getItem("holdline.token") === token, token);
  await has(page, "#link", "live");
}

// Answers the question that is asked, by keyboard: what it offers first is not to do it.
export async function answer(page, yes) {
  await page.locator("#ask[open]").waitFor();
  if (yes) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator("#ask:not([open])").waitFor({ state: "hidden" });
}

// Looks closer at the first call of the list, by keyboard.
export async function closer(page) {
  await page.locator("#list").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await page.locator("#call[open] table").first().waitFor();
}

// Whether what has the focus is seen to have it.
export function focusSeen(page) {
  return page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    return document.activeElement.matches(":focus-visible") && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  });
}

// Waits until a part of the first row's timeline has this colour, or (`wanted` is false) none of it.
export function painted(page, colour, wanted = true) {
  return page.waitForFunction(([colour, wanted]) => {
    const canvas = document.querySelector("#rows .row canvas");
    if (!canvas) return false;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) found += data[at + 3] === 255 && colour.every((value, part) => Math.abs(value - data[at + part]) < 4);
    return wanted ? found > 50 : !found;
  }, [colour, wanted]);
}

export async function finish() {
  await browser.close();
  assert.deepEqual(errors.filter((error) => !tolerated.some((words) => error.includes(words))), []);
}
