#!/usr/bin/env bash
# The README's first command, letter for letter as printed, with `--once` and a place of its own added: a stranger's first minute.
source "$(dirname "$0")/lib.sh"

printed=$(sed -n 's/^\(cargo run --release -- demo\) .*/\1/p' "$repo/README.md")
[[ -n $printed ]] || fail "the README prints no command that runs the demo"
cd "$repo"
$printed --once --dir "$scratch/demo" --port "$(free_port)" >"$scratch/printed.log" 2>&1 ||
    fail "'$printed' ended with status $?"
"$PYTHON" "$repo/tests/snippets/book.py" ran README.md "$printed"
same "leads without score" "$(sql "$scratch/demo/crm.db" "SELECT count(*) FROM leads WHERE score IS NULL")" 0
