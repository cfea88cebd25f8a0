// Pages that bring themselves up to date, look by look: node live.mjs ORIGIN KEY. Prints one JSON document of what it saw. The page's own interval
// is taken from it, so that a look begins when this script says so; what has changed meanwhile is what this script takes away.

import { browser } from "./browser.mjs";

const [origin, key] = process.argv.slice(2);
const seen = { live: [], still: [] };
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
await page.addInitScript(() => { window.setInterval = (look) => { window.look = look; }; });
await page.goto(`${origin}/console`);
await page.getByLabel("API key").fill(key);
await page.keyboard.press("Enter");
await page.waitForURL(`${origin}/console`);

/** One look, until what it found was worked in. */
async function look() {
  const answered = page.waitForResponse((answer) => answer.request().headers()["x-console-refresh"] === "1");
  await page.evaluate(() => window.look());
  await (await answered).finished();
}

// Every page of the navigation: what says Live has no table and no state that stands still, and what is refreshed says so.
const names = await page.locator(".side a").allInnerTexts();
for (const name of names) {
  await page.locator(".side a", { hasText: name }).first().click();
  await page.locator("main h1", { hasText: name }).waitFor();
  const found = await page.evaluate(() => {
    const live = document.getElementById("live");
    const parts = [...document.querySelectorAll("[data-live]")];
    if (!parts.length) return { live: false, still: [] };
    const lies = (one) => one.closest("[data-live], #live");
    const cards = [...document.querySelectorAll("main .card")].filter((one) => !lies(one) && !one.querySelector("[data-live]"));
    const words = [...document.querySelectorAll("main .badge")].filter((one) => !lies(one));
    const nameless = parts.filter((one) => document.querySelectorAll(`[id="${one.id}"]`).length !== 1);
    return { live: live !== null && !live.hidden, still: [...cards, ...words, ...nameless].map((one) => one.outerHTML.slice(0, 120)).concat(live ? [] : ["no Live"]) };
  });
  if (found.live) seen.live.push(name);
  seen.still.push(...found.still.map((what) => `${name}: ${what}`));
}

// A link in a table.
{
  await page.goto(`${origin}/console`);
  const link = page.locator("#integrations tbody a").first();
  await link.focus();
  const to = await link.getAttribute("href");
  await page.evaluate(() => { document.querySelector("#integrations tbody td.number").textContent = "stale"; });
  await look();
  await page.waitForFunction(() => !document.getElementById("integrations").textContent.includes("stale"));
  seen.link = { renewed: true, same: await page.evaluate((to) => document.activeElement.getAttribute("href") === to, to) };
}

// A button in a menu that is open, while a row comes in above it.
const rows = (count) => page.waitForFunction((count) => document.querySelectorAll("#outcomes tbody tr").length === count, count);
const stood = () => page.evaluate(() => document.activeElement.form?.elements.delivery.value);
{
  await page.goto(`${origin}/console/deliveries`);
  await page.locator("#outcomes summary[aria-label^=Undo]").nth(1).click();
  await page.locator("#outcomes details[open] button").focus();
  const before = await stood();
  await page.evaluate(() => document.querySelector("#outcomes tbody tr").remove());
  await look();
  await rows(3);
  seen.menu = { renewed: true, same: before !== undefined && (await stood()) === before, open: await page.locator("#outcomes details[open]").count() };
}

// The same, and the row goes away: no other row's button has the focus.
{
  await page.evaluate(() => {
    const row = document.activeElement.closest("tr");
    row.querySelector("input[name=delivery]").value = "0-0";
  });
  await look();
  await page.waitForFunction(() => !document.querySelector("#outcomes input[value='0-0']"));
  seen.gone = { renewed: true, part: await page.evaluate(() => document.activeElement.id) };
}

await browser.close();
console.log(JSON.stringify(seen));
