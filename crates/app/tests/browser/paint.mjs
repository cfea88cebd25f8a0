// When a browser first paints each page: node paint.mjs ORIGIN PAGES, with the key in TENDON_KEY. PAGES: a JSON list of [name, path].
// Prints a JSON list of [name, milliseconds], the median of five, with the style sheet and the script already known to the browser.

import { browser } from "./browser.mjs";

const [origin, list] = process.argv.slice(2);
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
await page.goto(`${origin}/console`);
await page.getByLabel("API key").fill(process.env.TENDON_KEY);
await page.keyboard.press("Enter");
await page.waitForURL(`${origin}/console`);

/** Milliseconds from the start of the navigation to the first content that is painted. */
async function painted(path) {
  await page.goto(origin + path);
  return page.evaluate(() => new Promise((done) => {
    new PerformanceObserver((all) => {
      const first = all.getEntriesByName("first-contentful-paint")[0];
      if (first) done(first.startTime);
    }).observe({ type: "paint", buffered: true });
  }));
}

const found = [];
for (const [name, path] of JSON.parse(list)) {
  const times = [];
  for (let look = 0; look < 5; look += 1) times.push(await painted(path));
  found.push([name, times.sort((one, other) => one - other)[2]]);
}
await browser.close();
console.log(JSON.stringify(found));
