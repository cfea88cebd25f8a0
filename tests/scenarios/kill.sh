#!/usr/bin/env bash
# kill -9 at random moments: every acknowledged decision stays, every write-back happens once in effect, the ledger verifies.
# 50 kills; TENDON_KILLS=1000 for more.
source "$(dirname "$0")/lib.sh"

"$PYTHON" "$repo/tests/scenarios/kill/kill.py" "$TENDON" "$repo/examples/lead-score" "$scratch/project" "${TENDON_KILLS:-50}" \
    >"$scratch/kill.log" 2>&1 || fail "see the log"
tail -n 3 "$scratch/kill.log"
