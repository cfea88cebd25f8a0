"""Where the pages' snippets are run: small projects made of the demo's own files, and the real program beside them."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import strict

TENDON = os.environ["TENDON"]
#: The address that the pages print. Others may run something there, so each project gets its own.
PRINTED = ("http://127.0.0.1:8400", "localhost:8400")
#: A request that all of a lead is known of.
LEAD = {"id": 4711, "age": 34, "job": "management", "marital": "single", "education": "tertiary", "default": "no", "balance": 2143,
        "housing": "no", "loan": "no", "contact": "cellular", "day": 5, "month": "mar", "campaign": 1, "pdays": -1, "previous": 0,
        "poutcome": "unknown"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, look, seconds=60):
    """Looks until there is something to see. The bound is for what hangs; nothing waits for it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if found := look():
                return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about within {seconds} s")


def http(method, url, body=None, **headers):
    """Status, headers and text of an answer, whatever its status."""
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read().decode()


class Project:
    """A project with the demo's model and integration and fifty of its leads, listening on a port of its own."""

    def __init__(self, demo, folder):
        self.folder = Path(folder).resolve()
        self.folder.mkdir()
        for name in ("integrations", "models"):
            shutil.copytree(Path(demo, name), self.folder / name)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        settings = Path(demo, "tendon.yaml").read_text() + f"server: {{ listen: '127.0.0.1:{self.port}' }}\n"
        (self.folder / "tendon.yaml").write_text(settings)
        source = sqlite3.connect(Path(demo, "crm.db"))
        crm = sqlite3.connect(self.folder / "crm.db")
        (table,) = source.execute("SELECT sql FROM sqlite_master WHERE name = 'leads'").fetchone()
        crm.execute(table)
        rows = source.execute("SELECT * FROM leads WHERE id <= 50").fetchall()
        crm.executemany(f"INSERT INTO leads VALUES ({', '.join('?' * len(rows[0]))})", rows)
        crm.commit()
        self.env = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOOK_SECRET": "", "BADGE_SECRET": "s" * 32}
        (self.folder / "bin").mkdir()
        (self.folder / "bin/tendon").symlink_to(TENDON)

    def integration(self, fragment):
        """The demo's integration, with a fragment of a page in place of what it has under the same keys: letter for letter."""
        file = self.folder / "integrations/lead-score.yaml"
        base = file.read_text()
        for key in re.findall(r"(?m)^(\w+):", fragment):
            base = re.sub(rf"(?ms)^{key}:.*?(?=^[\w#]|\Z)", "", base)
        file.write_text(base + fragment)

    def tendon(self, *words, fails=False, **more):
        ran = subprocess.run([TENDON, *words], cwd=self.folder, env=self.env, text=True, capture_output=True, **more)
        assert (ran.returncode != 0) == fails, f"tendon {' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
        return ran.stdout + (ran.stderr if fails else "")

    def shell(self, text, **env):
        """Runs a block as it is printed, but for the address."""
        script = strict.script(self.addressed(text))
        ran = subprocess.run(["bash", "-c", script], cwd=self.folder, env={**self.env, **env}, text=True, capture_output=True)
        assert ran.returncode == 0, f"ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def addressed(self, text):
        for printed in PRINTED:
            text = text.replace(printed, self.address)
        return text

    @contextlib.contextmanager
    def up(self):
        """The project's own process, which ends as an operator would end it."""
        with open(self.folder / "up.log", "w") as log:
            process = subprocess.Popen([TENDON, "up"], cwd=self.folder, env=self.env, stdout=log, stderr=log)
        try:
            def ready():
                assert process.poll() is None, (self.folder / "up.log").read_text()
                return http("GET", f"{self.address}/readyz")[0] == 200
            eventually("a ready process", ready)
            yield self
        finally:
            process.terminate()
            process.wait(60)

    @contextlib.contextmanager
    def beside(self, text, **env):
        """A block that goes on running: it and what it started end together."""
        with open(self.folder / "beside.log", "w") as log:
            process = subprocess.Popen(["bash", "-c", strict.script(self.addressed(text))], cwd=self.folder,
                                       env={**self.env, **env}, stdout=log, stderr=log, start_new_session=True)
        try:
            yield lambda: (process.poll(), (self.folder / "beside.log").read_text())
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)

    def key(self, *scopes):
        words = [word for scope in scopes for word in ("--scope", scope)]
        made = json.loads(self.tendon("keys", "create", "--name", "-".join(scopes).replace(":", "-").replace("*", "all"), *words, "--output", "json"))
        return made["key"]

    def lead(self, band):
        """A lead that the demo gave that band."""
        columns = ", ".join(f'"{name}"' for name in LEAD)
        crm = sqlite3.connect(self.folder / "crm.db")
        return dict(zip(LEAD, crm.execute(f"SELECT {columns} FROM leads WHERE score_band = ? LIMIT 1", [band]).fetchone()))

    def ask(self, key, method, path, body=None):
        status, _, text = http(method, self.address + path, body, authorization=f"Bearer {key}", content_type="application/json")
        return status, json.loads(text)
