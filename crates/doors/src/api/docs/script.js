// The docs page: reads /openapi.json, lists what can be asked, and asks it. Everything shown is put in as text, never as
// markup. The key lives in its field and nowhere else.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
let spec;

/** An element with attributes and children; texts become text nodes. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Follows a reference inside the document. */
function resolve(thing) {
  let found = thing;
  for (let step = 0; found && found.$ref && step < 10; step += 1) {
    found = found.$ref.slice(2).split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], spec);
  }
  return found ?? {};
}

/** Texts of descriptions mark code with backticks. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function typeOf(schema) {
  if (schema.enum) return "one of";
  const types = [schema.type ?? "any"].flat().filter((type) => type !== "null");
  const nullable = [schema.type].flat().includes("null") ? " or nothing" : "";
  const name = types[0] === "array" ? `list of ${typeOf(resolve(schema.items ?? {}))}` : types.join(" or ");
  return name + (schema.format ? ` (${schema.format})` : "") + nullable;
}

/** Everything that a value must keep to, in words. */
function constraints(schema) {
  const said = [];
  if (schema.enum) said.push(schema.enum.map((value) => (value === null ? "nothing" : String(value))).join(", "));
  if (schema.minimum !== undefined) said.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) said.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) said.push(`at most ${schema.maxLength} characters`);
  if (schema.pattern !== undefined) said.push(`matches ${schema.pattern}`);
  if (schema.default !== undefined) said.push(`default ${schema.default}`);
  return said.join("; ");
}

/** The members of an object, with those inside them. */
function fieldList(schema, depth = 0) {
  const resolved = resolve(schema);
  const inner = resolved.type === "array" ? resolve(resolved.items ?? {}) : resolved;
  const entries = Object.entries(inner.properties ?? {});
  if (!entries.length) return make("p", { class: "said" }, typeOf(inner));
  return make("dl", { class: "fields" }, ...entries.map(([name, raw]) => {
    const field = resolve(raw);
    const needed = (inner.required ?? []).includes(name);
    const below = field.type === "array" ? resolve(field.items ?? {}) : field;
    const nested = depth < 2 && below.properties ? fieldList(below, depth + 1) : null;
    const about = [field.description, constraints(field)].filter(Boolean).join(" — ");
    return make("div", {},
      make("dt", {}, name, make("span", {}, typeOf(field)), needed ? make("span", { class: "need" }, "required") : null),
      make("dd", {}, ...prose(about), nested));
  }));
}

function parameterList(parameters) {
  return make("dl", { class: "fields" }, ...parameters.map((one) => {
    const schema = resolve(one.schema);
    const about = [one.description, constraints(schema)].filter(Boolean).join(" — ");
    return make("div", {},
      make("dt", {}, one.name, make("span", {}, `${one.in}, ${typeOf(schema)}`), one.required ? make("span", { class: "need" }, "required") : null),
      make("dd", {}, ...prose(about)));
  }));
}

/** The codes of a problem, each with what it means. */
function codeList(codes) {
  return make("dl", { class: "fields" }, ...codes.map(([, code, about]) => make("div", {}, make("dt", {}, code), make("dd", {}, ...prose(about)))));
}

function answerList(responses) {
  return make("ul", { class: "answers" }, ...Object.entries(responses).sort().map(([status, raw]) => {
    const answer = resolve(raw);
    const content = Object.values(answer.content ?? {})[0];
    const codes = [...(answer.description ?? "").matchAll(/`([a-z_]+)`: (.*?)\. (?=`[a-z_]+`: |$)/g)];
    if (answer.content?.["application/problem+json"] && codes.length) {
      const names = codes.length > 2 ? `one of ${codes.length} problems` : codes.map(([, code]) => code).join(" or ");
      return make("li", {}, make("details", {}, make("summary", {}, make("strong", {}, status), names), codeList(codes)));
    }
    const line = [make("strong", {}, status), ...prose(answer.description ?? "")];
    const headers = Object.entries(answer.headers ?? {}).map(([name, header]) => ({ name, in: "header", ...resolve(header), required: false }));
    if (!content?.schema && !headers.length) return make("li", {}, ...line);
    return make("li", {}, make("details", {}, make("summary", {}, ...line),
      headers.length ? parameterList(headers) : null, content?.schema ? fieldList(content.schema) : null));
  }));
}

