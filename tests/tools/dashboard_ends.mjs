// What the dashboard says of calls that ended: in the list, and of each one closely.
// node dashboard_ends.mjs URL SESSION... - prints an object: by session, both
import { find, finish, open } from "./browser.mjs";

const [url, ...sessions] = process.argv.slice(2);
const page = await open(url, { viewport: { width: 1360, height: 900 } });
await page.locator("#show").selectOption("ended");

const told = {};
for (const session of sessions) {
  await find(page, session);
  const row = page.locator("#rows .row");
  const listed = await row.locator(".words").textContent();
  await row.click();
  const closely = await page.waitForFunction((session) => {
    const facts = [...document.querySelectorAll("#call-body tr")].map((line) => [...line.children].map((cell) => cell.textContent));
    return facts.some(([name, value]) => name === "session" && value === session) && facts.find(([name]) => name === "end")?.[1];
  }, session);
  told[session] = [listed, await closely.jsonValue()];
  await page.keyboard.press("Escape");
}
await finish();
console.log(JSON.stringify(told));
