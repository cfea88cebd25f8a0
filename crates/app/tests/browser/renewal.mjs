// Drives a real browser over a page whose badges' tokens end while it stays open: node renewal.mjs TENDON KEY FOLDER HOST SECRET. Prints
// one JSON document of what it saw, a part for each way in which a page may answer; the test judges it. Tokens are signed here, so that
// they end when a part wants it; the browser's clock is held or moved, so that nobody waits for it.

import { createHmac } from "node:crypto";

import { browser } from "./browser.mjs";

const [tendon, , folder, host, secret] = process.argv.slice(2);
const INTEGRATION = "lead-score";

let made = 0;
/** A token whose time ends so many seconds from now, no two the same; Tendon takes it for 30 s longer. */
function sign(subject, seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: subject, aud: INTEGRATION, exp: Math.floor(Date.now() / 1000) + seconds, jti: String((made += 1)) };
  const text = `${part({ alg: "HS256" })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}
const good = (subject) => sign(subject, 120);
const ended = (subject) => sign(subject, -40);
/** Tendon takes it for five seconds more: long enough for a busy machine to show it before it ends. */
const ending = (subject) => sign(subject, -24);

/** Waits until Tendon takes a token no more. */
async function over(token) {
  for (;;) {
    const answer = await fetch(`${tendon}/embed/integrations/${INTEGRATION}/score`, { headers: { authorization: `Bearer ${token}` } });
    if (answer.status === 401 && (await answer.json()).code === "token_expired") return;
  }
}

/**
 * The example's page. `give(subject)`: what the page's server answers to who asks for a token: `null` or nothing where it has none, a promise
 * where it is late. `clock`: seconds by which the reader's clock is off, and that it can be moved. `manner`: how the page hears the badge.
 */
async function open(give, { clock, manner = "example" } = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 900 } });
  const page = await context.newPage();
  const told = { errors: [], asked: {}, sent: {}, refused: {}, give };
  page.on("pageerror", (error) => told.errors.push(String(error)));
  page.on("response", (response) => {
    if (!response.url().includes("/embed/integrations/") || response.request().method() === "OPTIONS") return;
    const subject = response.request().headers()["tendon-subject"];
    told.sent[subject] = (told.sent[subject] ?? 0) + 1;
    if (response.status() === 401) told.refused[subject] = (told.refused[subject] ?? 0) + 1;
  });
  await page.route(`${host}/token?*`, async (route) => {
    const subject = new URL(route.request().url()).searchParams.get("subject");
    told.asked[subject] = (told.asked[subject] ?? 0) + 1;
    const token = await told.give(subject);
    await (token === undefined ? route.abort() : route.fulfill({ json: { token } }));
  });
  if (clock !== undefined) await page.clock.install({ time: Date.now() + clock * 1000 });
  await page.addInitScript((manner) => {
    window.states = [];
    addEventListener("tendon-shown", ({ detail, target }) => { if (target === document.querySelector("tendon-badge")) window.states.push(detail.state); });
    if (manner === "example") return;
    addEventListener("tendon-token", async (event) => {
      event.stopImmediatePropagation();
      const { target, detail } = event;
      if (manner === "attribute") target.setAttribute("token", (await (await fetch(`/token?subject=${detail.subject}`)).json()).token);
    }, { capture: true });
  }, manner);
  await page.goto(host);
  // A page that loaded again would have lost it.
  await page.evaluate(() => { window.stayed = true; });
  const badge = page.locator("tendon-badge").first();
  return {
    page, told, badge,
    frame: page.frameLocator("iframe").locator("tendon-badge"),
    panel: badge.getByRole("dialog"),
    /** Forgets what was until now. */
    async anew() {
      Object.assign(told, { asked: {}, sent: {}, refused: {} });
      for (const frame of page.frames()) await frame.evaluate(() => { window.states = []; });
    },
    /** Waits until page and frame have shown something since. */
    async shown() {
      for (const frame of page.frames()) {
        await frame.evaluate(() => new Promise((done) => {
          const look = () => (window.states.length ? done() : requestAnimationFrame(look));
          look();
        }));
      }
    },
    /** What the first badge showed; how often the page, and Tendon, were asked for each subject, and how often Tendon refused. */
    async seen(more = {}) {
      const [states, stayed] = await page.evaluate(() => [window.states, window.stayed === true]);
      return { states, stayed, asked: { ...told.asked }, sent: { ...told.sent }, refused: { ...told.refused }, errors: told.errors, ...more };
    },
    /** Lets time pass for the page and all its frames. */
    pass: (seconds) => page.clock.fastForward(seconds * 1000),
    /** Puts the page into the background or brings it back, as far as its scripts can tell: a browser without a screen has no background. */
    async hidden(hidden) {
      for (const frame of page.frames()) {
        await frame.evaluate((hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      }
    },
  };
}

/** Does something with a badge, and waits until it shows one of these states. */
const until = (badge, states, work, ...given) => badge.evaluate((badge, [states, work, given]) => new Promise((done) => {
  const look = ({ detail }) => {
    if (!states.includes(detail.state)) return;
    badge.removeEventListener("tendon-shown", look);
    done();
  };
  badge.addEventListener("tendon-shown", look);
  const works = {
    refresh: () => badge.refresh(),
    set: (name, value) => badge.setAttribute(name, value),
    renew: (kind, token) => {
      badge.renew = {
        gives: async () => token,
        throws: () => { throw new Error("the page's own"); },
        rejects: () => Promise.reject(new Error("the page's own")),
        nothing: () => {},
        number: async () => 7,
      }[kind];
      badge.removeAttribute("token");
      badge.refresh();
    },
  };
  works[work](...given);
}), [states, work, given]);
const DONE = ["fresh", "stale", "degraded", "waiting", "none", "error"];
/** Waits until a badge is in a state, or is already. */
const is = (badge, state) => badge.locator(`button.badge.${state}`).waitFor();
/** Asks ten times, each when the one before has been shown. */
async function insist(badge) {
  for (let time = 0; time < 10; time += 1) await until(badge, DONE, "refresh");
}
/** Opens what stands behind a badge that is not available; gives what it says. */
async function says(badge) {
  await badge.getByRole("button").first().click();
  const panel = badge.getByRole("dialog");
  await panel.getByRole("alert").waitFor();
  return panel.innerText();
}
/** Lets a badge try again by its button; gives the number of reasons that it shows then. */
async function again(badge) {
  await badge.getByRole("button", { name: "Try again" }).click();
  await is(badge, "fresh");
  await badge.getByRole("listitem").first().waitFor();
  return badge.getByRole("listitem").count();
}
/** A late answer: what to give as it, and how to let it come. */
function late() {
  let come;
  const gate = new Promise((done) => { come = done; });
  return [(subject) => gate.then(() => good(subject)), come];
}

/** A page whose reader's clock is behind: its badge takes a token for good that has ended meanwhile. */
async function outlived() {
  const one = await open(good, { clock: -300 });
  await is(one.badge, "fresh");
  const token = ending("1");
  await until(one.badge, DONE, "set", "token", token);
  await over(token);
  await one.anew();
  return one;
}

const parts = {
  /** The reader's clock is behind: the badge takes its token for good until Tendon says that it has ended. */
  async ended_for_tendon() {
    const one = await outlived();
    await until(one.badge, DONE, "refresh");
    return one.seen();
  },
  /** The same, where score and breakdown are asked for at once: the page is asked once. */
  async ended_for_the_breakdown() {
    const one = await outlived();
    await one.badge.evaluate((badge) => { badge.refresh(); badge.shadowRoot.querySelector("button").click(); });
    await one.panel.getByRole("listitem").first().waitFor();
    return one.seen({ reasons: await one.panel.getByRole("listitem").count() });
  },
  /** By the reader's clock it has ended: nothing that Tendon would refuse is sent. */
  async ended_for_the_reader() {
    const one = await open(good);
    await is(one.badge, "fresh");
    await one.anew();
    await until(one.badge, DONE, "set", "token", ended("1"));
    return one.seen();
  },
  /** The reader's clock is hours ahead: Tendon judges, and the page is not asked each time. */
  async clock_ahead() {
    const one = await open(good, { clock: 3 * 3600 });
    await is(one.badge, "fresh");
    await is(one.badge.page().locator("tendon-badge").nth(1), "fresh");
    await one.anew();
    await insist(one.badge);
    return one.seen();
  },
  /** A page that somebody looks at for a day: the badge asks again when its score is stale by its age alone, and not before. */
  async looked_at() {
    const one = await open(good, { clock: 0 });
    await is(one.badge, "fresh");
    await is(one.frame, "fresh");
    await one.anew();
    await one.pass(24 * 3600 - 300);
    const before = await one.seen();
    await one.pass(600);
    await one.shown();
    return one.seen({ before });
  },
  /** A page that gives by the property alone; and what goes wrong in its function is no failure of the badge. */
  async property() {
    const one = await open(good, { manner: "deaf" });
    await is(one.badge, "error");
    await one.anew();
    await until(one.badge, ["fresh"], "renew", "gives", good("1"));
    const given = await one.seen();
    const wrong = {};
    for (const kind of ["throws", "rejects", "nothing", "number"]) {
      await until(one.badge, ["error"], "renew", kind);
      wrong[kind] = await says(one.badge);
      await one.page.keyboard.press("Escape");
      await until(one.badge, ["fresh"], "set", "token", good("1"));
    }
    return { ...given, wrong, after: await one.seen() };
  },
  /** A page that gives an ended token whenever it is asked, each time another one. */
  async ended_again() {
    const one = await open(ended, { clock: 0 });
    await is(one.badge, "error");
    await insist(one.badge);
    const bounded = await one.seen();
    const words = await says(one.badge);
    // Not for ever.
    await one.anew();
    await one.pass(61);
    await until(one.badge, ["error"], "refresh");
    const later = await one.seen();
    await one.page.screenshot({ path: `${folder}/badge-ended.png` });
    one.told.give = good;
    return { ...bounded, words, later, reasons: await again(one.badge) };
  },
  /** The same page, where it sets the attribute each time in place of giving. */
  async ended_by_attribute() {
    const one = await open(ended, { clock: 0, manner: "attribute" });
    await is(one.badge, "error");
    await insist(one.badge);
    const bounded = await one.seen();
    await until(one.badge, ["fresh"], "set", "token", good("1"));
    return { ...bounded, after: await one.seen() };
  },
  /** A page whose server has none to give, and one that does not answer. */
  async none() {
    const all = [];
    for (const nothing of [null, undefined]) {
      const one = await open(() => nothing, { clock: 0 });
      await is(one.badge, "error");
      const words = await says(one.badge);
      await is(one.frame, "error");
      const framed = await says(one.frame);
      await insist(one.badge);
      const bounded = await one.seen();
      one.told.give = good;
      const more = { words, framed, reasons: await again(one.badge), kept: await one.badge.evaluate((badge) => badge.shadowRoot.activeElement?.getAttribute("role")) };
      all.push({ ...bounded, ...more, framed_reasons: await again(one.frame) });
      await one.page.context().close();
    }
    return { all };
  },
  /** A page whose server takes longer than the badge waits: what comes then still counts, in the frame as well. */
  async late() {
    const [give, come] = late();
    const one = await open(give, { clock: 0 });
    await is(one.badge, "loading");
    await one.frame.locator("button.badge.loading").waitFor();
    await one.pass(11);
    await is(one.badge, "error");
    await is(one.frame, "error");
    come();
    await is(one.badge, "fresh");
    await is(one.frame, "fresh");
    return one.seen();
  },
  /** A token that comes when the badge is about somebody else already. */
  async too_late() {
    const [give, come] = late();
    const one = await open((subject) => (subject === "1" ? give(subject) : good(subject)), { clock: 0 });
    await is(one.badge, "loading");
    await until(one.badge, DONE, "set", "subject", "2");
    await one.anew();
    const answered = one.page.waitForResponse((response) => response.url().includes("/token?") && response.url().endsWith("subject=1"));
    come();
    await answered;
    await until(one.badge, DONE, "refresh");
    const token = await one.badge.getAttribute("token");
    return one.seen({ sub: JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sub });
  },
  /** In the frame the page is asked by a message. */
  async framed() {
    const one = await open(good, { clock: -300 });
    await is(one.frame, "fresh");
    const token = ending("3");
    await until(one.frame, DONE, "set", "token", token);
    await over(token);
    await one.page.evaluate(() => {
      window.wanted = [];
      addEventListener("message", ({ data }) => { if (data?.wanted) window.wanted.push([data.wanted, data.subject]); });
    });
    await one.anew();
    await until(one.frame, DONE, "refresh");
    await is(one.frame, "fresh");
    return one.seen({ wanted: await one.page.evaluate(() => window.wanted) });
  },
  /** A page that slept for hours, with a clock that went on. */
  async asleep() {
    const one = await open(good, { clock: 0 });
    await is(one.badge, "fresh");
    await is(one.frame, "fresh");
    await one.hidden(true);
    await one.anew();
    await one.pass(3 * 3600);
    const slept = await one.seen();
    await one.hidden(false);
    await one.shown();
    const woke = await one.seen();
    // Somebody who looks elsewhere for a moment is no reason to ask.
    await one.anew();
    await one.hidden(true);
    await one.hidden(false);
    await until(one.badge, DONE, "refresh");
    return { ...woke, slept, moment: await one.seen() };
  },
  /** A badge that was not available is so again when the reader comes back, where the page has a token by then. */
  async woken_from_an_error() {
    const one = await open(() => null, { clock: 0 });
    await is(one.badge, "error");
    one.told.give = good;
    await one.anew();
    await one.hidden(true);
    await one.hidden(false);
    await is(one.badge, "fresh");
    return one.seen();
  },
};

const seen = {};
for (const [name, part] of Object.entries(parts)) {
  const patience = setTimeout(() => {
    console.error(`${name}: the badge never showed what was waited for`);
    process.exit(1);
  }, 60_000);
  seen[name] = await part();
  clearTimeout(patience);
  await Promise.all(browser.contexts().map((context) => context.close()));
}
await browser.close();
console.log(JSON.stringify(seen));
