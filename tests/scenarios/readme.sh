#!/usr/bin/env bash
# The README's five minutes, as printed: every `sh` block runs in order against the demo on its own port.
source "$(dirname "$0")/lib.sh"

cd "$scratch"
mkdir -p target/release
ln -s "$TENDON" target/release/tendon
# The README prints this port, so no other will do.
if (exec 3<>/dev/tcp/127.0.0.1/8400) 2>/dev/null; then
    fail "port 8400, which the README prints, is taken by another program; end it and run this again"
fi
start demo "$TENDON" demo
ready http://127.0.0.1:8400/readyz

tour README.md "Five minutes" >tour.sh
# The demo's first scores may still be on their way when its door opens.
until [[ $(sql tendon-demo/crm.db "SELECT count(*) > 0 FROM leads WHERE score IS NOT NULL") == 1 ]]; do sleep 0.1; done
bash -O expand_aliases tour.sh >tour.log 2>&1 || fail "a block of the README failed"

grep -q '"pointer"' tour.log || fail "the wrong input was not answered with a pointer to its field"
grep -q '"code": *"[a-z_]*erased[a-z_]*"\|"status": *410' tour.log || fail "the erased decision did not answer 410"
"$PYTHON" - decision.json <<'PY'
import json, sys
decision = json.load(open(sys.argv[1]))
assert 0 <= decision["output"] <= 1 and decision["band"] in ("green", "yellow", "red") and decision["durable"], decision
PY
