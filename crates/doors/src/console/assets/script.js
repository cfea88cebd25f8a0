// What pages do by themselves; all of them work without it. Parts marked `data-live` are brought up to date, wherever the reader
// stands, a list of decisions grows at its top, and a menu closes when it is left.
"use strict";

const policy = window.trustedTypes
  ? window.trustedTypes.createPolicy("tendon", { createHTML: (text) => text })
  : { createHTML: (text) => text };
const EVERY = 5000;
let paused = false;

/** A page of the console as it is now; nobody uses the session by that. */
async function now(address) {
  const answer = await fetch(address, { headers: { "x-console-refresh": "1" }, redirect: "manual", credentials: "same-origin" });
  // Signed out meanwhile, perhaps in another tab: they are told so, and come back to where they are.
  if (answer.type === "opaqueredirect") return location.replace(`/console/sign-in?ended=1&next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
}

/** What can be stood in, by what it is or leads to: a fresh part has the same one under the same name, and no other. What opens something is
 * known by its row, too, and a button by all that its form sends. */
const name = (one) => one.id || one.getAttribute("href") || [
  one.getAttribute("aria-label") ?? one.textContent,
  one.closest("tr")?.firstElementChild.textContent,
  one.form && new URLSearchParams(new FormData(one.form)),
].join("\n");

/** Puts what is new into a part. Who stands in it stands in the same place afterwards, with what they have opened. */
function renew(part, fresh) {
  const stands = part !== document.activeElement && part.contains(document.activeElement) && name(document.activeElement);
  const open = new Set([...part.querySelectorAll("details[open] > summary")].map(name));
  const slid = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  part.replaceChildren(...document.importNode(fresh, true).childNodes);
  for (const summary of part.querySelectorAll("details > summary")) summary.parentElement.open ||= open.has(name(summary));
  part.querySelectorAll(".scroll").forEach((one, at) => { one.scrollLeft = slid[at] ?? 0; });
  if (stands === false) return;
  const same = [...part.querySelectorAll("a, button, summary, [tabindex]")].find((one) => name(one) === stands);
  // What they stood in is gone: they stay in the part.
  if (!same) part.tabIndex = -1;
  (same ?? part).focus({ preventScroll: true });
}

/** Asks for this page anew, and takes what has changed into the parts that live. */
async function refresh() {
  const next = await now(location.href);
  if (!next || paused) return;
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = next.getElementById(part.id);
    // Nobody is interrupted while they write.
    const writes = document.activeElement?.matches("input, textarea, select") && part.contains(document.activeElement);
    if (fresh && !writes && fresh.innerHTML !== part.innerHTML) renew(part, fresh);
  }
}

/** Rows of a list that lives, at the most: the oldest make room. */
const MOST = 200;

/** Asks for the decisions that are newer than the list, and puts them above it. What somebody is at stays where it is on the screen. */
async function tail(rows) {
  const search = new URLSearchParams(location.search);
  search.set("from", rows.dataset.from);
  const fresh = (await now(`${location.pathname}?${search}`))?.getElementById("rows");
  // Another look may have been quicker.
  if (!fresh || paused || rows.dataset.from !== search.get("from")) return;
  const added = [...document.importNode(fresh, true).children];
  const own = [...rows.children];
  // More than an answer holds: what is here does not follow on it any more, and goes altogether.
  const over = own.slice("more" in fresh.dataset ? 0 : Math.max(0, MOST - added.length));
  // Nothing that somebody looks at or stands in goes; the next look asks for all of it again.
  const seen = (row) => row.contains(document.activeElement) || (scrollY > 0 && row.getBoundingClientRect().top < innerHeight);
  if (over.some(seen)) return;
  // So much is new that nothing which fits was found in what was looked at: the page itself knows how to go on from there.
  if (!added.length && over.length) return location.reload();
  const stands = own.find((row) => row.contains(document.activeElement));
  const anchor = stands ?? (scrollY > 0 ? own.find((row) => row.getBoundingClientRect().bottom > 0) : undefined);
  const before = anchor?.getBoundingClientRect().top;
  rows.prepend(...added);
  over.forEach((row) => row.remove());
  if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - before);
  rows.dataset.from = fresh.dataset.from;
  if (!added.length) return;
  document.getElementById("nothing")?.remove();
  document.getElementById("found").hidden = false;
  document.getElementById("news").textContent = added.length === 1 ? "1 new decision" : `${added.length} new decisions`;
  if (over.length) {
    const older = document.getElementById("older");
    const search = new URLSearchParams(older.dataset.search);
    search.set("before", rows.lastElementChild.dataset.seq);
    older.href = `${location.pathname}?${search}`;
    older.parentElement.hidden = false;
    // How far was looked is said of a list that ended there.
    older.previousElementSibling.textContent = "";
  }
}

const live = document.getElementById("live");
const rows = document.getElementById("rows");
if (live && (rows || document.querySelector("[data-live]"))) {
  const word = live.querySelector("span");
  const tell = (text, state) => { word.textContent = text; word.className = `badge ${state}`; };
  live.hidden = false;
  live.addEventListener("click", () => {
    paused = !paused;
    live.setAttribute("aria-pressed", String(!paused));
    tell(paused ? "Paused" : "Live", paused ? "" : "good");
  });
  setInterval(() => {
    if (paused || document.hidden) return;
    (rows ? tail(rows) : refresh()).then(() => { if (!paused) tell("Live", "good"); }, () => tell("No answer", "bad"));
  }, EVERY);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// On a phone the pages are a line that scrolls: the one that is open stands in sight.
const side = document.querySelector(".side");
const here = side?.querySelector("[aria-current]");
if (here) {
  const [line, place] = [side, here].map((part) => part.getBoundingClientRect());
  side.scrollLeft += place.left - line.left - (line.width - place.width) / 2;
}
