// <tendon-badge integration subject token>: the score of one subject in somebody's page. It needs nothing but this file, writes every
// text as text, and brings its style as a constructed sheet, so that a page whose policy forbids inline style and script can use it.
// Attributes: integration, subject, token (signed by the page's server), src (Tendon's origin; usual: where this file came from),
// theme (light, dark; usual: what the reader prefers), compact, inline (the breakdown stands below instead of above the page).
// A token that has ended is asked for anew: by the property `renew`, an async function, or the event `tendon-token`, whose
// `detail.give(token)` takes the answer, later where the event was taken by `preventDefault`. Whether it has ended, Tendon judges: the
// reader's clock is a hint. The event `tendon-shown` tells that a state is shown, and which.
"use strict";
(() => {
  const HOME = document.currentScript ? new URL(document.currentScript.src).origin : location.origin;
  const TONES = { green: "good", yellow: "warn", amber: "warn", red: "bad" };
  const SHOWN = 6;
  // How long a page may take to give a token before the badge says that there is none; one that comes later still counts.
  const WAIT = 10_000;
  const MINUTE = 60_000;
  // The longest timer of a browser, in seconds.
  const LONGEST = 2_147_483;
  // So often in a minute a page is asked for a token that Tendon then does not take: no page and badge keep each other busy.
  const ASKS = 3;
  const ENDED = ["token_expired", "token_subject", "token_audience"];
  const STYLE = `{STYLE}`;
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
  /** So that any number has room: very large and very small ones in short. */
  const number = (value) => {
    const size = Math.abs(value);
    const notation = size >= 1e5 ? "compact" : size > 0 && size < 1e-3 ? "scientific" : "standard";
    return new Intl.NumberFormat("en", { maximumSignificantDigits: 3, notation }).format(value);
  };
  /** What a model answered: to the same digit as in the console. */
  const told = (value) => {
    const size = Math.abs(value);
    const far = size >= 1e5 || (size > 0 && size < 5e-5);
    return far ? number(value) : new Intl.NumberFormat("en", { minimumFractionDigits: 4, maximumFractionDigits: 4 }).format(value);
  };
  /** A text of the project's own: in its own direction, and broken where its words end. */
  const own = (text) => make("bdi", {}, ...text.split(/(?<=[_./-])/).flatMap((word) => [word, make("wbr")]));
  const days = (from, until) => Math.round((Date.parse(until) - Date.parse(from)) / 864e5);
  /** A span of seconds in the largest whole unit. */
  const ago = (seconds) => {
    for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (seconds >= length) return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / length), unit);
    }
    return "just now";
  };
  /** About whom a token is and when it ends, in milliseconds; what cannot be read is left to the server. */
  const read = (token) => {
    try {
      const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
      const { sub, exp } = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
      return { sub, ends: exp * 1000 };
    } catch {
      return {};
    }
  };
  // The reader's clock is wrong by more than Tendon allows for: it says no more when a token ends.
  let astray = false;
  const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}. ` : "");
  const failed = (code, detail, hint) => Object.assign(new Error(detail), { code, hint });

  class TendonBadge extends HTMLElement {
    static observedAttributes = ["integration", "subject", "token", "src"];
    /** Gives a new token when the old one has ended. */
    renew = null;
    #turn = 0;
    #asked = false;
    #state = "";
    #told = 0;
    #due = Infinity;
    #timer = 0;
    #asks = [];
    #renewal = null;
    #button;
    #panel;
    #said;

    connectedCallback() {
      if (!this.#button) this.#build();
      document.addEventListener("visibilitychange", this.#awake);
      this.refresh();
    }
    disconnectedCallback() {
      this.#turn += 1;
      clearTimeout(this.#timer);
      document.removeEventListener("visibilitychange", this.#awake);
      for (const moved of ["scroll", "resize"]) removeEventListener(moved, this.#place, { capture: true });
    }
    attributeChangedCallback(name, before, after) {
      if (!this.#button || !this.isConnected || before === after) return;
      // Whoever waits for a token goes on with it.
      if (name === "token" && after && this.#renewal?.whom === this.#whom()) return this.#renewal.give(after);
      if (name !== "token") {
        // Nothing of the one before may stand beside the name of another.
        this.#turn += 1;
        this.#asks = [];
        if (this.#button.getAttribute("aria-expanded") === "true") this.#toggle(false);
        this.#show("loading", { band: "Loading…", short: "…" });
      }
      this.refresh();
    }
    #whom() {
      return ["integration", "subject", "src"].map((one) => this.getAttribute(one)).join("\n");
    }

    /** A reader comes back to a page that lay in the background or slept, or looks on while a score grows old: what it shows may be past. */
    #awake = () => {
      if (document.hidden || !this.#told) return;
      const now = Date.now();
      if (this.#state === "error" || now >= this.#due || Math.abs(now - this.#told) >= MINUTE) this.#again();
    };
    /** Asks again when a fresh score is so no more, and not before: each time that somebody is shown a score is written down. */
    #until(seconds) {
      clearTimeout(this.#timer);
      this.#due = seconds === undefined ? Infinity : Date.now() + seconds * 1000;
      if (seconds < LONGEST) this.#timer = setTimeout(this.#awake, seconds * 1000);
    }
    #again() {
      this.#asks = [];
      this.refresh();
      if (this.#button.getAttribute("aria-expanded") === "true") this.#explain();
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
      if (!this.#state || this.#state === "error") this.#show("loading", { band: "Loading…", short: "…" });
      try {
        const score = await this.#ask("score");
        if (turn === this.#turn) this.#score(score);
      } catch (error) {
        if (turn === this.#turn) this.#show("error", { band: "Not available", short: "Error", words: error.message });
      }
      this.#told = Date.now();
    }

    /** Asks Tendon; with a new token where there is none for this subject, where it has ended by the reader's clock, or where Tendon takes it no more. */
    async #ask(what) {
      const [integration, subject] = [this.getAttribute("integration") ?? "", this.getAttribute("subject") ?? ""];
      if (!integration || !subject) throw failed("attribute_missing", "the badge names no integration or no subject");
      let token = this.getAttribute("token") ?? "";
      const whom = this.#whom();
      const { sub = subject, ends } = read(token);
      let renewed = !token || sub !== subject || (!astray && ends < Date.now() + 2000);
      if (renewed) token = (await this.#renewed(integration, subject)) ?? token;
      for (;;) {
        if (!token) throw failed("token_not_given", "this page has given no token for the badge", "load the page again, or sign in to it again");
        // Nobody is shown whom the badge is about no more: Tendon would write it down as shown.
        if (whom !== this.#whom()) throw failed("moved", "the badge is about somebody else now");
        const [ok, told] = await this.#sent(what, integration, subject, token);
        if (ok) {
          this.#asks = [];
          astray ||= read(token).ends < Date.now() - MINUTE;
          return told;
        }
        const next = renewed || !ENDED.includes(told.code) ? null : await this.#renewed(integration, subject);
        if (!next) {
          const late = told.code === "token_expired" && "load the page again, or sign in to it again; the clock of the page's server may be wrong";
          throw failed(told.code ?? "unknown", told.detail ?? "the service gave no answer", late || told.hint);
        }
        [token, renewed] = [next, true];
      }
    }
    async #sent(what, integration, subject, token) {
      const address = `${this.getAttribute("src") || HOME}/embed/integrations/${encodeURIComponent(integration)}/${what}`;
      const headers = { accept: "application/json", "tendon-subject": encodeURIComponent(subject), authorization: `Bearer ${token}` };
      try {
        const answer = await fetch(address, { headers, credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" });
        return [answer.ok, await answer.json().catch(() => ({}))];
      } catch {
        throw failed("unreachable", "the service cannot be reached from this page", "it is down, or this page may not show the badge");
      }
    }

    /** A new token from the page; nothing when the page gives none. Whoever needs one meanwhile waits for the same. */
    #renewed(integration, subject) {
      const [whom, now] = [this.#whom(), Date.now()];
      if (this.#renewal?.whom === whom) return this.#renewal.token;
      this.#asks = this.#asks.filter((at) => Math.abs(now - at) < MINUTE);
      if (this.#asks.length >= ASKS) return null;
      this.#asks.push(now);
      let [waits, done] = [true, null];
      const mine = { whom, token: new Promise((end) => { done = end; }) };
      mine.give = (given) => {
        const token = typeof given === "string" && given ? given : null;
        if (!waits && !token) return;
        // Where nobody waits any more, a change of the attribute asks again; else whoever waits is asking already.
        const asked = this.#asked;
        this.#asked ||= waits;
        if (this.#renewal === mine) this.#renewal = null;
        if (token && whom === this.#whom()) this.setAttribute("token", token);
        this.#asked = asked;
        waits = false;
        done(token);
      };
      this.#renewal = mine;
      const detail = { integration, subject, give: mine.give };
      // Who will give one later says so by `preventDefault`.
      const taken = !this.dispatchEvent(new CustomEvent("tendon-token", { bubbles: true, composed: true, cancelable: true, detail }));
      if (this.renew) new Promise((end) => { end(this.renew({ integration, subject })); }).then(mine.give, () => mine.give(null));
      setTimeout(() => { if (waits) mine.give(null); }, taken || this.renew ? WAIT : 0);
      return mine.token;
    }

    #score(score) {
      this.#until(score.fresh_seconds);
      if (score.state === "none") return this.#show("none", { band: "No score yet", short: "None" });
      if (score.state === "waiting") return this.#show("waiting", { band: "Under review", short: "Review" });
      const state = score.state === "stale" ? "stale" : score.degraded ? "degraded" : "fresh";
      const words = `decided ${ago(score.age_seconds)}${score.degraded ? `, by the fallback ${score.degraded}` : ""}`;
      this.#show(state, { band: score.band ?? "score", output: score.output, tone: TONES[score.band], words, degraded: score.degraded });
    }

    #show(state, { band, short, output, tone = "", words = "", degraded }) {
      const known = output !== undefined;
      this.#state = state;
      this.#button.className = `badge ${state} ${degraded ? "degraded" : ""} ${tone}`;
      this.#button.setAttribute("aria-busy", String(state === "loading"));
      const mark = state === "stale" ? "stale" : degraded ? "fallback" : "";
      const names = known ? [make("span", { class: "name", dir: "auto" }, band)] : [make("span", { class: "name long", dir: "ltr" }, band), make("span", { class: "name short", dir: "ltr", "aria-hidden": "true" }, short)];
      const parts = [make("span", { class: "dot", "aria-hidden": "true" }), make("span", { class: known ? "band" : "band alone" }, ...names)];
      if (known) parts.push(make("span", { class: "score" }, told(output)), make("span", { class: "mark" }, mark));
      const why = [mark, words, state === "loading" ? "" : "show why"].filter(Boolean).join("; ");
      this.#button.replaceChildren(...parts, make("span", { class: "unseen" }, ` ${why}`));
      this.#button.title = words;
      if (state !== "loading") this.#said.textContent = `${band} ${known ? told(output) : ""} ${mark}`.trim();
      this.dispatchEvent(new CustomEvent("tendon-shown", { bubbles: true, composed: true, detail: { state } }));
    }

    async #explain() {
      const [turn, whom] = [this.#turn, this.#whom()];
      const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "✕");
      close.addEventListener("click", () => this.#toggle(false));
      const top = make("div", { class: "top" }, make("div", {}, make("p", { class: "title" }, "Score")), close);
      this.#panel.setAttribute("aria-busy", "true");
      this.#fill(top, make("div", { class: "room" }, make("p", { class: "soft" }, "Loading…")));
      try {
        const told = await this.#ask("breakdown");
        if (whom !== this.#whom()) return;
        if (turn === this.#turn) this.#score(told.score);
        top.firstChild.replaceChildren(...this.#title(told.score));
        this.#fill(top, ...this.#notes(told.score), ...this.#parts(told), ...this.#trend(told));
      } catch (error) {
        if (whom !== this.#whom()) return;
        const again = make("button", { type: "button", class: "again" }, "Try again");
        again.addEventListener("click", () => this.#again());
        const note = make("p", { class: "note error", role: "alert" }, sentence(error.message) + sentence(error.hint), make("span", { class: "soft" }, error.code));
        this.#fill(top, note, again);
      }
      this.#panel.setAttribute("aria-busy", "false");
      this.#place();
    }

    /** Replaces what the panel holds; whoever reads it by keyboard stays in it. */
    #fill(...parts) {
      const within = this.#panel.contains(this.shadowRoot.activeElement);
      this.#panel.replaceChildren(...parts);
      if (within) this.#panel.focus({ preventScroll: true });
    }

    #title(score) {
      const shown = score.output === undefined ? ["Score"] : [...(score.band ? [own(score.band), " · "] : []), make("span", { class: "score" }, told(score.output))];
      const lines = [make("p", { class: "title" }, ...shown), make("p", { class: "soft" }, own(score.purpose))];
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
        return make("li", {}, make("span", {}, own(part.feature), part.text.slice(part.feature.length)), bar);
      });
      const rest = parts.length - rows.length;
      return [make("p", { class: "head" }, "Why"), make("ul", {}, ...rows), ...(rest > 0 ? [make("p", { class: "soft" }, `and ${rest} that ${rest === 1 ? "weighs" : "weigh"} less`)] : [])];
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
      const words = `${scores} in ${span}: between ${told(least)} and ${told(most)}, last ${told(values.at(-1))}`;
      const few = trend.length <= 40 ? places.map((place) => `M${place}h0`).join("") : `M${places.at(-1)}h0`;
      const chart = make("svg", { class: "chart", viewBox: "0 0 300 60", preserveAspectRatio: "none", role: "img", "aria-label": words },
        ...[3, 57].map((y) => make("line", { class: "grid", x1: 0, x2: 300, y1: y, y2: y })),
        make("path", { class: "trend", d: `M${places.join("L")}` }), make("path", { class: "points", d: few }));
      const beside = (kind, ...texts) => make("p", { class: kind, "aria-hidden": "true" }, ...texts.map((text) => make("span", {}, text)));
      const scale = beside("scale", most > bottom ? number(most) : "", number(bottom));
      return [head, make("figure", {}, chart, scale, beside("axis", `${span} ago`, "now")), make("p", { class: "soft" }, more ? `The newest ${scores}` : scores)];
    }
  }
  if (!customElements.get("tendon-badge")) customElements.define("tendon-badge", TendonBadge);
})();
