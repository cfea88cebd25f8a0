"""The independent checker of the fault harness: what was acknowledged, what was recorded, what took effect.

It shares no code with the program, not even its language, and needs nothing but Python's own library. It reads
  client-*.jsonl    what callers asked and were answered, synced by them answer by answer
  the ledger        its public half as C2SP writes it: entry bundles, hashed here anew, against the signed checkpoint
  checkpoints.txt   checkpoints seen in between: what they covered may never change
  decisions.json    `tendon decisions list`: what the program says it recorded
  letters.json      `tendon letters list`
  expected.json     how many rows the CRM refuses for good
  history.jsonl     the CRM's own history, written by its triggers
and prints counts and findings as JSON. Exit 0: nothing found; 1: something found.

A score is its balance over 2^30, so a score that was written tells what it was made from, whoever wrote it.
"""

import base64
import hashlib
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

UNIT = 2.0**-30
GOOD = ("ok", "degraded")


def lines(path):
    """The JSON lines of a file; a killed client may have left half a line at its end."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def balance_of(score):
    """The balance that a score was made from; None when it was made from none."""
    balance = score / UNIT
    return round(balance) if abs(balance - round(balance)) < 1e-3 else None


# --- the record, from its public files -------------------------------------------------------------------------------


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def root(hashes):
    """The root of RFC 6962 over leaf hashes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    # A stack of (height, hash) of perfect subtrees, folded from the right at the end.
    stack = []
    for one in hashes:
        height = 0
        while stack and stack[-1][0] == height:
            one = hashlib.sha256(b"\1" + stack.pop()[1] + one).digest()
            height += 1
        stack.append((height, one))
    total = stack.pop()[1]
    while stack:
        total = hashlib.sha256(b"\1" + stack.pop()[1] + total).digest()
    return total


def bundle_path(ledger, index, width):
    name = f"{index % 1000:03}"
    rest = index // 1000
    while rest:
        name = f"x{rest % 1000:03}/{name}"
        rest //= 1000
    return ledger / "tile" / "entries" / (name if width == 256 else f"{name}.p/{width}")


def leaves(ledger, size):
    found = []
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        path = bundle_path(ledger, index, width)
        data = (path if path.exists() else bundle_path(ledger, index, 256)).read_bytes()
        at = 0
        for _ in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            found.append(data[at + 2 : at + 2 + length])
            at += 2 + length
    return found


def checkpoint(text):
    """Size and root of a signed note."""
    parts = text.split("\n")
    return int(parts[1]), base64.b64decode(parts[2])


def record(ledger, folder, find):
    """The leaves under the last checkpoint, their tree proved against it and all checkpoints before."""
    size, signed = checkpoint((ledger / "checkpoint").read_text())
    found = leaves(ledger, size)
    hashes = [leaf_hash(leaf) for leaf in found]
    if root(hashes) != signed:
        find("lost", f"the record's {size} leaves have another root than the checkpoint says")
    seen = folder / "checkpoints.txt"
    for text in seen.read_text().split("\x1e")[1:] if seen.exists() else []:
        old, old_root = checkpoint(text)
        if old > size or root(hashes[:old]) != old_root:
            find("lost", f"a checkpoint over {old} entries is not continued by the record of {size}")
    return [json.loads(leaf) for leaf in found]


# --- callers ---------------------------------------------------------------------------------------------------------