/** A control for one value; `read` gives undefined for "left out". */
function control(id, schema, value) {
  const types = [schema.type ?? "string"].flat();
  const choices = schema.enum ? schema.enum.filter((one) => one !== null) : types.includes("boolean") ? [true, false] : null;
  if (choices) {
    const select = make("select", { id }, make("option", { value: "" }, "(left out)"),
      ...choices.map((one) => make("option", { value: JSON.stringify(one) }, String(one))));
    const write = (next) => { select.value = next === undefined || next === null ? "" : JSON.stringify(next); };
    write(value);
    return { element: select, write, read: () => (select.value === "" ? undefined : JSON.parse(select.value)) };
  }
  const number = types.includes("integer") || types.includes("number");
  const input = make("input", { id, type: "text", inputmode: number ? "decimal" : undefined, autocomplete: "off", spellcheck: "false" });
  const write = (next) => { input.value = next === undefined || next === null ? "" : String(next); };
  write(value);
  const read = () => {
    if (input.value === "") return undefined;
    return number && input.value.trim() !== "" && Number.isFinite(Number(input.value)) ? Number(input.value) : input.value;
  };
  return { element: input, write, read };
}

function labelled(id, name, schema, needed, part) {
  const note = [needed ? "required" : null, constraints(schema) || typeOf(schema), schema.description].filter(Boolean).join(" — ");
  part.element.setAttribute("aria-describedby", `${id}-note`);
  return make("div", {}, make("label", { for: id }, name), part.element, make("small", { id: `${id}-note` }, note));
}

/** The body: a field for each member of the integration's input, and the JSON that is sent; each follows the other. */
function bodyEditor(id, content) {
  const [kind, media] = Object.entries(content)[0];
  const json = kind.includes("json") && !kind.includes("ndjson");
  const example = media.example ?? {};
  const text = typeof example === "string" ? example : JSON.stringify(example, null, 2);
  const area = make("textarea", { id: `${id}-body`, spellcheck: "false", autocapitalize: "off" });
  area.value = text;
  const input = json ? resolve(resolve(media.schema ?? {}).properties?.input ?? {}) : {};
  const parts = Object.entries(input.properties ?? {}).map(([name, raw], index) => {
    const schema = resolve(raw);
    return { name, schema, id: `${id}-in-${index}`, ...control(`${id}-in-${index}`, schema, example.input?.[name]) };
  });
  const intoText = () => {
    let whole = {};
    try { whole = JSON.parse(area.value); } catch { /* what cannot be read is replaced */ }
    const values = parts.map((part) => [part.name, part.read()]).filter(([, value]) => value !== undefined);
    area.value = JSON.stringify({ ...whole, input: Object.fromEntries(values) }, null, 2);
  };
  const intoFields = () => {
    try { const values = JSON.parse(area.value).input ?? {}; parts.forEach((part) => part.write(values[part.name])); } catch { /* not yet */ }
  };
  parts.forEach((part) => part.element.addEventListener("input", intoText));
  area.addEventListener("input", intoFields);
  const needed = input.required ?? [];
  const fields = parts.length ? [make("h4", {}, "Input"),
    make("div", { class: "grid" }, ...parts.map((part) => labelled(part.id, part.name, part.schema, needed.includes(part.name), part)))] : [];
  return { kind, read: () => area.value, elements: [...fields, make("h4", {}, make("label", { for: `${id}-body` }, "Body")), area] };
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** What is to be sent, from the form as it stands. The key is left out: where it goes is decided by who uses this. */
function request(operation, values, body) {
  let path = operation.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, read } of values) {
    const value = read();
    if (value === undefined) continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === "query") query.set(parameter.name, String(value));
    else headers[parameter.name] = String(value);
  }
  if (body) headers["content-type"] = body.kind;
  const text = query.toString();
  return { url: text ? `${path}?${text}` : path, headers, body: body?.read() };
}

