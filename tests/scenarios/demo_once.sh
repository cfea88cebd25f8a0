#!/usr/bin/env bash
# `tendon demo --once` scores every lead and writes it back; a second run changes nothing twice; one flipped byte is named.
source "$(dirname "$0")/lib.sh"

demo=$scratch/demo
port=$(free_port)
once() {
    "$TENDON" demo --once --dir "$demo" --port "$port" >"$scratch/$1.log" 2>&1 || fail "the $1 run ended with status $?"
}

once first
same "leads" "$(sql "$demo/crm.db" "SELECT count(*) FROM leads")" 45211
same "leads without score, band or time" \
    "$(sql "$demo/crm.db" "SELECT count(*) FROM leads WHERE score IS NULL OR score_band IS NULL OR scored_at IS NULL")" 0
same "bands" "$(sql "$demo/crm.db" "SELECT group_concat(band) FROM (SELECT DISTINCT score_band AS band FROM leads ORDER BY 1)")" green,red,yellow
same "mode of the key file" "$(stat -c %a "$demo/api.key")" 600
for path in tendon.yaml integrations/lead-score.yaml models/lead-score .tendon/ledger; do
    [[ -e $demo/$path ]] || fail "demo left no $path"
done

digest() { sql "$demo/crm.db" "SELECT id, score, score_band, scored_at FROM leads ORDER BY id" | sha256sum; }
before=$(digest)
once second
same "scores after a second run" "$(digest)" "$before"

"$TENDON" ledger verify --project "$demo" >"$scratch/verify.log" 2>&1 || fail "the ledger does not verify"
"$PYTHON" - "$demo/.tendon/ledger" <<'PY'
import pathlib, random, sys
files = sorted(path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file() and path.stat().st_size)
file = max(files, key=lambda path: path.stat().st_size)
data = bytearray(file.read_bytes())
data[random.Random(7).randrange(len(data) // 4, len(data) // 2)] ^= 0x10
file.write_bytes(data)
PY
if "$TENDON" ledger verify --project "$demo" >"$scratch/flipped.log" 2>&1; then
    fail "the ledger verifies although a byte was flipped"
fi
