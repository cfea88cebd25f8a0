// The badge as a page of its own, for an iframe. The page around it says what to show and gives the token by `postMessage`: never
// in the address, which others log. Which pages may frame it, the policy of this page says.
"use strict";
(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("body { margin: 0; padding: 4px } html { background: transparent }");
  document.adoptedStyleSheets = [sheet];
  const badge = document.createElement("tendon-badge");
  badge.setAttribute("inline", "");
  badge.setAttribute("integration", new URLSearchParams(location.search).get("integration") ?? "");
  let page = null;
  let give = null;
  const tell = (message) => { if (page) parent.postMessage({ tendon: "badge", ...message }, page); };

  // Only the page around this one is listened to.
  addEventListener("message", ({ source, origin, data }) => {
    if (source !== parent || source === window || data?.tendon !== "badge") return;
    page = origin;
    if (typeof data.subject === "string" && data.subject !== badge.getAttribute("subject")) {
      badge.setAttribute("subject", data.subject);
      give = null;
    }
    // A token may come without having been asked for; `null` says that there is none.
    if (typeof data.token === "string" || data.token === null) {
      if (give) give(data.token);
      else if (data.token) badge.setAttribute("token", data.token);
    }
    if (["light", "dark"].includes(data.theme)) badge.setAttribute("theme", data.theme);
    if (typeof data.compact === "boolean") badge.toggleAttribute("compact", data.compact);
    if (!badge.isConnected) {
      document.body.append(badge);
      new ResizeObserver(() => tell({ height: Math.ceil(document.documentElement.getBoundingClientRect().height) })).observe(document.documentElement);
    }
  });
  badge.addEventListener("tendon-token", (event) => {
    event.preventDefault();
    give = event.detail.give;
    tell({ wanted: "token", subject: event.detail.subject });
  });
  badge.addEventListener("tendon-shown", (event) => tell({ state: event.detail.state }));
  // Says nothing but that it is here, to whichever page has framed it: again and again, since the page's script may come later.
  const here = (wait) => {
    if (page || parent === window) return;
    parent.postMessage({ tendon: "badge", ready: true }, "*");
    setTimeout(here, wait, Math.min(2 * wait, 8000));
  };
  here(100);
})();
