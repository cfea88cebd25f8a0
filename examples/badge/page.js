// What a page has to do: fetch a token from its own server when the badge asks for one.
"use strict";
const tokenOf = async (integration, subject) => {
  try {
    const asked = await fetch(`/token?${new URLSearchParams({ integration, subject })}`);
    return (await asked.json()).token;
  } catch {
    return null; // the badge says then that it has none
  }
};

// A badge has no token yet, or its token has ended.
addEventListener("tendon-token", (event) => {
  const { integration, subject, give } = event.detail;
  event.preventDefault();
  tokenOf(integration, subject).then(give);
});

// The same for a badge in a frame: by messages, and only to and from Tendon's own page.
const { tendon, integration } = document.body.dataset;
addEventListener("message", async ({ origin, source, data }) => {
  const frame = [...document.querySelectorAll("iframe")].find((one) => one.contentWindow === source);
  if (origin !== tendon || !frame || data?.tendon !== "badge") return;
  const { subject } = frame.dataset;
  if (data.ready) source.postMessage({ tendon: "badge", subject }, tendon);
  if (data.wanted === "token") source.postMessage({ tendon: "badge", token: await tokenOf(integration, subject) }, tendon);
  if (data.height) frame.style.height = `${data.height}px`;
});
