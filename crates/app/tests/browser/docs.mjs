// Drives a real browser over /docs: node docs.mjs ORIGIN KEY FOLDER. Prints one JSON document of what it saw; the test judges it.
// Screenshots go into FOLDER.

import { audit, browser } from "./browser.mjs";

const [origin, key, folder] = process.argv.slice(2);
const seen = { console: [], outside: [], axe: [], wide: [] };

/** A page that notes every message of the console and every request to somewhere else. */
async function open(width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: false });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  const page = await context.newPage();
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.console.push(message.text()); });
  page.on("pageerror", (error) => seen.console.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("data:")) seen.outside.push(request.url());
  });
  await page.goto(`${origin}/docs`);
  await page.locator("article").first().waitFor();
  await page.locator("article form").first().waitFor();
  return page;
}

const page = await open(1280, "light");
seen.groups = await page.locator("nav h2").allTextContents();
seen.operations = await page.locator("article").count();
const form = page.locator("article form").first();

// Without a key the answer says so.
await form.getByRole("button", { name: "Send" }).click();
await form.locator(".status").waitFor();
seen.withoutKey = await form.locator(".status").innerText();

// With the keyboard alone: the key, then the form's own example, sent by Enter.
await page.getByLabel("API key").focus();
await page.keyboard.type(key);
await form.locator(".grid input").last().focus();
await page.keyboard.press("Enter");
await form.locator(".status.good").waitFor();
seen.decided = await form.locator(".status").innerText();
seen.headers = await form.getByRole("region", { name: "Headers of the answer" }).innerText();
seen.body = JSON.parse(await form.getByRole("region", { name: "Body of the answer" }).innerText());

// A field of the form stands in the body, and the other way round.
await form.getByLabel("age", { exact: true }).fill("44");
seen.sent = JSON.parse(await form.getByLabel("Body", { exact: true }).inputValue());
await form.getByLabel("Body", { exact: true }).fill(JSON.stringify({ input: { ...seen.sent.input, age: 45 } }));
seen.field = await form.getByLabel("age", { exact: true }).inputValue();
await form.getByRole("button", { name: "Copy as curl" }).click();
await form.getByText("Copied.").waitFor();
seen.curl = await page.evaluate(() => navigator.clipboard.readText());
seen.stored = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie.length]);
await audit(page, "1280 light, an answer", seen);
await page.screenshot({ path: `${folder}/docs-1280-light.png`, fullPage: true });

for (const [width, scheme] of [[360, "light"], [360, "dark"], [1280, "dark"]]) {
  const other = await open(width, scheme);
  // Everything open: what is hidden is not audited.
  await other.evaluate(() => document.querySelectorAll("article > details").forEach((one) => { one.open = true; }));
  await other.locator("article").last().locator("form").waitFor();
  await audit(other, `${width} ${scheme}`, seen);
  await other.locator("article > details").nth(1).locator("> summary").click();
  await other.screenshot({ path: `${folder}/docs-${width}-${scheme}.png` });
  await other.locator("article form").first().scrollIntoViewIfNeeded();
  await other.screenshot({ path: `${folder}/docs-${width}-${scheme}-form.png` });
}
await browser.close();
console.log(JSON.stringify(seen));
