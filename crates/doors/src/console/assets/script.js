// What pages do by themselves; all of them work without it. Parts marked `data-live` are brought up to date while nobody works in them,
// and a menu closes when it is left.
"use strict";

const policy = window.trustedTypes
  ? window.trustedTypes.createPolicy("tendon", { createHTML: (text) => text })
  : { createHTML: (text) => text };
const EVERY = 5000;
let paused = false;

/** Asks for this page anew, and takes what has changed into the parts that live. */
async function refresh() {
  if (paused || document.hidden) return;
  const answer = await fetch(location.href, { headers: { "x-console-refresh": "1" }, redirect: "manual", credentials: "same-origin" });
  // Signed out meanwhile: the page itself says so.
  if (answer.type === "opaqueredirect") return location.reload();
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  const next = new DOMParser().parseFromString(policy.createHTML(await answer.text()), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = next.getElementById(part.id);
    if (!fresh || part.contains(document.activeElement) || fresh.innerHTML === part.innerHTML) continue;
    part.replaceChildren(...document.importNode(fresh, true).childNodes);
  }
}

const live = document.getElementById("live");
if (live && document.querySelector("[data-live]")) {
  const word = live.querySelector("span");
  const tell = (text, state) => { word.textContent = text; word.className = `badge ${state}`; };
  live.hidden = false;
  live.addEventListener("click", () => {
    paused = !paused;
    live.setAttribute("aria-pressed", String(!paused));
    tell(paused ? "Paused" : "Live", paused ? "" : "good");
  });
  setInterval(() => {
    refresh().then(() => { if (!paused) tell("Live", "good"); }, () => tell("No answer", "bad"));
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
