// <tendon-badge integration subject token>: the score of one subject in somebody's page. It needs nothing but this file, writes every
// text as text, and brings its style as a constructed sheet, so that a page whose policy forbids inline style and script can use it.
// Attributes: integration, subject, token (signed by the page's server), src (Tendon's origin; usual: where this file came from),
// theme (light, dark; usual: what the reader prefers), compact, inline (the breakdown stands below instead of above the page).
// A token that has ended is asked for anew: by the property `renew`, an async function, or the event `tendon-token`, whose
// `detail.give(token)` takes the answer, later where the event was taken by `preventDefault`. The event `tendon-shown` tells that a state is shown, and which.
"use strict";
(() => {
  const HOME = document.currentScript ? new URL(document.currentScript.src).origin : location.origin;
  const TONES = { green: "good", yellow: "warn", amber: "warn", red: "bad" };
  const SHOWN = 6;
  const WAIT = 10_000;
  const DARK = "--ink:#e8eaed;--soft:#aab2bd;--paper:#1b1f24;--line:#3a414a;--good:#5fd08a;--warn:#f2c14e;--bad:#ff8f86;--calm:#9fb4cc;--up:#5aa9ff;--down:#ffab6b;";
  const STYLE = `
:host { --ink:#1c2127; --soft:#55606d; --paper:#fff; --line:#c9d0d8; --good:#1a7f3c; --warn:#8a5a00; --bad:#b3261e; --calm:#44576b; --up:#1f6fd0; --down:#b35309;
  display:inline-block; vertical-align:middle; font:14px/1.4 var(--tendon-font, system-ui, sans-serif); color:var(--ink); text-align:start }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { ${DARK} } }
:host([theme="dark"]) { ${DARK} }
:host([inline]) { display:block }
* { box-sizing:border-box }
p, ul, figure { margin:0; padding:0 }
button { font:inherit; color:inherit; cursor:pointer }
.badge { display:inline-flex; align-items:center; gap:.5em; inline-size:15em; block-size:2.15em; padding:0 .8em; border:1px solid var(--line);
  border-radius:99px; background:var(--paper); white-space:nowrap }
.badge:hover { border-color:var(--tone) }
:focus-visible { outline:2px solid var(--up); outline-offset:2px }
.dot { flex:none; inline-size:.7em; block-size:.7em; border-radius:50%; background:var(--tone) }
.band { flex:1; overflow:hidden; text-overflow:ellipsis; text-align:start; color:var(--tone); font-weight:600 }
.score { font-weight:600; font-variant-numeric:tabular-nums }
.mark { flex:none; font-size:.75em; padding:0 .45em; border-radius:4px; border:1px solid var(--line); color:var(--soft) }
.mark:empty { display:none }
:host([compact]) .badge { inline-size:7em; padding:0 .7em }
:host([compact]) .band:not(.alone), :host([compact]) .mark { display:none }
:host([compact]) .score { flex:1; text-align:end }
.badge { --tone:var(--calm) } .good { --tone:var(--good) } .warn { --tone:var(--warn) } .bad { --tone:var(--bad) }
.stale { border-style:dashed } .stale .dot, .none .dot { background:none; border:2px solid var(--tone) }
.degraded .dot { border-radius:2px }
.error .dot { border-radius:0; clip-path:polygon(50% 0, 100% 100%, 0 100%); background:var(--bad) }
.loading .dot { animation:pulse 1.2s ease-in-out infinite }
@keyframes pulse { 50% { opacity:.25 } }
@media (prefers-reduced-motion: reduce) { .loading .dot { animation:none } }
.unseen { position:absolute; inline-size:1px; block-size:1px; overflow:hidden; clip-path:inset(50%); white-space:nowrap }
.panel { inline-size:22em; max-inline-size:calc(100vw - 16px); max-block-size:calc(100vh - 16px); overflow:auto; margin:0; padding:1em; border:1px solid var(--line);
  border-radius:10px; background:var(--paper); color:var(--ink); box-shadow:0 8px 28px rgb(0 0 0 / .22); overflow-wrap:anywhere }
.panel[popover] { position:fixed; inset:auto }
:host([inline]) .panel { margin-block-start:.5em; inline-size:100%; max-inline-size:26em; max-block-size:none; box-shadow:none }
.top { display:flex; align-items:start; gap:.6em }
.top > div { flex:1 } .title { font-weight:600 } .soft { color:var(--soft); font-size:.9em }
.close { border:1px solid transparent; background:none; inline-size:1.9em; block-size:1.9em; border-radius:6px; line-height:1 } .close:hover { border-color:var(--line) }
.note { margin-block-start:.7em; padding:.45em .7em; border-inline-start:3px solid var(--warn); background:color-mix(in srgb, var(--warn) 10%, transparent) }
.note.error { border-color:var(--bad); background:color-mix(in srgb, var(--bad) 10%, transparent) }
.again { margin-block-start:.7em; padding:.25em .8em; border:1px solid var(--line); border-radius:6px; background:none }
.head { margin-block:.9em .35em; font-weight:600 }
ul { list-style:none; display:grid; gap:.3em }
li { display:grid; grid-template-columns:1fr 6.5em; gap:.7em; align-items:center }
svg { display:block; inline-size:100% } .bar { block-size:.7em } .chart { block-size:4.2em }
.up { fill:var(--up) } .down { fill:var(--down) } .zero { stroke:var(--soft) } .grid { stroke:var(--line) }
.zero, .grid, .trend, .points { vector-effect:non-scaling-stroke }
.trend { fill:none; stroke:var(--up); stroke-width:2; stroke-linejoin:round } .points { fill:none; stroke:var(--up); stroke-width:5; stroke-linecap:round }
.axis { display:flex; justify-content:space-between; margin-block-start:.25em; color:var(--soft); font-size:.85em }
.room { min-block-size:17em } .room p { margin-block-start:.9em }
`;
  let sheet;
  const style = () => {
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
    }
    return sheet;
  };

  const make = (tag, attributes = {}, ...children) => {
    const drawn = ["svg", "path", "rect", "line"].includes(tag);
    const node = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const number = (value) => new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation: Math.abs(value) >= 1e6 ? "compact" : "standard" }).format(value);
  const days = (from, until) => Math.round((Date.parse(until) - Date.parse(from)) / 864e5);
  /** A span of seconds in the largest whole unit. */
  const ago = (seconds) => {
    for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (seconds >= length) return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / length), unit);
    }
    return "just now";
  };
  /** When a token ends, in milliseconds; what cannot be read is left to the server. */
  const ends = (token) => {
    try {
      return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).exp * 1000;
    } catch {
      return Infinity;
    }
  };
  const failed = (code, detail, hint) => Object.assign(new Error(detail), { code, hint });

  class TendonBadge extends HTMLElement {
    static observedAttributes = ["integration", "subject", "token", "src"];
    /** Gives a new token when the old one has ended. */
    renew = null;
    #turn = 0;
    #asked = false;
    #state = "";
    #button;
    #panel;
    #said;

    connectedCallback() {
      if (!this.#button) this.#build();
      this.refresh();
    }
    disconnectedCallback() {
      this.#turn += 1;
      for (const moved of ["scroll", "resize"]) removeEventListener(moved, this.#place, { capture: true });
    }
    attributeChangedCallback(name, before, after) {
      if (!this.#button || !this.isConnected || before === after) return;
      if (name !== "token") {
        // Nothing of the one before may stand beside the name of another.
        this.#turn += 1;
        if (this.#button.getAttribute("aria-expanded") === "true") this.#toggle(false);
        this.#show("loading", { band: "Loading…" });
      }
      this.refresh();
    }
    #whom() {
      return ["integration", "subject", "src"].map((one) => this.getAttribute(one)).join("\n");
    }

    /** Asks for the score again. */
    refresh() {
      // Attributes that are set one after the other are one change.
      if (this.#asked) return;
      this.#asked = true;
      queueMicrotask(() => {
        this.#asked = false;
        if (this.isConnected) this.#load();
      });
    }

    #build() {
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [style()];
      this.#button = make("button", { type: "button", part: "badge", "aria-haspopup": "dialog", "aria-expanded": "false" });
      this.#panel = make("div", { part: "panel", class: "panel", role: "dialog", tabindex: "-1", "aria-label": "The score, explained" });
      this.#said = make("span", { class: "unseen", role: "status" });
      root.append(this.#button, this.#panel, this.#said);
      if (this.hasAttribute("inline") || !("popover" in this.#panel)) {
        this.#panel.hidden = true;
        this.#button.addEventListener("click", () => this.#toggle(this.#panel.hidden));
        root.addEventListener("keydown", (event) => { if (event.key === "Escape" && !this.#panel.hidden) this.#toggle(false); });
      } else {
        this.#panel.popover = "auto";
        this.#button.popoverTargetElement = this.#panel;
        this.#panel.addEventListener("toggle", (event) => this.#toggled(event.newState === "open"));
      }
    }

    #toggle(open) {
      if (this.#panel.popover) return open ? this.#panel.showPopover() : this.#panel.hidePopover();
      this.#panel.hidden = !open;
      this.#toggled(open);
      if (!open) this.#button.focus();
    }
    #toggled(open) {
      this.#button.setAttribute("aria-expanded", String(open));
      for (const moved of ["scroll", "resize"]) {
        if (open) addEventListener(moved, this.#place, { passive: true, capture: true });
        else removeEventListener(moved, this.#place, { capture: true });
      }
      if (!open) {
        // The place of whoever reads by keyboard: the browser keeps it for a panel in the page, not in a component. Not taken from elsewhere.
        if (document.activeElement === document.body || document.activeElement === this) this.#button.focus({ preventScroll: true });
        return;
      }
      this.#explain();
      this.#place();
      this.#panel.focus({ preventScroll: true });
    }
    #place = () => {
      if (!this.#panel.popover || !this.#panel.matches(":popover-open")) return;
      const [of, own] = [this.#button.getBoundingClientRect(), this.#panel.getBoundingClientRect()];
      const below = of.bottom + 6 + own.height <= innerHeight || of.top < own.height;
      const top = below ? of.bottom + 6 : of.top - own.height - 6;
      this.#panel.style.top = `${Math.max(8, Math.min(top, innerHeight - own.height - 8))}px`;
      this.#panel.style.left = `${Math.max(8, Math.min(of.left, innerWidth - own.width - 8))}px`;
    };

    async #load() {
      const turn = (this.#turn += 1);
      if (!this.#state || this.#state === "error") this.#show("loading", { band: "Loading…" });
      try {
        const score = await this.#ask("score");
        if (turn === this.#turn) this.#score(score);
      } catch (error) {
        if (turn === this.#turn) this.#show("error", { band: "Not available", words: error.message });
      }
    }

    /** Asks Tendon, with a new token where the old one has ended. */
    async #ask(what, again = true) {
      const [integration, subject] = [this.getAttribute("integration") ?? "", this.getAttribute("subject") ?? ""];
      if (!integration || !subject) throw failed("attribute_missing", "the badge names no integration or no subject");
      let token = this.getAttribute("token") ?? "";
      if (!token || ends(token) < Date.now() + 2000) token = (await this.#renewed(integration, subject)) ?? token;
      const address = `${this.getAttribute("src") || HOME}/embed/integrations/${encodeURIComponent(integration)}/${what}`;
      const headers = { accept: "application/json", "tendon-subject": encodeURIComponent(subject) };
      if (token) headers.authorization = `Bearer ${token}`;
      let answer;
      try {
        answer = await fetch(address, { headers, credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" });
      } catch {
        throw failed("unreachable", "the service cannot be reached from this page", "it is down, or this page may not show the badge");
      }
      const told = await answer.json().catch(() => ({}));
      if (answer.ok) return told;
      if (again && ["token_expired", "token_subject", "token_audience"].includes(told.code) && (await this.#renewed(integration, subject))) return this.#ask(what, false);
      throw failed(told.code ?? "unknown", told.detail ?? "the service gave no answer", told.hint);
    }

    /** A new token from the page; nothing when the page gives none. */
    async #renewed(integration, subject) {
      const given = new Promise((give) => {
        const detail = { integration, subject, give };
        // Who will give one later says so by `preventDefault`.
        const taken = !this.dispatchEvent(new CustomEvent("tendon-token", { bubbles: true, composed: true, cancelable: true, detail }));
        if (this.renew) Promise.resolve(this.renew({ integration, subject })).then(give, () => give(null));
        setTimeout(give, taken || this.renew ? WAIT : 0, null);
      });
      const whom = this.#whom();
      const token = await given;
      if (token && whom === this.#whom()) {
        // Not a change that asks again: whoever needs it is asking already.
        const asked = this.#asked;
        this.#asked = true;
        this.setAttribute("token", token);
        this.#asked = asked;
      }
      return token;
    }

    #score(score) {
      if (score.state === "none") return this.#show("none", { band: "No score yet" });
      if (score.state === "waiting") return this.#show("waiting", { band: "Under review" });
      const state = score.state === "stale" ? "stale" : score.degraded ? "degraded" : "fresh";
      const words = `decided ${ago(score.age_seconds)}${score.degraded ? `, by the fallback ${score.degraded}` : ""}`;
      this.#show(state, { band: score.band ?? "score", output: score.output, tone: TONES[score.band], words, degraded: score.degraded });
    }

    #show(state, { band, output, tone = "", words = "", degraded }) {
      const known = output !== undefined;
      this.#state = state;
      this.#button.className = `badge ${state} ${degraded ? "degraded" : ""} ${tone}`;
      this.#button.setAttribute("aria-busy", String(state === "loading"));
      const mark = state === "stale" ? "stale" : degraded ? "fallback" : "";
      const parts = [make("span", { class: "dot", "aria-hidden": "true" }), make("span", { class: known ? "band" : "band alone" }, band)];
      if (known) parts.push(make("span", { class: "score" }, number(output)), make("span", { class: "mark" }, mark));
      const why = [mark, words, state === "loading" ? "" : "show why"].filter(Boolean).join("; ");
      this.#button.replaceChildren(...parts, make("span", { class: "unseen" }, ` ${why}`));
      this.#button.title = words;
      if (state !== "loading") this.#said.textContent = `${band} ${known ? number(output) : ""} ${mark}`.trim();
      this.dispatchEvent(new CustomEvent("tendon-shown", { bubbles: true, composed: true, detail: { state } }));
    }

    async #explain() {
      const [turn, whom] = [this.#turn, this.#whom()];
      const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "✕");
      close.addEventListener("click", () => this.#toggle(false));
      const top = make("div", { class: "top" }, make("div", {}, make("p", { class: "title" }, "Score")), close);
      this.#panel.setAttribute("aria-busy", "true");
      this.#panel.replaceChildren(top, make("div", { class: "room" }, make("p", { class: "soft" }, "Loading…")));
      try {
        const told = await this.#ask("breakdown");
        if (whom !== this.#whom()) return;
        if (turn === this.#turn) this.#score(told.score);
        top.firstChild.replaceChildren(...this.#title(told.score));
        this.#panel.replaceChildren(top, ...this.#notes(told.score), ...this.#parts(told), ...this.#trend(told));
      } catch (error) {
        if (whom !== this.#whom()) return;
        const again = make("button", { type: "button", class: "again" }, "Try again");
        again.addEventListener("click", () => { this.refresh(); this.#explain(); });
        const note = make("p", { class: "note error", role: "alert" }, `${error.message}.${error.hint ? ` ${error.hint}.` : ""} `, make("span", { class: "soft" }, error.code));
        this.#panel.replaceChildren(top, note, again);
      }
      this.#panel.setAttribute("aria-busy", "false");
      this.#place();
    }

    #title(score) {
      const shown = score.output === undefined ? "" : `${score.band ? `${score.band} · ` : ""}${number(score.output)}`;
      const lines = [make("p", { class: "title" }, shown || "Score"), make("p", { class: "soft" }, score.purpose)];
      if (score.at) lines.push(make("p", { class: "soft" }, "Decided ", make("time", { datetime: score.at, title: score.at }, ago(score.age_seconds))));
      return lines;
    }

    #notes(score) {
      const says = {
        none: "Nothing has been decided about this subject that has a score.",
        waiting: "A person looks at it before it is shown.",
        stale: score.since ? `What was asked since has no score (${score.since}).` : "It is older than this page calls fresh.",
      };
      const notes = [says[score.state], score.degraded && `The model did not answer; the fallback did (${score.degraded}).`];
      return notes.filter(Boolean).map((text) => make("p", { class: "note" }, text));
    }

    #parts({ parts }) {
      if (!parts.length) return [];
      const most = Math.max(...parts.map((part) => Math.abs(part.contribution))) || 1;
      const rows = parts.slice(0, SHOWN).map((part) => {
        const long = (Math.abs(part.contribution) / most) * 98;
        const [kind, from] = part.contribution < 0 ? ["down", 100 - long] : ["up", 100];
        const bar = make("svg", { class: "bar", viewBox: "0 0 200 10", preserveAspectRatio: "none", "aria-hidden": "true" },
          make("rect", { class: kind, x: from.toFixed(1), y: 1, width: long.toFixed(1), height: 8 }), make("line", { class: "zero", x1: 100, x2: 100, y1: 0, y2: 10 }));
        return make("li", {}, make("span", {}, part.text), bar);
      });
      const rest = parts.length - rows.length;
      return [make("p", { class: "head" }, "Why"), make("ul", {}, ...rows), ...(rest > 0 ? [make("p", { class: "soft" }, `and ${rest} that weigh less`)] : [])];
    }

    #trend({ trend, from, until, more }) {
      const span = days(from, until) >= 1 ? `${days(from, until)} days` : `${Math.max(1, Math.round((Date.parse(until) - Date.parse(from)) / 36e5))} h`;
      const head = make("p", { class: "head" }, `The last ${span}`);
      if (!trend.length) return [head, make("p", { class: "soft" }, "No score in this time.")];
      const values = trend.map((point) => point.output);
      const [least, most] = [Math.min(...values), Math.max(...values)];
      const bottom = Math.min(0, least);
      const height = most - bottom || 1;
      const [begin, whole] = [Date.parse(from), Date.parse(until) - Date.parse(from)];
      const places = trend.map((point) => `${(((Date.parse(point.at) - begin) / whole) * 294 + 3).toFixed(1)} ${(57 - ((point.output - bottom) / height) * 54).toFixed(1)}`);
      const scores = `${trend.length} ${trend.length === 1 ? "score" : "scores"}`;
      const words = `${scores} in ${span}: between ${number(least)} and ${number(most)}, last ${number(values.at(-1))}`;
      const few = trend.length <= 40 ? places.map((place) => `M${place}h0`).join("") : `M${places.at(-1)}h0`;
      const chart = make("svg", { class: "chart", viewBox: "0 0 300 60", preserveAspectRatio: "none", role: "img", "aria-label": words },
        ...[3, 57].map((y) => make("line", { class: "grid", x1: 0, x2: 300, y1: y, y2: y })),
        make("path", { class: "trend", d: `M${places.join("L")}` }), make("path", { class: "points", d: few }));
      const axis = make("p", { class: "axis", "aria-hidden": "true" }, make("span", {}, `${span} ago`), make("span", {}, `${number(bottom)} to ${number(most)}`), make("span", {}, "now"));
      return [head, make("figure", {}, chart, axis), make("p", { class: "soft" }, more ? `the newest ${scores}` : scores)];
    }
  }
  if (!customElements.get("tendon-badge")) customElements.define("tendon-badge", TendonBadge);
})();
