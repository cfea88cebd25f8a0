"""The independent checker of the fault harness: what was acknowledged, what was recorded, what took effect.

It shares no code with the program, not even its language, and needs nothing but Python's own library. It reads
  client-*.jsonl    what callers asked and were answered, synced by them answer by answer
  the ledger        its public half as C2SP writes it: entry bundles, hashed here anew, against the signed checkpoint
  checkpoints.txt   checkpoints seen in between: what they covered may never change
  decisions.json    `tendon decisions list`: what the program says it recorded
  letters.json      `tendon letters list`
  expected.json     how many rows the CRM refuses for good; whether the cell came to its end
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
    """The JSON lines of a file. Nobody who writes one is killed: a line that cannot be read is a defect of the harness."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def balance_of(score):
    """The balance that a score was made from; None when it was made from none."""
    balance = score / UNIT
    return round(balance) if abs(balance - round(balance)) < 1e-3 else None


# --- the record, from its public files -------------------------------------------------------------------------------


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def roots(hashes, sizes):
    """The roots of RFC 6962 over the first so many leaf hashes, by size; sizes beyond the end have none."""
    found = {0: hashlib.sha256(b"").digest()}
    # A stack of (height, hash) of perfect subtrees, folded from the right where a root is wanted.
    stack = []
    for count, one in enumerate(hashes, 1):
        height = 0
        while stack and stack[-1][0] == height:
            one = hashlib.sha256(b"\1" + stack.pop()[1] + one).digest()
            height += 1
        stack.append((height, one))
        if count in sizes:
            total = one
            for _, left in reversed(stack[:-1]):
                total = hashlib.sha256(b"\1" + left + total).digest()
            found[count] = total
    return found


def bundle_path(ledger, index, width):
    name = f"{index % 1000:03}"
    rest = index // 1000
    while rest:
        name = f"x{rest % 1000:03}/{name}"
        rest //= 1000
    return ledger / "tile" / "entries" / (name if width == 256 else f"{name}.p/{width}")


