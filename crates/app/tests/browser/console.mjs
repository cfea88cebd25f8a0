// Drives a real browser over the console: node console.mjs ORIGIN KEY FOLDER PAGES QUESTION. Prints one JSON document of what it saw; the test
// judges it. Screenshots go into FOLDER. PAGES: a JSON list of [name, path].

import { audit, browser } from "./browser.mjs";

const [origin, key, folder, list, question] = process.argv.slice(2);
const pages = JSON.parse(list);
const seen = { console: [], outside: [], axe: [], wide: [], shifted: [], pictures: 0, keyboard: {} };

/** A page that notes every message of the console and every request to somewhere else. */
async function open(width, colorScheme, script = true) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, javaScriptEnabled: script });
  const page = await context.newPage();
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) seen.console.push(message.text()); });
  page.on("pageerror", (error) => seen.console.push(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith(`${origin}/`)) seen.outside.push(request.url()); });
  return page;
}

async function signIn(page) {
  await page.goto(`${origin}/console`);
  await page.getByLabel("API key").fill(key);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/console`);
}

/** How far things moved by themselves, from the first paint on and through one refresh. */
async function shift(page, where) {
  const moved = await page.evaluate(() => new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((all) => all.getEntries().forEach((one) => { if (!one.hadRecentInput) sum += one.value; }))
      .observe({ type: "layout-shift", buffered: true });
    requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
  }));
  if (moved > 0) seen.shifted.push({ where, moved });
}

/** Tables that are wider than their room, headings that break within a word, and cells whose text lies over what stands beside them. */
async function cramped(page, where) {
  const found = await page.evaluate(() => {
    const told = [];
    const name = (one) => `${one.className} ${one.textContent.trim().slice(0, 40)}`;
    for (const room of document.querySelectorAll(".scroll:not(.map)")) {
      if (room.scrollWidth > room.clientWidth) told.push(`${room.scrollWidth} in ${room.clientWidth}: ${name(room)}`);
    }
    for (const cell of document.querySelectorAll("th, td")) {
      if (!cell.checkVisibility() || cell.closest("thead")?.offsetWidth === 1) continue;
      if (cell.scrollWidth > cell.clientWidth + 1) told.push(`cell: ${name(cell)}`);
      const text = document.createRange();
      text.selectNodeContents(cell);
      const lines = new Set([...text.getClientRects()].map((line) => Math.round(line.top)));
      if (cell.closest("thead") && !cell.querySelector(".hidden") && lines.size > cell.textContent.trim().split(/\s+/).length) told.push(`broken: ${name(cell)}`);
    }
    return told;
  });
  for (const one of found) seen.wide.push({ where, one });
}

// The door, as a stranger sees it.
for (const scheme of ["light", "dark"]) {
  const page = await open(360, scheme);
  await page.goto(`${origin}/console`);
  seen.door = page.url().slice(origin.length);
  await audit(page, `sign-in ${scheme}`, seen);
  await page.screenshot({ path: `${folder}/sign-in-360-${scheme}.png` });
  await page.context().close();
}

for (const width of [360, 768, 1024, 1440]) {
  for (const scheme of ["light", "dark"]) {
    const page = await open(width, scheme);
    await signIn(page);
    for (const [name, path] of pages) {
      const where = `${name} ${width} ${scheme}`;
      await page.goto(`${origin}${path}`);
      await page.locator("main h1").waitFor();
      await shift(page, where);
      await audit(page, where, seen);
      await cramped(page, where);
      await page.screenshot({ path: `${folder}/${name}-${width}-${scheme}.png`, fullPage: true });
      seen.pictures += 1;
    }
    // Subjects may be long: a mail address, and one that no person would choose.
    await page.goto(`${origin}/console/decisions`);
    await page.evaluate(() => {
      const subjects = document.querySelectorAll("td[data-of=Subject]");
      subjects[0].textContent = "erika.mustermann-von-der-aue@example.org";
      subjects[1].textContent = "x".repeat(500);
    });
    await cramped(page, `long subjects ${width} ${scheme}`);
    await page.context().close();
  }
}

// A refresh brings the live parts up to date and moves nothing.
{
  const page = await open(1440, "light");
  await signIn(page);
  const refreshed = page.waitForResponse((answer) => answer.request().headers()["x-console-refresh"] === "1");
  await refreshed;
  await page.waitForFunction(() => document.querySelector("#live span").textContent === "Live");
  await shift(page, "a refresh");
  await page.context().close();
}

// The main tasks by keyboard alone: sign in, reach a decision over the skip link and the search, replay it, sign out.
{
  const page = await open(1440, "dark");
  await page.goto(`${origin}/console/decisions`);
  // The field takes the keyboard by itself, with the first picture, which may come after the page has loaded.
  await page.locator("input[name=key]:focus").waitFor();
  await page.keyboard.type(key);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/console/decisions`);
  seen.keyboard.next = page.url().slice(origin.length);
  await page.keyboard.press("Tab");
  seen.keyboard.first = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  seen.keyboard.search = await page.evaluate(() => document.activeElement.id);
  const tab = (to) => tabTo(page, to);
  seen.keyboard.row = await tab("tbody a");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Why" }).waitFor();
  seen.keyboard.replay = await tab("a[href*='check=replay']");
  await page.keyboard.press("Enter");
  await page.locator("[role=status]").waitFor();
  seen.keyboard.verdict = await page.locator("[role=status]").innerText();
  seen.keyboard.menu = await tab("summary");
  await page.keyboard.press("Enter");
  seen.keyboard.out = await tab("form[action='/console/sign-out'] button");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/console/sign-in?out=1`);
  // The back button shows nothing of what was seen.
  await page.goBack();
  seen.keyboard.back = await page.locator("h1").innerText();
  await page.context().close();
}

/** Tabs on until something is reached. */
async function tabTo(page, to, most = 60) {
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((to) => document.activeElement.matches(to), to)) return true;
  }
  return false;
}

// The list of decisions grows at its top: where the reader stands, and where they are, stays; they are told how many came; and they
// can stop it.
{
  const page = await open(360, "light");
  await page.setViewportSize({ width: 360, height: 480 });
  await signIn(page);
  const decide = async (times) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    for (let asked = 0; asked < times; asked += 1) {
      const answer = await fetch(`${origin}/v1/integrations/desk/decisions`, { method: "POST", headers, body: question });
      if (!answer.ok) throw new Error(`a decision was answered with ${answer.status}`);
    }
  };
  await page.goto(`${origin}/console/decisions?integration=desk`);
  const shown = () => page.locator("#rows tr").count();
  const until = (rows) => page.locator("#rows tr").nth(rows - 1).waitFor();
  const began = await shown();
  const last = page.locator("#rows tr a").last();
  await last.focus();
  const top = () => last.evaluate((row) => Math.round(row.getBoundingClientRect().top));
  const before = await top();
  await decide(3);
  await until(began + 3);
  seen.tail = {
    moved: (await top()) - before,
    scrolled: await page.evaluate(() => scrollY > 0),
    focused: await last.evaluate((row) => row === document.activeElement),
    told: await page.locator("#news").innerText(),
    role: await page.locator("#news").getAttribute("role"),
  };
  await audit(page, "a list that has grown", seen);
  await page.screenshot({ path: `${folder}/decisions-grown-360-light.png`, fullPage: true });
  // Paused: what comes meanwhile comes when it goes on.
  await page.locator("#live").focus();
  await page.keyboard.press("Space");
  await decide(1);
  seen.tail.paused = [await page.locator("#live").getAttribute("aria-pressed"), (await shown()) - began];
  await page.keyboard.press("Space");
  await until(began + 4);
  // More than an answer holds: the newest, and the way on from the last of them.
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  await decide(60);
  await page.locator("#older[href*='before=']").waitFor();
  seen.tail.newest = await shown();
  await page.locator("#older").click();
  await page.waitForURL(/before=/);
  seen.tail.older = await shown().then(() => page.locator("tbody tr").count());
  await page.context().close();
}

// A value that the CRM refused is put right by keyboard.
{
  const page = await open(1440, "dark");
  await signIn(page);
  await page.goto(`${origin}/console/letters`);
  const letter = pages.find(([name]) => name === "letter")[1];
  seen.edit = { letter: await tabTo(page, `a[href='${letter}']`) };
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}${letter}`);
  const band = "input[name='value:score_band']";
  const write = async (what) => {
    await page.keyboard.press("Control+A");
    await page.keyboard.type(what);
    await page.keyboard.press("Enter");
  };
  seen.edit.score = await tabTo(page, "input[name='value:score']");
  await write("much");
  await page.locator("#wrong").waitFor();
  seen.edit.wrong = await page.locator("#wrong").innerText();
  await audit(page, "a value that is none", seen);
  await page.screenshot({ path: `${folder}/letter-wrong-1440-dark.png`, fullPage: true });
  seen.edit.described = await page.locator("[aria-invalid=true]").getAttribute("aria-describedby");
  await tabTo(page, "input[name='value:score']");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("0.5");
  seen.edit.band = await tabTo(page, band);
  await write("checked");
  await page.waitForURL(`${origin}/console/letters`);
  seen.edit.done = await page.locator("[role=status]").innerText();
  await page.context().close();
}

// Without script everything is there, too.
{
  const page = await open(768, "light", false);
  await signIn(page);
  seen.plain = [await page.locator("main h1").innerText(), await page.locator("#integrations tbody tr").count()];
  await page.getByRole("button", { name: /Change to light/ }).click();
  seen.theme = await page.locator("html").getAttribute("data-theme");
  await page.context().close();
}

await browser.close();
console.log(JSON.stringify(seen));
