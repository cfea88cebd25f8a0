// The list of decisions that grows at its top, look by look: node tail.mjs ORIGIN KEY FOLDER QUESTION. Prints one JSON document of what it saw.
// The page's own interval is taken from it, so that a look begins when this script says so.

import { browser } from "./browser.mjs";

const [origin, key, , question] = process.argv.slice(2);
const seen = {};
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
await page.addInitScript(() => {
  window.setInterval = (look) => { window.look = look; };
  // How many looks have been worked in: what follows an answer's text comes before the timer.
  window.worked = 0;
  const ask = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    const text = answer.text.bind(answer);
    answer.text = async () => {
      const read = await text();
      setTimeout(() => { window.worked += 1; });
      return read;
    };
    return answer;
  };
});
await page.goto(`${origin}/console`);
await page.getByLabel("API key").fill(key);
await page.keyboard.press("Enter");
await page.waitForURL(`${origin}/console`);

const decide = async (times) => {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  for (let asked = 0; asked < times; asked += 1) {
    const answer = await fetch(`${origin}/v1/integrations/desk/decisions`, { method: "POST", headers, body: question });
    if (!answer.ok) throw new Error(`a decision was answered with ${answer.status}`);
  }
};
const list = `${origin}/console/decisions?integration=desk`;
const ids = () => page.locator("tbody tr").evaluateAll((rows) => rows.map((row) => row.querySelector("a").pathname.split("/").pop()));
const look = () => page.evaluate(() => window.look());
const worked = (looks) => page.evaluate((looks) => new Promise((done) => {
  const again = () => (window.worked < looks ? requestAnimationFrame(again) : done());
  again();
}), looks);
const isLook = (request) => request.headers()["x-console-refresh"] === "1";

// Two looks are under way at once, and the later one is answered first.
{
  await decide(2);
  await page.goto(list);
  let release;
  const held = new Promise((go) => { release = go; });
  let asked = 0;
  await page.route(list.replace(/\?.*/, "**"), async (route) => {
    if (!isLook(route.request())) return route.continue();
    asked += 1;
    if (asked > 1) return route.continue();
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  });
  await decide(3);
  await look();
  await look();
  await worked(1);
  const first = await ids();
  release();
  await worked(2);
  const then = await ids();
  seen.overtaken = { first: first.length, then: then.length, different: new Set(then).size };
  await page.unrouteAll({ behavior: "wait" });
}

// So much else came in that a look found nothing which fits, and says that it did not get to the end.
{
  await page.goto(list);
  const before = await ids();
  await page.route(list.replace(/\?.*/, "**"), async (route) => {
    if (!isLook(route.request())) return route.continue();
    const response = await route.fetch();
    const body = (await response.text()).replace(/(<tbody id="rows"[^>]*>)[\s\S]*?(<\/tbody>)/, (_, open, close) => `${open.replace(">", ' data-more="">')}${close}`);
    if (!body.includes("data-more")) throw new Error("the answer has another form than this script knows");
    await route.fulfill({ response, body });
  });
  const anew = page.waitForEvent("load");
  await look();
  await anew;
  seen.emptied = { before: before.length, after: (await ids()).length };
  await page.unrouteAll({ behavior: "wait" });
}

// At most 200 rows stay, and what made room stands behind Older, all of it.
{
  await page.goto(list);
  let all = await ids();
  for (let looks = 1; looks <= 5; looks += 1) {
    await decide(45);
    await look();
    await worked(looks);
    const now = await ids();
    all = [...now.slice(0, 45), ...all];
    if (looks === 1) seen.few = [now.length, await page.locator("#older").isVisible()];
  }
  const now = await ids();
  seen.most = { rows: now.length, newest: now.join() === all.slice(0, 200).join(), different: new Set(all).size === all.length };
  await page.locator("#older").click();
  await page.waitForURL(/before=/);
  seen.most.older = (await ids()).join() === all.slice(200, 250).join() && all.length > 200;
}

await browser.close();
console.log(JSON.stringify(seen));
