// Signs in to the console with an identity provider, as people do: node oidc.mjs ORIGIN ISSUER FOLDER. Prints one JSON document of what
// it saw; the test judges it. The provider is another site: cookies, redirects and policies are as strict as they get.

import { audit, browser } from "./browser.mjs";

const [origin, issuer, folder] = process.argv.slice(2);
const seen = { console: [], outside: [], axe: [], wide: [] };

async function open(script) {
  const context = await browser.newContext({ viewport: { width: 768, height: 900 }, javaScriptEnabled: script });
  // The provider's own pages ask for fonts.
  await context.route((url) => ![origin, issuer].includes(url.origin), (route) => {
    if (!route.request().frame().url().startsWith(issuer)) seen.outside.push(route.request().url());
    return route.abort();
  });
  const page = await context.newPage();
  const own = () => page.url().startsWith(origin);
  page.on("console", (message) => { if (message.location().url.startsWith(origin) && ["error", "warning"].includes(message.type())) seen.console.push(message.text()); });
  page.on("pageerror", (error) => { if (own()) seen.console.push(String(error)); });
  return page;
}

/** Says who it is, at the provider. */
async function tell(page, who) {
  await page.locator("input[name=login]").fill(who);
  await page.locator("input[name=password]").fill("any");
  await page.locator("[type=submit]").first().click();
  await page.getByRole("button", { name: "Continue" }).click();
}

async function all(script, version) {
  const of = {};
  const page = await open(script);
  await page.goto(`${origin}/console/decisions`);
  // What looks at a page is a script, too.
  if (script) await audit(page, "sign-in", seen);
  await page.screenshot({ path: `${folder}/sign-in.png` });
  await page.getByRole("link", { name: "Sign in with Acme" }).click();
  await tell(page, "root");
  await page.waitForURL(`${origin}/console/decisions`);
  of.first = page.url().slice(origin.length);
  of.who = (await page.locator("summary").first().innerText()).replace(/\s+/g, " ");
  of.cookies = (await page.context().cookies(origin)).map((one) => [one.name, one.sameSite, one.httpOnly]);
  of.id = await page.locator("details.menu code").textContent();
  // A change.
  await page.goto(`${origin}/console/models`);
  const form = page.locator("form[action='/console/models/promote']").filter({ has: page.locator(`[value=${version}]`) }).first();
  await page.locator("details.menu", { has: form }).locator("summary").click();
  await form.locator("button").click();
  of.told = await page.locator("p.notice").innerText();
  // Somebody else, with another role, in a browser of their own.
  const other = await open(script);
  await other.goto(`${origin}/console`);
  await other.getByRole("link", { name: "Sign in with Acme" }).click();
  await tell(other, "vera");
  await other.waitForURL(`${origin}/console`);
  of.viewer = [await other.getByRole("link", { name: "Keys" }).isVisible()];
  of.viewer.push((await other.request.get(`${origin}/console/keys`)).status());
  await other.screenshot({ path: `${folder}/signed-in.png` });
  await other.context().close();
  // Out.
  await page.locator("summary").first().click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((url) => url.origin === issuer);
  await page.locator("button[value=yes]").click();
  await page.waitForURL(`${origin}/console/sign-in?state=out`);
  of.out = await page.locator("p.notice").innerText();
  of.after = (await page.context().cookies(origin)).map((one) => one.name).filter((name) => name.startsWith("tendon_s"));
  // The back button shows nothing of what was seen.
  of.back = [];
  for (let steps = 0; steps < 8; steps += 1) {
    // Chromium asks before it sends a form again, and a page that was not kept is fetched anew.
    await page.goBack({ waitUntil: "load" }).catch(() => null);
    if (page.url().startsWith(origin)) of.back.push(await page.locator("h1").innerText());
  }
  await page.goto(`${origin}/console`);
  await page.getByRole("link", { name: "Sign in with Acme" }).click();
  of.asked = await page.locator("input[name=login]").isVisible();
  await page.context().close();
  return of;
}

seen.with = await all(true, "v2");
seen.without = await all(false, "v1");

// Somebody without a role is told so.
{
  const page = await open(true);
  await page.goto(`${origin}/console`);
  await page.getByRole("link", { name: "Sign in with Acme" }).click();
  const answered = page.waitForResponse((answer) => answer.url().includes("/console/oidc/return"));
  await tell(page, "nora");
  seen.norole = (await answered).status();
  await page.getByRole("alert").waitFor();
  await audit(page, "no role", seen);
  await page.screenshot({ path: `${folder}/no-role.png` });
  await page.context().close();
}
seen.console = seen.console.filter((note) => !note.includes("status of 403"));

await browser.close();
console.log(JSON.stringify(seen));
