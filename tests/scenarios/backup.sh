#!/usr/bin/env bash
# Backup and restore as docs/backup.md prints them: its commands are run here, letter for letter. Then what it promises: an older
# copy is refused, and who was erased stays erased whichever copy is restored.
source "$(dirname "$0")/lib.sh"

tendon() { "$TENDON" "$@"; }
demo=$scratch/demo
"$TENDON" demo --once --dir "$demo" --port "$(free_port)" >"$scratch/demo.log" 2>&1 || fail "the demo ended with status $?"
cd "$demo"
mkdir "$scratch/bin"
ln -s "$TENDON" "$scratch/bin/tendon"
tour docs/backup.md >"$scratch/tour.sh"
PATH="$scratch/bin:$PATH" bash "$scratch/tour.sh" >"$scratch/printed.log" 2>&1 || fail "a block of the page failed"
entries=$(tendon decisions list --limit 300 --output json)
[[ $entries == *'"seq"'* ]] || fail "the demo made no decisions"
same "decisions in the restored copy" "$(tendon decisions list --project ../again --limit 300 --output json)" "$entries"

# Never over a ledger.
if tendon ledger restore --from ../backup/record --keys ../backup-keys >"$scratch/over.log" 2>&1; then
    fail "a ledger was overwritten"
fi
grep -q "never overwrites" "$scratch/over.log" || fail "the refusal does not say why"
# The record must not lie with its keys.
if tendon ledger backup --to ../both --keys ../both/keys >"$scratch/both.log" 2>&1; then
    fail "the keys were put beside the record"
fi

# From here on checkpoints are published. The old record is kept; a subject is erased, and a last backup made.
printf 'ledger: { checkpoint: ../published.txt, every: 1s }\n' >>tendon.yaml
cp -r ../backup/record ../old-record
subject=$(tendon decisions list --limit 1 --output json | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')
subject=$(tendon decisions show "$subject" --output json | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["decision"]["subject"])')
port=$(free_port)
start up "$TENDON" up --listen "127.0.0.1:$port"
ready "http://127.0.0.1:$port/readyz"
tendon ledger erase --subject "$subject" >"$scratch/erase.log" 2>&1 || fail "the subject was not erased"
tendon ledger backup --to ../backup/record --keys ../backup-keys >"$scratch/running.log" 2>&1 || fail "no backup beside a running process"
stop
[[ -s ../published.txt ]] || fail "no checkpoint was published"
tendon ledger verify --since ../published.txt >"$scratch/since.log" 2>&1 || fail "the ledger does not extend what it published"

erased() {
    tendon decisions list --project "$1" --subject "$subject" --limit 10 --output json
}
restore() {
    mkdir "$1" && cp -r tendon.yaml integrations models "$1/"
    tendon ledger restore --project "$1" --from "$2" --keys ../backup-keys >>"$scratch/restore.log" 2>&1 || fail "$2 was not restored"
    tendon ledger verify --project "$1" >>"$scratch/restored.log" 2>&1 || fail "$1 does not verify"
}
restore ../newest ../backup/record
same "what the newest copy says of the erased" "$(erased ../newest | tr -d ' \n')" "[]"

# The old record with today's keys: refused to go on from, and the erased stays erased.
restore ../older ../old-record
if timeout 120 "$TENDON" up --project ../older --listen "127.0.0.1:$(free_port)" >"$scratch/older.log" 2>&1; then
    fail "an older copy was gone on with"
fi
grep -q "this is an older copy" "$scratch/older.log" || fail "the refusal does not name the older copy"
mv ../published.txt ../published-before.txt
same "what the older copy says of the erased" "$(erased ../older | tr -d ' \n')" "[]"
tendon ledger verify --project ../older >"$scratch/verified.log" 2>&1 || fail "the older copy does not verify"
# It goes on, as a fork; the true backup will not take it.
if tendon ledger backup --project ../older --to ../backup/record --keys ../backup-keys >"$scratch/fork.log" 2>&1; then
    fail "a fork was backed up over the true record"
fi
grep -q "this is an older copy" "$scratch/fork.log" || fail "the fork is not named"
