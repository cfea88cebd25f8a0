"""Kills the real process again and again while callers ask and colleagues change leads, and then counts.

    kill.py TENDON EXAMPLE FOLDER KILLS

Callers post decisions with idempotency keys and repeat a key until it is answered; colleagues give leads new balances, each
balance once. At the end:
- every acknowledged decision can be read back, and a key that was answered twice was answered with the same decision;
- the CRM's own trigger counted each (lead, balance) at most once, so no write-back happened twice, and every lead has the
  score of its last balance;
- the ledger verifies, also in between.
"""

import collections
import csv
import http.client
import json
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

tendon, example, folder, kills = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), int(sys.argv[4])
LEADS, CALLERS = 200, 4
seed = random.SystemRandom().randrange(2**32)
chance = random.Random(seed)
print(f"seed {seed}, {kills} kills", flush=True)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


with open(example / "sample.csv", newline="") as file:
    samples = [{name: value for name, value in row.items() if name != "expected"} for row in csv.DictReader(file)]
names = list(samples[0])
whole = {name for name in names if all(row[name].lstrip("-").isdigit() for row in samples)}
samples = [{name: int(row[name]) if name in whole else row[name] for name in names} for row in samples]
columns = ", ".join(f'"{name}" {"INTEGER" if name in whole else "TEXT"} NOT NULL' for name in names)


def make_project():
    (folder / "integrations").mkdir(parents=True)
    (folder / "models/lead-score").mkdir(parents=True)
    shutil.copy(example / "lead-score.txt", folder / "models/lead-score/1.txt")
    with sqlite3.connect(folder / "crm.db") as crm:
        crm.execute("PRAGMA journal_mode = wal")
        crm.executescript(f"""
            CREATE TABLE leads (id INTEGER PRIMARY KEY, {columns}, updated_at TIMESTAMP NOT NULL, score REAL, score_band TEXT, scored_at TIMESTAMP);
            CREATE TABLE counted (id INTEGER NOT NULL, balance INTEGER NOT NULL, scored_at TEXT);
            CREATE TRIGGER count_write_backs AFTER UPDATE OF score, score_band, scored_at ON leads
            BEGIN INSERT INTO counted VALUES (NEW.id, NEW.balance, NEW.scored_at); END;
        """)
        for number in range(1, LEADS + 1):
            row = samples[number % len(samples)]
            marks = ", ".join("?" for _ in names)
            crm.execute(
                f"INSERT INTO leads VALUES (?, {marks}, strftime('%Y-%m-%dT%H:%M:%fZ'), NULL, NULL, NULL)",
                [number, *(number if name == "balance" else row[name] for name in names)],
            )
    read = ", ".join(["id", *names, "updated_at"])
    (folder / "tendon.yaml").write_text(f"""
project: kill
systems:
  crm:
    kind: sqlite
    path: crm.db
    read: {{ leads: [{read}] }}
    write: {{ leads: [score, score_band, scored_at] }}
models:
  lead-score: {{ path: models/lead-score }}
""")
    (folder / "integrations/lead-score.yaml").write_text("""
integration: lead-score
purpose: rank leads by their probability to subscribe
owner: sales-ops
model: lead-score
subject: input.id
input: { from: crm.leads }
bands: { green: ">= 0.1", yellow: ">= 0.055", red: otherwise }
doors:
  api: {}
  events: { set: { score: output, score_band: band, scored_at: now }, poll: 50ms }
""")


