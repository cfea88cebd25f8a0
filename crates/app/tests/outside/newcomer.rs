//! A newcomer's first project: made, discovered, joined to a model, and right at once; nothing overwritten, no personal
//! value printed, no secret written, no structure changed.

use std::{fs, path::Path};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::harness::{FEATURES, Ran, example, run_in, sample};

/// Names as the owners of this CRM chose them.
const RENAMED: &[(&str, &str)] = &[
    ("job", "occupation"),
    ("marital", "marital_status"),
    ("balance", "acct_balance"),
    ("housing", "housing_loan"),
    ("month", "contact_month"),
    ("campaign", "campaignCalls"),
];

/// An empty folder with a CRM and a model beside it.
fn place(leads: usize) -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let crm = Connection::open(folder.path().join("crm.db")).unwrap();
    let name =
        |name: &str| RENAMED.iter().find(|(was, _)| *was == name).map_or(name.to_owned(), |(_, is)| (*is).to_owned());
    let columns: Vec<String> = FEATURES
        .iter()
        .map(|(field, number)| format!("\"{}\" {}", name(field), if *number { "INTEGER" } else { "TEXT" }))
        .collect();
    crm.execute_batch(&format!(
        "CREATE TABLE leads (id INTEGER PRIMARY KEY, full_name TEXT, email TEXT, {}, modified_on TIMESTAMP NOT NULL)",
        columns.join(", ")
    ))
    .unwrap();
    for id in 1..=leads {
        let (values, _) = sample(id % 200);
        let row: Vec<String> = FEATURES.iter().map(|(field, _)| values[*field].to_string().replace('"', "'")).collect();
        let sql = format!(
            "INSERT INTO leads VALUES ({id}, 'Zebulon Quux', 'zq{id}@example.org', {}, '2024-01-01T00:00:00.000000Z')",
            row.join(", ")
        );
        crm.execute(&sql, []).unwrap();
    }
    fs::copy(example("lead-score.txt"), folder.path().join("model.txt")).unwrap();
    (folder, crm)
}

fn run(folder: &Path, line: &str) -> Ran {
    run_in(folder, &line.split_whitespace().collect::<Vec<_>>())
}

fn ok(folder: &Path, line: &str) -> Ran {
    let ran = run(folder, line);
    assert_eq!(ran.code, 0, "{line}: {}\n{}", ran.out, ran.err);
    ran
}

const NEW: &str =
    "new integration lead-score --model model.txt --table crm.leads --kind sqlite --path crm.db --owner sales";
const COLUMNS: &str = "ALTER TABLE leads ADD COLUMN score REAL; ALTER TABLE leads ADD COLUMN score_band TEXT; \
                       ALTER TABLE leads ADD COLUMN scored_at TIMESTAMP";

#[test]
fn a_folder_becomes_a_project_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = ok(folder.path(), "init shop");
    assert!(made.err.contains("tendon new integration"), "{}", made.err);
    let shop = folder.path().join("shop");
    assert!(fs::read_to_string(shop.join(".gitignore")).unwrap().contains("/.tendon/"));
    ok(&shop, "check");
    fs::write(shop.join("tendon.yaml"), "project: mine\n").unwrap();
    let again = run(folder.path(), "init shop --output json");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("project_there"), "{}", again.err);
    assert_eq!(fs::read_to_string(shop.join("tendon.yaml")).unwrap(), "project: mine\n");
}

