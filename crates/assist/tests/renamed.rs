//! How good the proposed mapping is: the bank-marketing leads with their fields renamed as people rename fields, beside
//! other fields of a CRM, against the model that was trained on the real names. Prints the accuracy per way of renaming.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs::File, path::PathBuf};

use tendon_assist::{mapping::propose, profile::profile};
use tendon_kernel::{
    Type, Value,
    schema::{Field, Resource, Schema},
    sockets::{connector::Row, model::Feature},
};

const ROWS: usize = 1000;

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/lead-score").join(name)
}

fn features() -> Vec<Feature> {
    let bytes = std::fs::read(example("lead-score.txt")).unwrap();
    tendon_models::load(Some("lead-score.txt"), &bytes).unwrap().1.signature().features.clone()
}

/// Names and columns of the first rows, as a database would give them.
fn columns() -> Vec<(String, Vec<Value>)> {
    let file = flate2::read::GzDecoder::new(File::open(example("bank-full.csv.gz")).unwrap());
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(file);
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let mut columns: Vec<(String, Vec<Value>)> = names.into_iter().map(|name| (name, Vec::new())).collect();
    // Every 45th, so that all months are among them.
    for record in reader.records().step_by(45).take(ROWS) {
        for (column, cell) in columns.iter_mut().zip(&record.unwrap()) {
            column.1.push(cell.parse().map_or_else(|_| Value::text(cell), Value::Int));
        }
    }
    columns
}

/// Other fields that stand in such a table.
fn strangers() -> Vec<(String, Vec<Value>)> {
    let of = |name: &str, value: fn(i64) -> Value| (name.to_owned(), (0..ROWS as i64).map(value).collect());
    vec![
        of("id", Value::Int),
        of("owner_id", |n| Value::Int(n % 17)),
        of("branch", |n| Value::text(["north", "south", "west"][usize::try_from(n % 3).unwrap()])),
        of("newsletter", |n| Value::text(if n % 2 == 0 { "yes" } else { "no" })),
        of("open_tickets", |n| Value::Int(n % 5)),
        of("credit_limit", |n| Value::Float((n % 90) as f64 * 100.0)),
    ]
}

/// A way in which people rename: a field's name and its position.
type Rename = fn(&str, usize) -> String;

/// Ways in which people rename.
fn ways() -> Vec<(&'static str, Rename)> {
    fn vowels(name: &str) -> String {
        let mut letters = name.chars();
        let first: String = letters.next().into_iter().collect();
        first + &letters.filter(|c| !"aeiou".contains(*c)).collect::<String>()
    }
    fn swapped(name: &str) -> String {
        let mut letters: Vec<char> = name.chars().collect();
        if letters.len() > 3 {
            let at = letters.len() / 2;
            letters.swap(at - 1, at);
        }
        letters.into_iter().collect()
    }
    fn synonym(name: &str) -> &str {
        match name {
            "job" => "occupation",
            "marital" => "marital_status",
            "education" => "edu_level",
            "default" => "in_default",
            "balance" => "acct_bal",
            "housing" => "mortgage",
            "loan" => "personal_credit",
            "contact" => "contact_type",
            "day" => "last_contact_day",
            "month" => "last_contact_mth",
            "campaign" => "campaign_cnt",
            "pdays" => "days_since_prev",
            "previous" => "prev_contacts",
            "poutcome" => "prev_outcome",
            other => other,
        }
    }
    vec![
        ("as trained", |name, _| name.to_owned()),
        ("upper case", |name, _| name.to_uppercase()),
        ("with the table's name", |name, _| format!("lead_{name}")),
        ("camel case", |name, _| format!("customer{}{}", name[..1].to_uppercase(), &name[1..])),
        ("with a type", |name, _| format!("{name}_val")),
        ("without vowels", |name, _| vowels(name)),
        ("cut to four letters", |name, _| name.chars().take(4).collect()),
        ("slips", |name, _| swapped(name)),
        ("other words", |name, _| synonym(name).to_owned()),
        ("numbered, nothing to go by", |_, at| format!("c{at}")),
    ]
}

#[test]
fn renamed_columns_are_found() {
    let (features, columns) = (features(), columns());
    let (mut sure, mut sure_wrong, mut all, mut right_all) = (0, 0, 0, 0);
    for (way, rename) in ways() {
        let renamed = columns.iter().enumerate().map(|(at, (name, values))| (rename(name, at), values.clone()));
        let table: Vec<(String, Vec<Value>)> = renamed.chain(strangers()).collect();
        let kind = |values: &[Value]| values.iter().find_map(Value::kind).unwrap_or(Type::Text);
        let schema = Schema::new(table.iter().map(|(name, values)| Field::new(name, kind(values))).collect());
        let rows: Vec<Row> = (0..ROWS)
            .map(|row| Row { key: Vec::new(), values: table.iter().map(|(_, values)| values[row].clone()).collect() })
            .collect();
        let found = propose(
            &features,
            &profile(&Resource { name: "leads".into(), key: vec!["id".into()], schema }, &rows),
            &["id".into()],
        );
        let mut given = BTreeSet::new();
        let mut right = 0;
        for (feature, proposal) in features.iter().zip(&found) {
            let at = columns.iter().position(|(name, _)| *name == feature.name).unwrap();
            let Some(best) = &proposal.best else { continue };
            assert!(given.insert(best.field.clone()), "{way}: {} is given twice", best.field);
            let hit = best.field == rename(&feature.name, at);
            right += usize::from(hit);
            if best.confidence >= 0.6 {
                sure += 1;
                sure_wrong += usize::from(!hit);
            }
            if !hit {
                println!("  {way}: {} <- {} ({}, {})", feature.name, best.field, best.confidence, best.why);
            }
        }
        println!("{way}: {right} of {}", features.len());
        if !way.starts_with("numbered") {
            all += features.len();
            right_all += right;
        }
    }
    println!("all but the nameless: {right_all} of {all}; sure: {sure}, of which wrong: {sure_wrong}");
    assert!(right_all * 100 >= all * 93, "{right_all} of {all}");
    assert!(sure_wrong * 100 <= sure * 2, "{sure_wrong} of {sure} confident proposals are wrong");
}
