"""Proves that the checker can fail: takes the folder of a cell that held, spoils one thing in what the checker reads, and expects
it to say so. The program plays no part in this; faults planted into the program itself are `--mutations`.

    prove.py FOLDER LEDGER      exit 0: everything that was spoilt was found, and the unspoilt folder is clean
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECK = Path(__file__).with_name("check.py")


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def client(folder):
    return next(path for path in sorted(folder.glob("client-*.jsonl")) if any(r["what"] == "answer" for r in read(path)))


def on_client(change):
    def spoil(folder, _ledger):
        rows = read(client(folder))
        change(rows, [at for at, row in enumerate(rows) if row["what"] == "answer"])
        write(client(folder), rows)

    return spoil


def on_history(change):
    def spoil(folder, _ledger):
        rows = read(folder / "history.jsonl")
        writes = [at for at, row in enumerate(rows) if row["what"] == "write"]
        again = {}
        for at in writes:
            again.setdefault(rows[at]["id"], []).append(at)
        change(rows, writes, next((ats for ats in again.values() if len(ats) > 1), None))
        write(folder / "history.jsonl", rows)

    return spoil


def other_answer(rows, answers):
    rows[answers[0]]["decision"]["output"] += 2.0**-30


def unknown_answer(rows, answers):
    rows[answers[0]]["decision"]["id"] = "00000000-0000-7000-8000-000000000000"


def two_answers(rows, answers):
    one = json.loads(json.dumps(rows[answers[0]]))
    one["decision"]["id"] = rows[answers[-1]]["decision"]["id"]
    rows.append(one)


def no_answer(rows, answers):
    rows[:] = [row for row in rows if row["key"] != rows[answers[0]]["key"] or row["what"] == "ask"]


def no_question(rows, answers):
    key = rows[answers[0]]["key"]
    rows[:] = [row for row in rows if row["key"] != key]


def twice(rows, writes, _again):
    rows.append(rows[writes[-1]])


def backwards(rows, _writes, again):
    first, second = again[:2]
    rows[first], rows[second] = rows[second], rows[first]


def over_a_change(rows, writes, _again):
    rows[writes[0]]["balance"] += 1


def unwritten(rows, writes, _again):
    lead = rows[writes[-1]]["id"]
    rows[:] = [row for row in rows if row["id"] != lead or row["what"] == "row"]


def again(rows, writes, _again):
    one = dict(rows[writes[-1]])
    one.update(decided_by=rows[writes[0]]["decided_by"], before=one["scored_at"], scored_at="9" + one["scored_at"][1:])
    rows.append(one)


def sent_away(rows, answers):
    rows.append({"what": "shed", "key": rows[answers[0]]["key"]})


def all_sent_away(rows, answers):
    key = rows[answers[0]]["key"]
    rows[:] = [row for row in rows if row["key"] != key or row["what"] == "ask"] + [{"what": "shed", "key": key}]


def not_a_line(folder, _ledger):
    path = client(folder)
    path.write_text(path.read_text() + '{"what":\n')


def missing_decision(folder, _ledger):
    path = folder / "decisions.json"
    known = next(row["decision"]["id"] for row in read(client(folder)) if row["what"] == "answer")
    path.write_text(json.dumps([one for one in json.loads(path.read_text()) if one["id"] != known]))


def changed_leaf(_folder, ledger):
    path = next(path for path in sorted((ledger / "tile" / "entries").rglob("*")) if path.is_file())
    path.write_bytes(path.read_bytes().replace(b'"reason":"ok"', b'"reason":"no"', 1))


def forked(folder, _ledger):
    path = folder / "checkpoints.txt"
    parts = path.read_text().split("\n")
    parts[2] = "A" * 43 + "="
    path.write_text("\n".join(parts))


SPOILT = [
    ("an answer with another value than the record", "lost", on_client(other_answer)),
    ("an answer that was never recorded", "lost", on_client(unknown_answer)),
    ("a key answered by two decisions", "doubled", on_client(two_answers)),
    ("a question without an answer", "lost", on_client(no_answer)),
    ("a decision that nobody asked for", "doubled", on_client(no_question)),
    ("a decision of a question that was sent away", "doubled", on_client(all_sent_away)),
    ("a question that was sent away and answered", "doubled", on_client(sent_away)),
    ("a score written again over a row that had not changed", "doubled", on_history(again)),
    ("a line of a client that cannot be read", "crashed", not_a_line),
    ("a write-back that took effect twice", "doubled", on_history(twice)),
    ("two write-backs of a row in the wrong order", "order", on_history(backwards)),
    ("a score written over a person's change", "order", on_history(over_a_change)),
    ("a row that never got its score", "lost", on_history(unwritten)),
    ("a decision that the program does not list", "lost", missing_decision),
    ("a leaf with other bytes", "lost", changed_leaf),
    ("a checkpoint that the record does not continue", "lost", forked),
]


def check(folder, ledger):
    done = subprocess.run([sys.executable, CHECK, folder, ledger], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.stdout else {"findings": [f"crashed: {done.stderr}"], "crashed": 1}


def main():
    folder, ledger = Path(sys.argv[1]), Path(sys.argv[2])
    clean = check(folder, ledger)
    bad = [f"the unspoilt folder has findings: {clean['findings'][:3]}"] if clean["findings"] else []
    for name, kind, spoil in SPOILT:
        with tempfile.TemporaryDirectory() as scratch:
            copy, record = Path(scratch) / "cell", Path(scratch) / "ledger"
            copy.mkdir()
            for path in folder.iterdir():
                if path.is_file():
                    shutil.copy(path, copy)
            record.mkdir()
            shutil.copy(ledger / "checkpoint", record)
            shutil.copytree(ledger / "tile" / "entries", record / "tile" / "entries")
            try:
                spoil(copy, record)
            except (StopIteration, TypeError, IndexError) as error:
                bad.append(f"{name}: this cell has nothing to spoil ({error!r})")
                continue
            found = check(copy, record).get(kind, 0)
        print(f"{'found' if found else 'NOT FOUND'} as {kind}: {name}")
        if not found:
            bad.append(name)
    for line in bad:
        print(f"the checker let through: {line}", file=sys.stderr)
    sys.exit(1 if bad else 0)


main()