#[test]
fn a_system_is_discovered_without_a_personal_value() {
    let (folder, _crm) = place(60);
    ok(folder.path(), "init . --name shop");
    let shown = ok(folder.path(), "systems discover crm --kind sqlite --path crm.db");
    let found = ok(folder.path(), "systems discover crm --kind sqlite --path crm.db --output json --write");
    for ran in [&shown, &found] {
        assert!(!format!("{}{}", ran.out, ran.err).contains("Quux"), "{}", ran.out);
        assert!(!format!("{}{}", ran.out, ran.err).contains("example.org"), "{}", ran.out);
    }
    let document = found.json();
    let field = |name: &str| {
        let fields = document["resources"][0]["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap().clone()
    };
    assert_eq!((&field("email")["personal"], &field("full_name")["personal"]), (&"email".into(), &"name".into()));
    assert_eq!(
        (&document["resources"][0]["key"][0], &document["resources"][0]["watermark"]),
        (&"id".into(), &"modified_on".into())
    );
    let written = fs::read_to_string(folder.path().join("tendon.yaml")).unwrap();
    let listed = written.lines().find(|line| line.trim_start().starts_with("leads: [")).unwrap();
    assert!(listed.contains("acct_balance") && !listed.contains("email") && !listed.contains("full_name"), "{listed}");
    ok(folder.path(), "check");
    assert_eq!(run(folder.path(), "systems discover crm --write").code, 1, "a system that is there was written again");
}

#[test]
fn an_address_is_used_and_never_written() {
    let (folder, _crm) = place(30);
    ok(folder.path(), "init . --name shop");
    let address = folder.path().join("crm.db");
    let given = format!("path={}", address.display());
    // Anything like an address counts as a secret.
    let secret =
        format!("systems discover crm --kind sqlite --write --set {}", given.replace("path=/", "path=file:///"));
    let ran = run(folder.path(), &secret);
    let all = fs::read_to_string(folder.path().join("tendon.yaml")).unwrap() + &ran.out + &ran.err;
    assert!(!all.contains("file:///"), "{all}");
}

#[test]
fn an_integration_is_right_at_once() {
    let (folder, crm) = place(400);
    ok(folder.path(), "init . --name shop");
    let before = fs::read_to_string(folder.path().join("tendon.yaml")).unwrap();
    let stopped = run(folder.path(), NEW);
    assert_eq!(stopped.code, 1);
    assert_eq!(stopped.out.matches("ALTER TABLE").count(), 3, "{}", stopped.out);
    assert!(stopped.err.contains("never changes the structure"), "{}", stopped.err);
    assert_eq!(fs::read_to_string(folder.path().join("tendon.yaml")).unwrap(), before);
    let columns =
        || crm.query_row("SELECT count(*) FROM pragma_table_info('leads')", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(columns(), 19, "the structure was changed");
    crm.execute_batch(&stopped.out).unwrap();
    let made = ok(folder.path(), &format!("{NEW} --output json")).json();
    let mapped = made["mapping"].as_array().unwrap();
    for (feature, field) in RENAMED {
        let one = mapped.iter().find(|one| one["feature"] == *feature).unwrap();
        assert_eq!(one["from"], format!("input.{field}"), "{one}");
    }
    let check = ok(folder.path(), "check");
    assert!(check.err.contains("clean"), "{}", check.err);
    let files = [folder.path().join("tendon.yaml"), folder.path().join("integrations/lead-score.yaml")];
    let kept = files.clone().map(|file| fs::read_to_string(file).unwrap());
    assert_eq!(run(folder.path(), NEW).code, 1, "an integration that is there was written again");
    assert_eq!(files.map(|file| fs::read_to_string(file).unwrap()), kept);
}

#[test]
fn what_is_not_sure_is_asked_and_answered_by_flags() {
    let (folder, crm) = place(60);
    crm.execute_batch(&format!(
        "{COLUMNS}; ALTER TABLE leads RENAME COLUMN poutcome TO x17; ALTER TABLE leads RENAME COLUMN day TO x18"
    ))
    .unwrap();
    ok(folder.path(), "init . --name shop");
    let asked = run(folder.path(), NEW);
    assert_eq!(asked.code, 1);
    assert!(asked.err.contains("--map day=") || asked.err.contains("--map poutcome="), "{}", asked.err);
    assert!(
        !folder.path().join("integrations/lead-score.yaml").exists()
            && !folder.path().join("models/lead-score").exists()
    );
    let wrong = run(folder.path(), &format!("{NEW} --map poutcome=x71"));
    assert!(wrong.err.contains("x71") && wrong.err.contains("x17"), "{}", wrong.err);
    let answers = "--map poutcome=x17 --map day=x18 --map age=age --bands green>=0.2,red --write score=output,score_band=band,scored_at=now";
    let made = ok(folder.path(), &format!("{NEW} {answers} -y --output json")).json();
    assert_eq!(made["bands"][0]["test"], ">= 0.2");
    ok(folder.path(), "check");
}
