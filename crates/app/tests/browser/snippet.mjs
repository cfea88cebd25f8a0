// The tag of docs/badge.md in the page of somebody else: node snippet.mjs ADDRESS. Prints what the badge tells when it shows something.

import { browser } from "./browser.mjs";

const [address] = process.argv.slice(2);
const page = await browser.newPage();
page.on("console", (message) => console.error(message.text()));
page.on("pageerror", (error) => console.error(String(error)));
let told;
const shown = new Promise((tell, fail) => {
  told = tell;
  setTimeout(() => fail(new Error("the badge showed nothing within a minute")), 60_000).unref();
});
await page.exposeFunction("told", (state) => told(state));
await page.addInitScript(() => {
  addEventListener("tendon-shown", (event) => { if (event.detail.state !== "loading") window.told(event.detail.state); });
});
await page.goto(address);
console.log(JSON.stringify({ state: await shown }));
await browser.close();
