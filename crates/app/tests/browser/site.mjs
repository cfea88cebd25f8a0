// Every page of the documentation's site in a real browser: node site.mjs FOLDER PICTURES. Served from an address of its own, at the width
// of a phone and of a desk, light and dark; and from the folder itself, where a reader may open it. Prints what is wrong; exits 1 if anything is.

import { createServer } from "node:http";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { audit, browser } from "./browser.mjs";

const [folder, pictures] = process.argv.slice(2);
mkdirSync(pictures, { recursive: true });
const KINDS = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".png": "image/png", ".svg": "image/svg+xml" };
const pages = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".html")).sort();
const server = createServer((asked, answer) => {
  try {
    const bytes = readFileSync(join(folder, decodeURIComponent(new URL(asked.url, "http://here").pathname)));
    answer.writeHead(200, { "content-type": KINDS[extname(asked.url)] ?? "application/octet-stream" }).end(bytes);
  } catch {
    answer.writeHead(404).end();
  }
}).listen(0, "127.0.0.1");
await new Promise((listens) => server.once("listening", listens));
const origin = `http://127.0.0.1:${server.address().port}`;
const seen = { console: [], outside: [], missing: [], axe: [], wide: [], structure: [] };
const shown = new Set(["index.html", "docs/reference/configuration.html", "docs/reference/http.html", "docs/terms.html", "docs/console.html"]);

/** A page that notes what it says, asks for and does not find. */
async function noted(context, home, where) {
  const page = await context.newPage();
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.console.push(`${where()}: ${message.text()}`); });
  page.on("pageerror", (error) => seen.console.push(`${where()}: ${error}`));
  page.on("request", (request) => { if (!request.url().startsWith(home)) seen.outside.push(`${where()}: ${request.url()}`); });
  page.on("response", (response) => { if (response.status() >= 400) seen.missing.push(`${where()}: ${response.url()}`); });
  return page;
}

async function look(width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  let name = "";
  const page = await noted(context, `${origin}/`, () => name);
  for (name of pages) {
    await page.goto(`${origin}/${name}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (overflow > 0) seen.wide.push({ where: `${name} ${width} ${colorScheme}`, overflow });
    if (shown.has(name)) await page.screenshot({ path: join(pictures, `${name.replaceAll("/", "-").replace(".html", "")}-${width}-${colorScheme}.png`) });
    // Generated tables are alike: what axe says of the first rows it says of a thousand more, a minute later.
    await page.evaluate(() => document.querySelectorAll("tr:nth-child(n + 20), .scroll:nth-of-type(n + 12)").forEach((more) => more.remove()));
    await audit(page, `${name} ${width} ${colorScheme}`, seen);
  }
  await context.close();
}

for (const width of [360, 1280]) await Promise.all([look(width, "light"), look(width, "dark")]);

// Without a server: the policy lets the folder's own style and pictures in. By keyboard: the first stop leads to the text.
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "dark" });
const home = pathToFileURL(folder).href;
const page = await noted(context, home, () => "from the folder");
await page.goto(`${home}/docs/console.html`);
const facts = await page.evaluate(() => ({
  ground: getComputedStyle(document.body).backgroundColor,
  pictures: [...document.images].length,
  loaded: [...document.images].every((image) => image.getAttribute("width") > 0 && image.alt),
}));
if (facts.ground !== "rgb(14, 19, 24)" || facts.pictures < 2 || !facts.loaded) seen.structure.push(facts);
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
if (await page.evaluate(() => document.activeElement.id) !== "main") seen.structure.push("the first stop of the keyboard does not lead to the text");
// On a phone the pages are behind a button that needs no script.
await page.setViewportSize({ width: 360, height: 800 });
await page.getByText("All pages", { exact: true }).first().click();
await page.getByRole("link", { name: "Back up and restore" }).first().click();
await page.waitForURL("**/docs/backup.html");
// The index leads to the very row, without a script; the document beside the page of the interface can be had.
await page.setViewportSize({ width: 1280, height: 900 });
await page.getByRole("link", { name: "Index", exact: true }).click();
await page.waitForURL("**/docs/terms.html");
await page.locator(".terms > div", { has: page.getByText("idempotency_conflict", { exact: true }) }).getByRole("link", { name: "Error codes" }).click();
await page.waitForURL("**/docs/reference/errors.html#*");
const row = await page.evaluate(() => ({ text: document.querySelector("tr:target")?.innerText, top: document.querySelector("tr:target")?.getBoundingClientRect().top }));
if (!row.text?.startsWith("idempotency_conflict") || row.top < 0 || row.top > 900) seen.structure.push(row);
const served = await noted(context, `${origin}/`, () => "served");
await served.goto(`${origin}/docs/reference/http.html`);
const [download] = await Promise.all([served.waitForEvent("download"), served.getByRole("link", { name: "openapi.json" }).first().click()]);
if (JSON.parse(readFileSync(await download.path(), "utf8")).openapi !== "3.1.0") seen.structure.push("openapi.json is not the document");
await browser.close();
server.close();
const wrong = Object.entries(seen).filter(([, found]) => found.length > 0);
if (wrong.length > 0) {
  for (const [what, found] of wrong) console.error(what, JSON.stringify(found.slice(0, 12), null, 1));
  process.exit(1);
}
console.log(`${pages.length} pages at 360 and 1280, light and dark: no serious finding of axe, nothing wider than the window, nothing asked of others`);
