"""Every expression of the alert rules and of the Grafana board, evaluated by a real Prometheus that scrapes a real process.

    monitoring.py PROCESS PORT FOLDER

A rule that asks for a metric or a label that is not there never fires, and nobody notices: so each selector has to find series, and
each name and label has to stand in the generated list of metrics.
"""

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "packages"
# What the process of this run has no reason to show.
ABSENT = {
    "tendon_cache_up": "only a cache outside of the process has it",
    "tendon_tls_certificate_remaining_seconds": "this process has no certificate",
}
# Labels that whoever scrapes adds.
ADDED = {"instance", "job", "le"}
PATIENCE = 60


def documented():
    """Labels of each metric, as the generated page lists them."""
    found = {"up": set()}
    for line in (ROOT / "docs/reference/metrics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 5 and cells[1].startswith("`"):
            labels = set(re.findall(r"`([^`]+)`", cells[4]))
            name = cells[1].strip("`")
            names = [name + end for end in ("_bucket", "_count", "_sum")] if cells[2] == "histogram" else [name]
            found.update({name: labels for name in names})
    return found


def rules():
    """How many rules the file has; their names and expressions come from Prometheus, which reads it."""
    text = (PACKAGES / "prometheus/alerts.yaml").read_text()
    return len(re.findall(r"^ +- alert:", text, re.M))


def board():
    """Title and expression of each question of the board."""
    document = json.loads((PACKAGES / "grafana/tendon.json").read_text())
    for panel in document["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for note in document["annotations"]["list"]:
        yield note["name"], note["expr"]
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
            yield variable["name"], f"count by ({label}) ({metric})"


def selectors(expression):
    """Metrics with the labels they are asked by."""
    for name, inside in re.findall(r"\b((?:tendon|process|http)_\w+|up)\b(?:\{([^}]*)\})?", expression):
        yield name, inside or "", re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", inside or "")


class Prometheus:
    """A real one, for as long as the block lasts."""

    def __init__(self, process, port, folder):
        self.at = f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True)
        (folder / "config.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(PACKAGES / "prometheus/alerts.yaml")],
            "scrape_configs": [{"job_name": "tendon", "static_configs": [{"targets": [process]}]}],
        }))
        self.command = [
            "prometheus", f"--config.file={folder / 'config.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]

    def __enter__(self):
        self.child = subprocess.Popen(self.command)
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()

    def get(self, path, **query):
        with urllib.request.urlopen(f"{self.at}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
            return json.load(answer)["data"]

    def until(self, what, done):
        """Asks until it is so."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                found = done()
                if found:
                    return found
            except OSError:
                pass
            if time.monotonic() > end or self.child.poll() is not None:
                sys.exit(f"not within {PATIENCE} s: {what}")
            time.sleep(0.1)


def main():
    process, port, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    wrong, known = [], documented()
    with Prometheus(process, port, folder) as server:
        # A rate needs two scrapes.
        scraped = lambda: any(
            float(row["value"][1]) > 2 for row in server.get("query", query="count_over_time(up[1m])")["result"])
        server.until("the process is scraped", scraped)
        groups = lambda: server.get("rules")["groups"]
        evaluated = lambda: groups() and all(rule["health"] != "unknown" for group in groups() for rule in group["rules"])
        server.until("all rules are evaluated", evaluated)
        loaded = [rule for group in groups() for rule in group["rules"]]
        if len(loaded) != rules():
            wrong.append(f"{len(loaded)} of {rules()} rules are loaded")
        wrong += [f"rule {rule['name']}: {rule['lastError']}" for rule in loaded if rule["health"] != "ok"]
        wrong += [f"rule {rule['name']} fires on a process that is well" for rule in loaded if rule["state"] == "firing"]
        questions = [(rule["name"], rule["query"]) for rule in loaded] + list(board())
        for name, expression in questions:
            wrong += ask(server, known, name, expression)
    print("\n".join(wrong))
    print(f"{len(loaded)} rules and {len(questions) - len(loaded)} questions of the board evaluated, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


def ask(server, known, name, expression):
    """What is wrong with one expression."""
    wrong = []
    for word, value in (("$instance", ".*"), ("$integration", ".*"), ("$__rate_interval", "30s")):
        expression = expression.replace(word, value)
    groups = r"by \(([^)]*)\)"
    asked = list(selectors(re.sub(groups, "", expression)))
    if not asked:
        wrong.append(f"{name}: asks for no metric")
    grouped = {label.strip() for labels in re.findall(groups, expression) for label in labels.split(",")}
    for metric, inside, labels in asked:
        if metric not in known:
            wrong.append(f"{name}: there is no metric {metric}")
            continue
        strange = (set(labels) | grouped) - known[metric] - ADDED
        if strange:
            wrong.append(f"{name}: {metric} has no label {', '.join(sorted(strange))}")
        if metric not in ABSENT and not server.get("query", query=f"{metric}{{{inside}}}")["result"] and metric != "up":
            wrong.append(f"{name}: nothing is found by {metric}{{{inside}}}")
    try:
        server.get("query", query=expression)
    except OSError as error:
        wrong.append(f"{name}: {error}: {expression}")
    return wrong


if __name__ == "__main__":
    main()
