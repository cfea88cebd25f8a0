#!/usr/bin/env bash
# docs/first-integration.md, typed as printed: every `sh` block runs in order, in a folder that holds a database and a model.
source "$(dirname "$0")/lib.sh"

mkdir "$scratch/bin" "$scratch/mine"
ln -s "$TENDON" "$scratch/bin/tendon"
cp "$repo/examples/lead-score/lead-score.txt" "$scratch/mine/model.txt"
# A CRM whose owners never heard of the model's names, with people in it.
"$PYTHON" - "$repo/examples/lead-score/bank-full.csv.gz" "$scratch/mine/crm.db" <<'PY'
import csv, gzip, sqlite3, sys
names = {"age": "age", "job": "occupation", "marital": "marital_status", "education": "education_level", "default": "in_default",
         "balance": "acct_balance", "housing": "housing_loan", "loan": "personal_loan", "contact": "contact_type",
         "day": "last_contact_day", "month": "last_contact_month", "campaign": "campaign_calls", "pdays": "pdays",
         "previous": "previous_calls", "poutcome": "previous_outcome"}
numbers = {"age", "balance", "day", "campaign", "pdays", "previous"}
columns = ", ".join(f"{field} {'INTEGER' if name in numbers else 'TEXT'}" for name, field in names.items())
crm = sqlite3.connect(sys.argv[2])
crm.execute(f"CREATE TABLE leads (lead_id INTEGER PRIMARY KEY, full_name TEXT, email TEXT, {columns}, "
            "modified_on TIMESTAMP NOT NULL DEFAULT '2024-01-01T00:00:00.000000Z')")
rows = list(csv.DictReader(gzip.open(sys.argv[1], "rt"), delimiter=";"))[::20]
marks = ", ".join("?" * (len(names) + 2))
crm.executemany(f"INSERT INTO leads (full_name, email, {', '.join(names.values())}) VALUES ({marks})",
                [(f"Zebulon Quux {n}", f"zq{n}@example.org", *(int(row[name]) if name in numbers else row[name] for name in names))
                 for n, row in enumerate(rows)])
crm.commit()
PY
leads=$(sql "$scratch/mine/crm.db" "SELECT count(*) FROM leads")

tour docs/first-integration.md >"$scratch/tour.sh"
begun=$SECONDS
(cd "$scratch/mine" && PATH="$scratch/bin:$PATH" bash "$scratch/tour.sh") >"$scratch/tour.log" 2>&1 || fail "a block of the page failed"
"$PYTHON" "$repo/tests/snippets/book.py" printed docs/first-integration.md "$scratch/tour.log" || fail "the page prints what was not said"
echo "from the empty folder to the first write-back, and back: $((SECONDS - begun)) s, $leads leads"

crm=$scratch/mine/crm.db
# The last block takes one answer back.
same "leads without score" "$(sql "$crm" "SELECT count(*) FROM leads WHERE score IS NULL OR scored_at IS NULL")" 1
same "bands" "$(sql "$crm" "SELECT count(DISTINCT score_band) FROM leads WHERE score IS NOT NULL")" 3
same "structure" "$(sql "$crm" "SELECT count(*) FROM pragma_table_info('leads')")" 22
grep -q "Zebulon\|example\.org" "$scratch/tour.log" && fail "a personal value was printed"
grep -q "full_name\|email" "$scratch/mine/shop/integrations/lead-score.yaml" && fail "a personal field is read"
# The scores are the model's: the mapping found every field. LightGBM itself is the witness.
"$PYTHON" - "$crm" "$scratch/mine/model.txt" "$scratch/mine/shop/integrations/lead-score.yaml" <<'PY'
import re, sqlite3, sys
import lightgbm, pandas
names = {"job": "occupation", "marital": "marital_status", "education": "education_level", "default": "in_default",
         "balance": "acct_balance", "housing": "housing_loan", "loan": "personal_loan", "contact": "contact_type",
         "day": "last_contact_day", "month": "last_contact_month", "campaign": "campaign_calls", "previous": "previous_calls",
         "poutcome": "previous_outcome"}
model = lightgbm.Booster(model_file=sys.argv[2])
frame = pandas.read_sql("SELECT * FROM leads WHERE score IS NOT NULL", sqlite3.connect(sys.argv[1]))
features = pandas.DataFrame({name: frame[names.get(name, name)] for name in model.feature_name()})
texts = [name for name in features if not pandas.api.types.is_numeric_dtype(features[name])]
for name, values in zip(texts, model.pandas_categorical):
    features[name] = pandas.Categorical(features[name], categories=values)
scores = model.predict(features)
worst = max(abs(scores - frame["score"]))
assert worst < 1e-12, f"a score is not the model's: off by {worst}"
PY
