// Drives a real browser over a page of somebody else that shows badges: node badge.mjs TENDON KEY FOLDER HOST BADGES. Prints one JSON
// document of what it saw; the test judges it. Screenshots go into FOLDER. HOST: origin of the page. BADGES: a JSON list of
// [name, attributes] that the page gets beside its own.

import { audit, browser } from "./browser.mjs";
import { settled } from "./shown.mjs";

const [tendon, , folder, host, list] = process.argv.slice(2);
const badges = JSON.parse(list);
const seen = { console: [], outside: [], axe: [], wide: [], cut: [], shifted: [], refused: [], states: {}, visible: [], keyboard: [] };

/** The host's page; notes every message of the console, every request to somewhere else, and what moves by itself. */
async function open(width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.on("console", (message) => {
    // A browser notes each refused request by itself; the badge's own words are looked at below.
    const note = `${message.text()} ${message.location().url}`;
    if (["error", "warning"].includes(message.type())) (note.includes("/embed/integrations/") ? seen.refused : seen.console).push(note);
  });
  page.on("pageerror", (error) => seen.console.push(String(error)));
  page.on("request", (request) => {
    if (![`${host}/`, `${tendon}/embed/`, "data:"].some((start) => request.url().startsWith(start))) seen.outside.push(request.url());
  });
  await page.addInitScript(() => {
    window.moved = 0;
    window.shown = [];
    new PerformanceObserver((all) => all.getEntries().forEach((one) => { if (!one.hadRecentInput) window.moved += one.value; }))
      .observe({ type: "layout-shift", buffered: true });
    addEventListener("tendon-shown", ({ detail, target }) => window.shown.push([target.getAttribute("subject"), detail.state, performance.now()]));
  });
  return page;
}

/** Adds badges to the page, each in a row of its own with a compact one beside it; notes what each says. */
async function add(page, scheme) {
  await page.evaluate((badges) => {
    for (const [name, attributes] of badges) {
      const badge = document.createElement("tendon-badge");
      for (const [key, value] of Object.entries(attributes)) badge.setAttribute(key, value);
      const compact = badge.cloneNode();
      compact.setAttribute("compact", "");
      badge.id = name;
      const row = document.createElement("p");
      row.append(badge, " ", compact);
      document.querySelector("main").append(row);
    }
  }, badges);
  await settled(page, "tendon-badge");
  // What a badge says has room in it, and a page that is written from right to left changes nothing of that.
  for (const dir of ["rtl", "ltr"]) {
    const cut = await page.evaluate((dir) => {
      document.documentElement.dir = dir;
      const buttons = [...document.querySelectorAll("tendon-badge")].map((badge) => badge.shadowRoot.querySelector("button"));
      return buttons.filter((button) => button.scrollWidth > button.clientWidth).map((button) => `${dir}: ${button.innerText}`);
    }, dir);
    seen.cut.push(...cut);
    if (dir === "rtl") await page.screenshot({ path: `${folder}/badge-${page.viewportSize().width}-${scheme}-rtl.png`, fullPage: true });
  }
  if (scheme !== "light") return;
  for (const [name] of badges) {
    const button = page.locator(`#${name}`).getByRole("button").first();
    seen.states[name] = [(await button.getAttribute("class")).split(" ").filter((one) => one && one !== "badge"), await button.innerText()];
    await button.click();
    const panel = page.locator(`#${name}`).getByRole("dialog");
    await panel.locator("p").first().waitFor();
    await settled(page, `#${name}`);
    seen.states[name].push(await panel.innerText(), await panel.locator("img, script, a").count());
    await page.keyboard.press("Escape");
  }
}

for (const [width, scheme] of [[1280, "light"], [768, "dark"], [360, "light"], [360, "dark"]]) {
  const page = await open(width, scheme);
  await page.goto(host);
  await settled(page, "tendon-badge");
  const frame = page.frameLocator("iframe");
  await frame.locator("tendon-badge .score").waitFor();
  if (width === 1280) {
    // The second visit finds the script in the browser's cache, as all but the first do.
    for (let visit = 0; visit < 5; visit += 1) {
      await page.reload();
      await settled(page, "tendon-badge");
      seen.visible.push(await page.evaluate(() => window.shown.find(([subject, state]) => subject === "1" && state === "fresh")[2]));
      await frame.locator("tendon-badge .score").waitFor();
    }
  }
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const moved = await page.evaluate(() => window.moved);
  if (moved > 0) seen.shifted.push({ width, scheme, moved });
  await audit(page, `${width} ${scheme}, closed`, seen);

  // By keyboard alone: to the badge, into its breakdown, and back.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const panel = page.locator("tendon-badge").first().getByRole("dialog");
  await panel.locator("svg.chart, p.head").first().waitFor();
  const keyboard = {
    where: `${width} ${scheme}`,
    opened: await panel.isVisible(),
    reasons: await panel.locator("li").count(),
    chart: await panel.getByRole("img").getAttribute("aria-label"),
  };
  await audit(page, `${width} ${scheme}, open`, seen);
  await page.screenshot({ path: `${folder}/badge-${width}-${scheme}.png` });
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "hidden" });
  await page.locator("tendon-badge").first().getByRole("button", { expanded: false }).waitFor();
  keyboard.closed = !(await panel.isVisible());
  keyboard.back = await page.evaluate(() => document.activeElement.getAttribute("subject"));
  seen.keyboard.push(keyboard);

  // A page that uses its badge for somebody else: nothing of the one before stays, not even for a moment.
  await page.keyboard.press("Enter");
  await panel.locator("li").first().waitFor();
  seen.moved = await page.evaluate(() => {
    const badge = document.querySelector("tendon-badge");
    const [button, panel] = ["button", "[role=dialog]"].map((one) => badge.shadowRoot.querySelector(one));
    const state = () => button.className.split(" ")[1];
    const before = state();
    badge.setAttribute("subject", "nobody");
    return { before, at_once: [state(), panel.matches(":popover-open")] };
  });
  await settled(page, "tendon-badge");
  seen.moved.after = await page.locator("tendon-badge").first().getByRole("button").first().evaluate((one) => one.className.split(" ")[1]);
  await page.evaluate(() => document.querySelector("tendon-badge").setAttribute("subject", "1"));

  await add(page, scheme);
  await audit(page, `${width} ${scheme}, all states`, seen);
  await page.screenshot({ path: `${folder}/badge-${width}-${scheme}-states.png`, fullPage: true });
  await page.context().close();
}
await browser.close();
console.log(JSON.stringify(seen));