def callers(folder, entries, decisions, find):
    """Each answer against the record; each key against its one decision."""
    asked, answers = {}, defaultdict(list)
    for path in sorted(folder.glob("client-*.jsonl")):
        for line in lines(path):
            if line["what"] == "ask":
                asked[line["key"]] = line
            else:
                answers[line["key"]].append(line["decision"])
    leaf = {one["id"]: one for one in entries if one["kind"] == "decision"}
    shown = {one["id"]: one for one in decisions}
    owner = {}
    for key, given in answers.items():
        ids = {one["id"] for one in given}
        if len(ids) > 1:
            find("doubled", f"the key {key} was answered by {len(ids)} decisions: {sorted(ids)}")
        for one in given:
            if owner.setdefault(one["id"], key) != key:
                find("doubled", f"the decision {one['id']} answers two keys: {key}, {owner[one['id']]}")
            if one["id"] not in leaf:
                find("lost", f"{key} was answered with {one['id']}, which is not in the record")
            kept = shown.get(one["id"])
            if kept is None:
                find("lost", f"{key} was answered with {one['id']}, which the program does not list")
            elif (kept["output"], kept["band"]) != (one["output"], one["band"]):
                find("lost", f"{key} was answered {one['output']}, and {kept['output']} is recorded")
            if one["outcome"] == "ok" and balance_of(one["output"]) != asked[key]["balance"]:
                find("wrong", f"{key} asked about {asked[key]['balance']} and was answered {one['output']}")
    # A key that was asked until it was answered has one decision. What is recorded beyond that was done twice. (Callers other
    # than holders of API keys have a colon in their name: `door:events`, `cache:precompute`.)
    ours = [one for one in entries if one["kind"] == "decision" and ":" not in one["caller"]]
    good = [one for one in ours if one["reason"] in GOOD]
    if len(good) > len(owner) + len(asked) - len(answers):
        find("doubled", f"{len(good)} decisions are recorded for {len(asked)} questions ({len(owner)} answered)")
    twice = [one for one, times in Counter(one["id"] for one in entries if one["kind"] == "decision").items() if times > 1]
    for one in twice:
        find("doubled", f"the decision {one} has two entries")
    for key in asked.keys() - answers.keys():
        find("lost", f"the question {key} was never answered")
    return len(owner)


# --- the CRM ---------------------------------------------------------------------------------------------------------


def effects(folder, entries, letters, refused, find):
    """The CRM's own history: each write-back once, on the row as it stood, forward in time; nothing left out."""
    known = {one["id"] for one in entries if one["kind"] == "decision"}
    rows, last, by = {}, {}, Counter()
    count = 0
    for one in lines(folder / "history.jsonl"):
        lead = one["id"]
        if one["what"] == "row":
            rows[lead] = one["balance"]
            continue
        count += 1
        by[one["decided_by"]] += 1
        if one["decided_by"] not in known:
            find("lost", f"lead {lead} carries {one['decided_by']}, which is not in the record")
        made_from = balance_of(one["score"])
        if made_from != one["balance"]:
            find("order", f"lead {lead} held {one['balance']} when the score of {made_from} was written over it")
        before = last.get(lead)
        if before and not before["scored_at"] < one["scored_at"]:
            find("order", f"lead {lead}: {one['decided_by']} of {one['scored_at']} came after {before['scored_at']}")
        if before and before["scored_at"] != one["before"]:
            find("order", f"lead {lead}: {one['decided_by']} met {one['before']}, and {before['scored_at']} was last")
        last[lead] = one
    for decision, times in by.items():
        if times > 1:
            find("doubled", f"the write-back of {decision} took effect {times} times")
    # Rows that the CRM refuses for good stay without a score, each with a dead letter that says so.
    never = [lead for lead in rows if lead not in last]
    if len(never) > min(refused, len(letters)):
        find("lost", f"{len(never)} leads never had a score (first {never[:3]}), and there are {len(letters)} dead letters")
    for lead, one in last.items():
        if balance_of(one["score"]) != rows[lead]:
            find("lost", f"lead {lead} holds {rows[lead]}, and its last score is that of {balance_of(one['score'])}")
    return count, len(rows)


def main():
    folder, ledger = Path(sys.argv[1]), Path(sys.argv[2])
    findings, counts = [], Counter()

    def find(kind, text):
        counts[kind] += 1
        findings.append(f"{kind}: {text}")

    entries = record(ledger, folder, find)
    decisions = json.loads((folder / "decisions.json").read_text())
    letters = json.loads((folder / "letters.json").read_text())
    acknowledged = callers(folder, entries, decisions, find)
    refused = json.loads((folder / "expected.json").read_text())["refused"]
    written, leads = effects(folder, entries, letters, refused, find)
    if len(letters) > refused * 100:
        find("lost", f"{len(letters)} dead letters, for {refused} rows that the CRM refuses")
    report = {
        "acknowledged": acknowledged,
        "entries": len(entries),
        "effects": written,
        "leads": leads,
        "lost": counts["lost"],
        "doubled": counts["doubled"],
        "order": counts["order"],
        "wrong": counts["wrong"],
        "letters": len(letters),
        "findings": findings,
    }
    print(json.dumps(report))
    sys.exit(1 if findings else 0)


main()
