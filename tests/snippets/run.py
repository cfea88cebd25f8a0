"""Runs what the pages print, page by page, where it would be typed: `run.py DEMO FOLDER`, with the demo's folder and one to work in.

A story per page takes the page's blocks in their order and gives each what it needs. Shell is typed as printed (but for the port),
configuration goes through the program's own `check`, Python is executed, requests are sent, and what a page shows as an answer is
compared with the answer. Pages with a scenario of their own (README, first integration, backup) are not here.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from book import REPO, Page, blocks, same
from world import LEAD, Project, TENDON, eventually, free_port, http

HOOK_SECRET = "whsec_" + "c2VjcmV0" * 4


def checked(project, fragment, **env):
    """`tendon check` takes the fragment, and would notice a key that is not one: so it did read it."""
    project.env.update(env)
    project.integration(fragment)
    project.tendon("check")
    spoilt = fragment.splitlines()
    at = max(at for at, line in enumerate(spoilt) if re.match(r"\s+\w+:", line))
    spoilt[at] = re.sub(r"(\w+):", r"\1zz:", spoilt[at], count=1)
    kept = project.folder / "integrations/lead-score.yaml"
    good = kept.read_text()
    kept.write_text(good.replace(fragment, "\n".join(spoilt) + "\n"))
    assert "zz" in project.tendon("check", fails=True), "a key that is none was taken"
    kept.write_text(good)


class Hook(BaseHTTPRequestHandler):
    """A receiver of callbacks that remembers them."""

    def do_POST(self):
        self.server.calls.append((self.rfile.read(int(self.headers["content-length"])), dict(self.headers)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def asynchronous(page, new):
    project = new("asynchronous")
    with page.block("yaml") as fragment:
        checked(project, fragment, HOOK_SECRET=HOOK_SECRET)
    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    hook.calls = []
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{hook.server_port}"
    project.integration(fragment.replace("https://hooks.example.com", address))
    with project.up():
        key = project.key("decide:*", "read")
        with page.block("sh") as text:
            answer = project.shell(text, TENDON_KEY=key)
        with page.block("text") as printed:
            same(printed, answer)
        body = json.dumps({"input": LEAD, "callback": f"{address}/tendon/orders"})
        asked = http("POST", f"{project.address}/v1/integrations/lead-score/decisions", body, authorization=f"Bearer {key}",
                     content_type="application/json", prefer="respond-async")
        assert asked[0] == 202, asked
        body, headers = eventually("the callback", lambda: hook.calls and hook.calls[0])
    with page.block("python") as text:
        os.environ["HOOK_SECRET"] = HOOK_SECRET
        names = {"body": body, "headers": headers}
        exec(text, names)
        assert names["event"]["type"] == "tendon.decision.made" and names["event"]["data"]["subject"], names["event"]
        try:
            exec(text, {"body": body.replace(b"4711", b"4712"), "headers": headers})
        except Exception as refused:
            assert "Webhook" in type(refused).__name__, refused
        else:
            raise AssertionError("a changed body was taken")
    hook.shutdown()


def badge(page, new):
    project = new("badge")
    with page.block("yaml") as fragment:
        checked(project, fragment)
    port = free_port()
    host = f"http://127.0.0.1:{port}"
    # The embed door beside the demo's own: somebody has to be scored.
    project = new("badge-page")
    fragment = fragment.replace("https://crm.example", host)
    fragment += "  events: { from: crm.leads, on: [insert, update], to: crm.leads, set: { score: output, score_band: band, scored_at: now } }\n"
    project.integration(fragment)
    examples = project.folder / "examples/badge"
    shutil.copytree(REPO / "examples/badge", examples)
    project.env.pop("BADGE_SECRET")
    with page.block("html") as tag, page.block("sh") as text, project.beside(text, PORT=str(port)) as state:
        def shown():
            ended, said = state()
            assert ended is None, said
            return http("GET", host)[0] == 200 and http("GET", f"{project.address}/readyz")[0] == 200
        eventually("page and process", shown)
        page_around = '<!doctype html><title>Snippet</title><body data-tendon="{TENDON}"><script src="page.js" defer></script>'
        (examples / "snippet.html").write_text(page_around + tag.replace("https://tendon.example", project.address))
        seen = subprocess.run(["node", "snippet.mjs", f"{host}/snippet.html"], cwd=REPO / "crates/app/tests/browser", capture_output=True, text=True)
        assert seen.returncode == 0, seen.stderr
        assert json.loads(seen.stdout)["state"] == "fresh", seen.stdout


def console(page, new):
    project = new("console")
    with project.up(), page.block("sh") as text:
        key = re.search(r"tdn_\w+", project.shell(text))[0]
        assert project.ask(key, "GET", "/v1/letters")[0] == 200, "what an operator may look at"
    # Somebody signs in with it in `e2e` `oidc`, at a real provider.
    project.env["OIDC_SECRET"] = "any"
    settings = project.folder / "tendon.yaml"
    kept = settings.read_text()
    with page.block("yaml") as fragment:
        settings.write_text(kept + fragment)
        project.tendon("check")
        settings.write_text(kept + fragment.replace("client:", "clientzz:"))
        assert "clientzz" in project.tendon("check", fails=True), "a key that is none was taken"
    settings.write_text(kept)
    with page.block("yaml") as fragment:
        checked(project, fragment)


def graphql(page, new):
    project = new("graphql")
    with project.up():
        key = project.key("decide:*", "read")
        with page.block("sh") as text:
            answer = json.loads(project.shell(text, KEY=key))
            decision = answer["data"]["decideLeadScore"]["decision"]
            assert "errors" not in answer and 0 <= decision["output"] <= 1 and decision["band"], answer


def linear_models(page, new):
    project = new("linear")
    rows = {"age": 41, "job": "retired", "home": "own", "arrears": 0, "usage": 2, "plan": "paid"}
    for number in range(3):
        with page.block("json") as text:
            names = [feature["name"] for feature in json.loads(text)["features"]]
            (project.folder / f"{number}.json").write_text(text)
            (project.folder / "rows.jsonl").write_text(json.dumps({name: rows[name] for name in names}) + "\n")
            project.tendon("models", "predict", f"{number}.json", "--input", "rows.jsonl")
    import numpy
    import pandas
    random = numpy.random.default_rng(7)
    frame = pandas.DataFrame({"age": random.integers(18, 95, 400), "balance": random.normal(1000, 3000, 400)})
    frame["bought"] = frame["age"] / 50 + frame["balance"] / 4000 + random.normal(0, 1, 400) > 1.2
    with page.block("python") as text, contextlib.chdir(project.folder):
        names = {"frame": frame}
        exec(text, names)
        frame[["age", "balance"]].to_json("rows.jsonl", orient="records", lines=True, double_precision=15)
        answers = json.loads(project.tendon("models", "predict", "v1.json", "--input", "rows.jsonl", "--output", "json"))
        ours = [row["outputs"][0] for row in answers["rows"]]
        theirs = names["model"].predict_proba(frame[["age", "balance"]])[:, 1]
        worst = max(abs(theirs - ours))
        assert len(ours) == 400 and worst < 1e-9, f"off by {worst}"


def model_versions(page, new):
    project = new("versions")
    # The same model in a file of other bytes: what counts as another version.
    text = (project.folder / "models/lead-score/v1.txt").read_text()
    (project.folder / "new.txt").write_text(text + "\n")
    with project.up(), page.block("sh") as text:
        said = project.shell(text)
        champions = re.findall(r"champion of lead-score is (v\d) now", said)
        assert champions == ["v1", "v2", "v1"], said


def reviews(page, new):
    project = new("reviews-fallback")
    with page.block("yaml") as fragment:
        checked(project, fragment)
    seen = new("reviews-seen")
    with page.block("yaml") as fragment:
        checked(seen, fragment)
    # No answer of the model fits, so a person has to; the one of the page's example does.
    failing = new("reviews")
    failing.integration("output: { range: [0.65, 0.8] }\nbands: { green: '>= 0.75', yellow: '>= 0.7', red: otherwise }\n"
                        "fallback: { human: { within: 48h } }\ndoors: { api: {} }\n")
    with failing.up(), seen.up():
        desk, caller = failing.key("review:lead-score"), failing.key("decide:*")
        decisions = "/v1/integrations/lead-score/decisions"

        def pending():
            return http("POST", failing.address + decisions, json.dumps({"input": LEAD}), authorization=f"Bearer {caller}", content_type="application/json")
        status, headers, body = pending()
        with page.block("text") as printed:
            head, _, shown = printed.partition("\n\n")
            same(head, f"HTTP/1.1 {status} Accepted\n" + "\n".join(f"{name}: {headers[name]}" for name in ("location", "retry-after")))
            shown = json.loads(shown.replace(", …}", "}"))
            real = json.loads(body)
            assert shown.keys() <= real.keys() and shown["review"].keys() <= real["review"].keys(), real
            for name in ("outcome", "degraded", "output"):
                assert shown[name] == real[name], real
            assert shown["review"]["state"] == real["review"]["state"], real
        with page.block("sh") as text:
            listed = failing.shell(text)
        with page.block("text") as printed:
            same(printed, listed)
        with page.block("sh") as text:
            failing.shell(text, REVIEW=real["id"], OTHER=json.loads(pending()[2])["id"])
        held_desk, held_caller = seen.key("review:*"), seen.key("decide:*")
        with page.block("http") as text:
            for line in filter(str.strip, text.splitlines()):
                method, path, *body = line.split(maxsplit=2)
                if path.endswith("/approve"):
                    asked = seen.ask(held_caller, "POST", decisions, json.dumps({"input": seen.lead("red")}))
                    assert asked[0] == 202 and asked[1]["review"]["held"], asked
                    answer = seen.ask(held_desk, method, path.replace("{id}", asked[1]["id"]), *body)
                else:
                    waits = json.loads(pending()[2])["id"]
                    answer = failing.ask(desk, method, path.replace("{id}", waits), *body)
                assert answer[0] == 200, (line, answer)


def named_in_text():
    """Commands that stand within a sentence or a table: the program knows their words and options."""
    named = {}
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *sorted(str(one.relative_to(REPO)) for one in REPO.glob("docs/**/*.md"))]:
        text = re.sub(r"(?ms)^ *```.*?^ *```$", "", (REPO / page).read_text(encoding="utf-8"))
        for command in re.findall(r"`tendon ([a-z-][^`\n]*)`", text):
            named.setdefault(command, page)
    for command, page in named.items():
        words = shlex.split(re.split(r" [|#>] ?|\$\(|[,;…]", command.replace("[", "").replace("]", ""))[0])
        ran = subprocess.run([TENDON, *words, "--help"], text=True, capture_output=True)
        assert ran.returncode == 0 and "Usage:" in ran.stdout, f"{page}: `tendon {command}`:\n{ran.stderr}"
    return len(named)


STORIES = {
    "docs/asynchronous.md": asynchronous,
    "docs/badge.md": badge,
    "docs/console.md": console,
    "docs/graphql.md": graphql,
    "docs/linear-models.md": linear_models,
    "docs/model-versions.md": model_versions,
    "docs/reviews.md": reviews,
}


def main(demo, folder, *only):
    for name, story in STORIES.items():
        if only and name not in only:
            continue
        begun = time.monotonic()
        page = Page(name)
        story(page, lambda project: Project(demo, Path(folder, project)))
        print(f"{name}: {len(blocks(name)) - len(page.left)} of {len(blocks(name))} blocks, {time.monotonic() - begun:.1f} s", flush=True)
    print(f"{named_in_text()} commands named in the text are known to the program")


if __name__ == "__main__":
    main(*sys.argv[1:])
