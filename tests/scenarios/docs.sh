#!/usr/bin/env bash
# What the pages print and no other scenario types: shell, configuration, requests, Python and a tag, each where it belongs
# (tests/snippets/run.py); before that, that a failing part of a block is noticed at all (planted.py). What is left out of all
# scenarios, `cargo xtask test` finds in their record.
source "$(dirname "$0")/lib.sh"

"$PYTHON" "$repo/tests/snippets/planted.py" >"$scratch/planted.log" 2>&1 || fail "a failure that was planted into a block was not noticed"
cat "$scratch/planted.log"
[[ -d $repo/crates/app/tests/browser/node_modules ]] || fail "the browser's driver is not installed: run 'cargo xtask setup'"
"$TENDON" demo --once --dir "$scratch/demo" --port "$(free_port)" >"$scratch/demo.log" 2>&1 || fail "the demo ended with status $?"
mkdir "$scratch/work"
TENDON=$TENDON "$PYTHON" "$repo/tests/snippets/run.py" "$scratch/demo" "$scratch/work" >"$scratch/run.log" 2>&1 || fail "a block of a page failed"
cat "$scratch/run.log"
