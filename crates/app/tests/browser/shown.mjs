// What scripts about the badge share: waiting until it shows what it was told.

/** Waits until every badge of a sort, and its panel where that is open, shows what it was told. (The page's policy forbids the driver's own way.) */
export const settled = (page, selector) => page.evaluate((selector) => new Promise((done) => {
  const busy = (badge) => {
    const [button, panel] = ["button", "[role=dialog]"].map((one) => badge.shadowRoot?.querySelector(one));
    return button?.getAttribute("aria-busy") !== "false" || (button.getAttribute("aria-expanded") === "true" && panel.getAttribute("aria-busy") !== "false");
  };
  const look = () => {
    const all = [...document.querySelectorAll(selector)];
    return all.length && !all.some(busy) ? done() : requestAnimationFrame(look);
  };
  look();
}), selector);
