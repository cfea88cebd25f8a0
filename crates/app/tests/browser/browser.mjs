// What every script here starts with: a real browser, and what axe finds on a page.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** The browser. Whoever imports it closes it. */
export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

/** What axe finds that matters, and what is wider than the window, into `seen`. It is put in by the debugger, which the page's policy does not bind. */
export async function audit(page, where, seen) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  const { result } = await session.send("Runtime.evaluate", {
    // What a frame of another origin shows it cannot look into.
    expression: "axe.run({ iframes: false }).then((found) => JSON.stringify(found.violations.map((one) => [one.impact, one.id, one.nodes.map((node) => node.html.slice(0, 160) + ' ' + (node.any[0]?.message ?? ''))])))",
    awaitPromise: true,
    returnByValue: true,
  });
  for (const [impact, id, nodes] of JSON.parse(result.value)) {
    if (["serious", "critical"].includes(impact)) seen.axe.push({ where, impact, id, nodes: nodes.slice(0, 3) });
  }
  await session.detach();
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) seen.wide.push({ where, overflow });
}
