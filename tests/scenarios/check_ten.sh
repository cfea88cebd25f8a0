#!/usr/bin/env bash
# `tendon check` lists ten different mistakes at once, each with its place and what was probably meant, and exits with 1.
source "$(dirname "$0")/lib.sh"

project=$scratch/project
mkdir -p "$project/integrations" "$project/models/lead-score"
cp "$repo/examples/lead-score/lead-score.txt" "$project/models/lead-score/1.txt"
"$PYTHON" - "$project/crm.db" <<'PY'
import sqlite3, sys
sqlite3.connect(sys.argv[1]).executescript("""
CREATE TABLE leads (id INTEGER PRIMARY KEY, age INTEGER NOT NULL, job TEXT NOT NULL, marital TEXT, education TEXT, "default" TEXT, balance INTEGER,
  housing TEXT, loan TEXT, contact TEXT, day INTEGER, month TEXT, campaign INTEGER, pdays INTEGER, previous INTEGER, poutcome TEXT,
  updated_at TIMESTAMP NOT NULL, score REAL, score_band TEXT, scored_at TIMESTAMP);
""")
PY
cat >"$project/tendon.yaml" <<'YAML'
project: ten-mistakes
systems:
  crm:
    kind: sqlite
    path: crm.db
    read: { leads: [id, age, job, marital, education, default, balanse, housing, loan, contact, day, month, campaign, pdays, previous, poutcome, balance, updated_at] }
    write: { leads: [score, score_band, scored_at] }
  erp:
    kind: sqllite
    path: erp.db
models:
  lead-score: { path: models/lead-score }
servr: { in_flight: 10 }
YAML
cat >"$project/integrations/lead-score.yaml" <<'YAML'
integration: lead-score
purpose: rank leads by their probability to subscribe
ownr: sales-ops
owner: sales-ops
model: lead-score
subject: input.id
input:
  from: crm.leads
  quality:
    quarantine:
      - { when: "input.agee < 18", reason: a minor }
      - { when: "input.job > 5", reason: compares a text with a number }
bands: { green: ">= high", yellow: ">= 0.4", red: otherwise }
cache: { key: [id, updated_at], ttl: 10 minutes }
doors:
  api: { deadlin: 2s }
  events: { from: crm.leads, on: [insert, updated], to: crm.leads, set: { score: output, score_bnd: band, scored_at: now } }
YAML

status=0
"$TENDON" check --project "$project" >"$scratch/check.txt" 2>"$scratch/check.log" || status=$?
cp "$scratch/check.txt" "$scratch/findings.log"
same "exit code of check" "$status" 1
while read -r place word; do
    grep -qE "$place:[0-9]+:.*" "$scratch/check.txt" || fail "no finding at $place"
    grep -A3 -E "$place:[0-9]+" "$scratch/check.txt" | grep -qF -- "$word" || fail "the finding at $place does not say '$word'"
done <<'EXPECTED'
tendon.yaml:6 balance
tendon.yaml:9 sqlite
tendon.yaml:13 server
lead-score.yaml:3 owner
lead-score.yaml:11 age
lead-score.yaml:12 string
lead-score.yaml:13 high
lead-score.yaml:14 10m
lead-score.yaml:16 deadline
lead-score.yaml:17 update
lead-score.yaml:17 score_band
EXPECTED

# Mended, the same project is clean.
sed -i 's/balanse, //; /^  erp:/,/^    path: erp.db/d; /^servr/d' "$project/tendon.yaml"
sed -i 's/ agee/ age/; s/input\.agee/input.age/; /^ownr/d; s/"input\.job > 5"/"input.job == input.marital"/; s/>= high/>= 0.7/; s/10 minutes/10m/; s/deadlin:/deadline:/; s/updated\], to/update], to/; s/score_bnd/score_band/' \
    "$project/integrations/lead-score.yaml"
"$TENDON" check --project "$project" >"$scratch/clean.log" 2>&1 || fail "the mended project is not clean"
