//! Leads to ask about: the sample of the example, with LightGBM's own scores.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};
use tendon_testkit::peer::workspace;

/// The model's inputs, and whether they are numbers.
pub(crate) const FEATURES: [(&str, bool); 15] = [
    ("age", true),
    ("job", false),
    ("marital", false),
    ("education", false),
    ("default", false),
    ("balance", true),
    ("housing", false),
    ("loan", false),
    ("contact", false),
    ("day", true),
    ("month", false),
    ("campaign", true),
    ("pdays", true),
    ("previous", true),
    ("poutcome", false),
];

static SAMPLES: LazyLock<Vec<(Map<String, Json>, f64)>> = LazyLock::new(|| {
    let path = workspace().join("examples/lead-score/sample.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    let head = reader.headers().unwrap().clone();
    let records = reader.records().map(|record| {
        let record = record.unwrap();
        let cell = |name: &str| record.get(head.iter().position(|column| column == name).unwrap()).unwrap();
        let values = FEATURES.iter().map(|&(name, number)| {
            let text = cell(name);
            (name.to_owned(), if number { json!(text.parse::<i64>().unwrap()) } else { json!(text) })
        });
        (values.collect(), cell("expected").parse().unwrap())
    });
    records.collect()
});

/// One lead of the sample, and the score LightGBM gives it.
pub(crate) fn sample(number: usize) -> (Map<String, Json>, f64) {
    SAMPLES[number % SAMPLES.len()].clone()
}

/// The body of a request about a lead of the sample.
pub(crate) fn input(id: usize) -> Json {
    let (mut values, _) = sample(id);
    values.insert("id".to_owned(), json!(id));
    json!({ "input": values })
}