def leaves(ledger, size, find):
    found = []
    for index in range((size + 255) // 256):
        width = min(256, size - index * 256)
        paths = [bundle_path(ledger, index, width), bundle_path(ledger, index, 256)]
        path = next((path for path in paths if path.exists()), None)
        if path is None:
            find("lost", f"the record's bundle {index} of {size} entries is gone")
            break
        data = path.read_bytes()
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
    try:
        size, signed = checkpoint((ledger / "checkpoint").read_text())
    except (OSError, ValueError, IndexError) as error:
        find("lost", f"the record has no checkpoint that can be read ({error})")
        return []
    found = leaves(ledger, size, find)
    seen = folder / "checkpoints.txt"
    before = [checkpoint(text) for text in seen.read_text().split("\x1e")[1:]] if seen.exists() else []
    known = roots([leaf_hash(leaf) for leaf in found], {size, *(old for old, _ in before)})
    if known.get(size) != signed:
        find("lost", f"the record's {size} leaves have another root than the checkpoint says")
    for old, old_root in before:
        if known.get(old) != old_root:
            find("lost", f"a checkpoint over {old} entries is not continued by the record of {size}")
    return [json.loads(leaf) for leaf in found]


# --- callers ---------------------------------------------------------------------------------------------------------


def callers(folder, entries, decisions, whole, find):
    """Each answer against the record; each key against its one decision. `decisions`: none where the program cannot list."""
    asked, answers, shed = {}, defaultdict(list), set()
    for path in sorted(folder.glob("client-*.jsonl")):
        for line in lines(path):
            if line["what"] == "ask":
                asked[line["key"]] = line
            elif line["what"] == "shed":
                shed.add(line["key"])
            else:
                answers[line["key"]].append(line["decision"])
    leaf = {one["id"]: one for one in entries if one["kind"] == "decision"}
    shown = {one["id"]: one for one in decisions or []}
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
            if decisions is None:
                pass
            elif kept is None:
                find("lost", f"{key} was answered with {one['id']}, which the program does not list")
            elif (kept["output"], kept["band"]) != (one["output"], one["band"]):
                find("lost", f"{key} was answered {one['output']}, and {kept['output']} is recorded")
            if one["outcome"] != "ok" or balance_of(one["output"]) != asked[key]["balance"]:
                find("wrong", f"{key} asked about {asked[key]['balance']} and was answered {one['output']}")
    # A key that was asked until it was answered has one decision; one that was sent away, with the word that there is no room,
    # has none. What is recorded beyond that was done twice, or for nobody. (Callers other than holders of API keys have a colon
    # in their name: `door:events`, `cache:precompute`.)
    ours = [one for one in entries if one["kind"] == "decision" and ":" not in one["caller"]]
    good = [one for one in ours if one["reason"] in GOOD]
    open_keys = asked.keys() - answers.keys() - shed
    if len(good) > len(owner) + len(open_keys):
        find("doubled", f"{len(good)} decisions are recorded for {len(asked)} questions, {len(owner)} answered, {len(shed)} sent away")
    twice = [one for one, times in Counter(one["id"] for one in entries if one["kind"] == "decision").items() if times > 1]
    for one in twice:
        find("doubled", f"the decision {one} has two entries")
    for key in shed & answers.keys():
        find("doubled", f"the question {key} was sent away and answered")
    for key in sorted(open_keys) if whole else []:
        find("lost", f"the question {key} was never answered")
    return len(owner)


# --- the CRM ---------------------------------------------------------------------------------------------------------


def deliveries(entries, whole, find):
    """The record of the outbox: each decision of the watch ended once, and those of a row in their order. A row is told by the
    slot of its subject's key, which is all that the public record says of it."""
    at = {one["id"]: seq for seq, one in enumerate(entries) if one["kind"] == "decision"}
    ended, last = Counter(), {}
    for one in entries:
        if one["kind"] != "delivery":
            continue
        ended[one["id"]] += 1
        if at.get(one["id"], -1) < last.get(one["slot"], -1):
            find("order", f"slot {one['slot']}: the delivery of entry {at.get(one['id'])} ended after that of {last[one['slot']]}")
        last[one["slot"]] = max(at.get(one["id"], -1), last.get(one["slot"], -1))
    for decision, times in ended.items():
        if times > 1:
            find("doubled", f"the delivery of {decision} ended {times} times")
    due = [one["id"] for one in entries if one["kind"] == "decision" and one["caller"].startswith("door:")]
    for decision in due if whole else []:
        if decision not in ended:
            find("lost", f"the delivery of {decision} never ended")


def effects(folder, entries, letters, refused, whole, find):
    """The CRM's own history: each write-back once, on the row as it stood, forward in time; nothing left out."""
    known = {one["id"] for one in entries if one["kind"] == "decision"}
    rows, last, by, fresh = {}, {}, Counter(), set()
    count = 0
    for one in lines(folder / "history.jsonl"):
        lead = one["id"]
        if one["what"] == "row":
            rows[lead] = one["balance"]
            fresh.discard(lead)
            continue
        count += 1
        by[one["decided_by"]] += 1
        if one["decided_by"] not in known:
            find("lost", f"lead {lead} carries {one['decided_by']}, which is not in the record")
        made_from = balance_of(one["score"])
        if made_from != one["balance"]:
            find("order", f"lead {lead} held {one['balance']} when the score of {made_from} was written over it")
        if lead in fresh:
            find("doubled", f"lead {lead} was scored again by {one['decided_by']} and had not changed")
        fresh.add(lead)
        before = last.get(lead)
        if before and not before["scored_at"] < one["scored_at"]:
            find("order", f"lead {lead}: {one['decided_by']} of {one['scored_at']} came after {before['scored_at']}")
        if before and before["scored_at"] != one["before"]:
            find("order", f"lead {lead}: {one['decided_by']} met {one['before']}, and {before['scored_at']} was last")
        last[lead] = one
    for decision, times in by.items():
        if times > 1:
            find("doubled", f"the write-back of {decision} took effect {times} times")
    if not whole:
        return count, len(rows)
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
    expected = json.loads((folder / "expected.json").read_text())
    refused, whole = expected["refused"], expected["whole"]
    # A cell that did not come to its end may have a program that lists nothing any more.
    read = lambda name: json.loads((folder / name).read_text()) if whole else None
    decisions, letters = read("decisions.json"), read("letters.json") or []
    acknowledged = callers(folder, entries, decisions, whole, find)
    deliveries(entries, whole, find)
    written, leads = effects(folder, entries, letters, refused, whole, find)
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