function asCurl(method, open, made) {
  const lines = [`curl -i -X ${method.toUpperCase()} ${quote(location.origin + made.url)}`];
  if (!open) lines.push(`-H "authorization: Bearer $TENDON_KEY"`);
  for (const [name, value] of Object.entries(made.headers)) lines.push(`-H ${quote(`${name}: ${value}`)}`);
  if (made.body !== undefined) lines.push(`--data-binary ${quote(made.body)}`);
  return lines.join(" \\\n  ");
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function box(label, text) {
  return make("pre", { tabindex: "0", role: "region", "aria-label": label }, text);
}

async function send(method, open, made, result, button) {
  button.disabled = true;
  const key = document.getElementById("key").value.trim();
  const headers = { ...made.headers };
  if (!open && key) headers.authorization = `Bearer ${key}`;
  const begun = performance.now();
  try {
    const answer = await fetch(made.url, { method: method.toUpperCase(), headers, body: made.body, cache: "no-store", credentials: "omit" });
    const text = await answer.text();
    const took = Math.round(performance.now() - begun);
    const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    result.replaceChildren(
      make("p", { role: "status" }, make("span", { class: `status ${answer.ok ? "good" : "bad"}` }, `${answer.status} ${answer.statusText}`), ` in ${took} ms`),
      make("h4", {}, "Headers"), box("Headers of the answer", lines),
      make("h4", {}, "Body"), box("Body of the answer", pretty(text) || "(empty)"));
  } catch (error) {
    result.replaceChildren(make("p", { role: "alert", class: "failed" }, `No answer: ${error.message}`));
  } finally {
    button.disabled = false;
  }
}

function tryIt(operation, id, parameters) {
  const open = Array.isArray(operation.security) && !operation.security.length;
  const values = parameters.map((parameter, index) => {
    const schema = resolve(parameter.schema);
    return { parameter, schema, id: `${id}-p-${index}`, ...control(`${id}-p-${index}`, schema, undefined) };
  });
  const body = operation.requestBody ? bodyEditor(id, operation.requestBody.content) : null;
  const result = make("div", { class: "result" });
  const said = make("span", { class: "said", role: "status" });
  const shown = make("div", {});
  const button = make("button", { class: "main", type: "submit" }, "Send");
  const copy = async () => {
    const text = asCurl(operation.method, open, request(operation, values, body));
    shown.replaceChildren(box("The request for curl", text));
    try { await navigator.clipboard.writeText(text); said.textContent = "Copied."; } catch { said.textContent = "Copy it from below."; }
  };
  return make("form", { "aria-label": `Try ${operation.method.toUpperCase()} ${operation.path}`, on: { submit: (event) => {
    event.preventDefault();
    send(operation.method, open, request(operation, values, body), result, button);
  } } },
  ...(values.length ? [make("h4", {}, "Parameters"), make("div", { class: "grid" },
    ...values.map((one) => labelled(one.id, one.parameter.name, one.schema, one.parameter.required, one)))] : []),
  ...(body?.elements ?? []),
  make("div", { class: "buttons" }, button, make("button", { type: "button", on: { click: copy } }, "Copy as curl"), said),
  shown, result);
}

function operationCard(operation, id) {
  const parameters = operation.parameters.map(resolve);
  const schema = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  const inside = make("div", { class: "inside" });
  const details = make("details", {},
    make("summary", {}, make("span", { class: `verb ${operation.method}` }, operation.method.toUpperCase()),
      make("span", { class: "path" }, operation.path), make("h3", {}, operation.summary ?? "")),
    inside);
  // What is inside is made when it is first opened: a project may have many integrations.
  details.addEventListener("toggle", () => {
    if (!details.open || inside.childNodes.length) return;
    inside.append(...[
      operation.description ? make("p", {}, ...prose(operation.description)) : null,
      parameters.length ? make("h4", {}, "Parameters") : null, parameters.length ? parameterList(parameters) : null,
      schema ? make("h4", {}, "Request") : null, schema ? fieldList(schema) : null,
      make("h4", {}, "Try it"), tryIt(operation, id, parameters),
      make("h4", {}, "Answers"), answerList(operation.responses),
    ].filter(Boolean));
  });
  return make("article", { id }, details);
}

function operations() {
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = { ...item[method], path, method, parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])] };
      const group = operation.tags?.[0] ?? "service";
      groups.set(group, [...(groups.get(group) ?? []), operation]);
    }
  }
  // The integrations first, each with the single question before the batch; then what is the same everywhere.
  const rank = (group) => (spec.tags ?? []).findIndex((tag) => tag.name === group);
  for (const all of groups.values()) all.sort((a, b) => a.path.includes("/batches") - b.path.includes("/batches"));
  return [...groups].sort(([a], [b]) => rank(a) - rank(b));
}

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target?.querySelector("details");
  if (details) {
    details.open = true;
    target.scrollIntoView();
    details.querySelector("summary").focus({ preventScroll: true });
  }
}

async function start() {
  const main = document.getElementById("main");
  try {
    const answer = await fetch("/openapi.json", { credentials: "omit" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    spec = await answer.json();
  } catch (error) {
    document.getElementById("loading").textContent = `/openapi.json could not be read: ${error.message}`;
    return;
  }
  document.getElementById("title").textContent = spec.info.title;
  document.title = `${spec.info.title}: API`;
  document.getElementById("about").replaceChildren(...prose(spec.info.description ?? ""));
  const list = make("details", { open: matchMedia("(min-width: 62rem)").matches }, make("summary", {}, "Operations"));
  const cards = [];
  for (const [group, all] of operations()) {
    const about = spec.tags?.find((tag) => tag.name === group)?.description;
    cards.push(make("h2", {}, group), about ? make("p", { class: "said" }, about) : null);
    list.append(make("h2", {}, group), make("ul", {}, ...all.map((operation) => {
      const id = operation.operationId;
      cards.push(operationCard(operation, id));
      return make("li", {}, make("a", { href: `#${encodeURIComponent(id)}` }, operation.summary ?? operation.path));
    })));
  }
  document.getElementById("contents").append(list);
  main.replaceChildren(...cards.filter(Boolean));
  addEventListener("hashchange", openTarget);
  if (location.hash) openTarget();
  else main.querySelector("article details")?.setAttribute("open", "");
}

start();