def run(*words):
    done = subprocess.run([tendon, *words, "--project", folder], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"`tendon {' '.join(words)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """The process under test; what asks it survives its deaths."""

    def __init__(self):
        self.port, self.process = free_port(), None

    def start(self):
        with open(folder / "up.log", "a") as log:
            words = [tendon, "up", "--project", folder, "--listen", f"127.0.0.1:{self.port}"]
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_ready(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                sys.exit(f"`tendon up` ended with {self.process.returncode}:\n{(folder / 'up.log').read_text()[-3000:]}")
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.005)
        sys.exit(f"`tendon up` was not ready within a minute:\n{(folder / 'up.log').read_text()[-3000:]}")

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


make_project()
made = run("keys", "create", "--name", "kill")
key = next(word for word in made.split() if word.startswith("tdn_"))
server = Server()
acknowledged = collections.defaultdict(set)
stop = threading.Event()
problems = []


def call(number):
    """One caller: a new question each time, repeated with its key until it is answered."""
    chance, count = random.Random(seed + number), 0
    while not stop.is_set():
        count += 1
        idempotency = f"{number}-{count}"
        row = {"id": 10_000 * number + count, **chance.choice(samples)}
        body = json.dumps({"input": row})
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "idempotency-key": idempotency}
        repeat = chance.random() < 0.2
        while not stop.is_set():
            try:
                status, answer = server.ask("POST", "/v1/integrations/lead-score/decisions", body, headers)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
                continue
            if status == 200:
                acknowledged[idempotency].add(json.loads(answer)["id"])
                if not repeat:
                    break
                repeat = False
            elif status not in (429, 503, 504):
                problems.append(f"status {status}: {answer[:500]}")
                return


def change():
    """A colleague: gives a lead a balance that no lead ever had."""
    chance, balance = random.Random(seed), 1_000_000
    crm = sqlite3.connect(folder / "crm.db", timeout=30, isolation_level=None)
    while not stop.is_set():
        balance += 1
        crm.execute(
            "UPDATE leads SET balance = ?, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = ?",
            [balance, chance.randint(1, LEADS)],
        )
        stop.wait(0.02)
    crm.close()


threads = [threading.Thread(target=call, args=[number]) for number in range(1, CALLERS + 1)]
threads.append(threading.Thread(target=change))
for thread in threads:
    thread.start()
try:
    for number in range(1, kills + 1):
        server.start()
        if chance.random() < 0.8:
            server.wait_ready()
        time.sleep(chance.uniform(0, 0.4))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        if number % 10 == 0:
            run("ledger", "verify")
            print(f"{number} kills, {len(acknowledged)} keys answered", flush=True)
    server.start()
    server.wait_ready()
    time.sleep(0.5)
finally:
    stop.set()
    for thread in threads:
        thread.join()

with sqlite3.connect(folder / "crm.db", timeout=30) as crm:
    late = """SELECT count(*) FROM leads WHERE NOT EXISTS
        (SELECT 1 FROM counted WHERE counted.id = leads.id AND counted.balance = leads.balance)"""
    end = time.monotonic() + 60
    while crm.execute(late).fetchone()[0] and time.monotonic() < end:
        time.sleep(0.05)
    unscored = crm.execute(late).fetchone()[0]
    twice = crm.execute("SELECT id, balance, count(*) FROM counted GROUP BY 1, 2 HAVING count(*) > 1").fetchall()
    written = crm.execute("SELECT count(*) FROM counted").fetchone()[0]
lost = []
for idempotency, ids in acknowledged.items():
    if len(ids) != 1:
        problems.append(f"key {idempotency} was answered with {sorted(ids)}")
    for one in ids:
        status, _ = server.ask("GET", f"/v1/decisions/{one}", headers={"authorization": f"Bearer {key}"})
        if status != 200:
            lost.append((one, status))
server.process.terminate()
if server.process.wait(30) != 0:
    problems.append(f"the process ended with {server.process.returncode} when asked to stop")
run("ledger", "verify")
if unscored:
    problems.append(f"{unscored} leads without the score of their last balance")
if twice:
    problems.append(f"written twice: {twice[:10]}")
if lost:
    problems.append(f"acknowledged but lost: {lost[:10]}")
if len(acknowledged) < kills:
    problems.append(f"only {len(acknowledged)} keys were answered; the test saw too little")
print(f"{kills} kills: {len(acknowledged)} keys answered, none lost; {written} write-backs, none twice; the ledger verifies")
sys.exit("\n".join(problems) if problems else 0)
