# What every scenario starts with: `source "$(dirname "$0")/lib.sh"`. A scenario uses the built program from the outside and passes
# when it exits with zero. Servers it starts end with it, by their id; its folder goes with it.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TENDON=${TENDON:-$repo/target/release/tendon}
PYTHON=${PYTHON:-$repo/.cache/venv/bin/python}
scratch=$(mktemp -d)
servers=()

finish() {
    local status=$?
    for pid in "${servers[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if ((status != 0)); then
        for log in "$scratch"/*.log; do
            [[ -s $log ]] && tail -n 40 "$log" | sed "s|^|$(basename "$log"): |" >&2
        done
    fi
    rm -rf "$scratch"
    exit "$status"
}
trap finish EXIT

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# A port that nothing listens on.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME COMMAND…: runs it in the background, with its output in NAME.log.
start() {
    local name=$1
    shift
    "$@" >"$scratch/$name.log" 2>&1 </dev/null &
    servers+=($!)
}

# Waits until the URL answers 200; fails when the last started server ends before, or after two minutes.
ready() {
    local pid=${servers[-1]} end=$((SECONDS + 120))
    until curl -sf -o "$scratch/ready" "$1"; do
        kill -0 "$pid" 2>/dev/null || fail "the server ended before $1 answered"
        ((SECONDS < end)) || fail "$1 did not answer within two minutes"
        sleep 0.05
    done
}

# stop: ends the last started server as an operator would, and waits for it.
stop() {
    local pid=${servers[-1]}
    unset 'servers[-1]'
    kill "$pid"
    wait "$pid" || fail "the server ended with status $?"
}

# sql FILE QUERY: the rows, columns separated by |.
sql() {
    "$PYTHON" - "$1" "$2" <<'PY'
import sqlite3, sys
for row in sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=30).execute(sys.argv[2]):
    print("|".join("" if value is None else str(value) for value in row))
PY
}

# tour PAGE [HEADING]: a script of the page's blocks of shell, in order, which writes down what it ran (tests/snippets/book.py).
tour() {
    "$PYTHON" "$repo/tests/snippets/book.py" tour "$@"
}

# same WHAT FOUND WANTED
same() {
    [[ $2 == "$3" ]] || fail "$1: found '$2', wanted '$3'"
}
