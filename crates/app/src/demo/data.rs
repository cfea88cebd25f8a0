//! The data of the demo, inside the binary: 45,211 real leads, a model trained on them, its card and its bands. Source and
//! licence: examples/lead-score/README.md.

use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::failure::Failure;

const LEADS: &[u8] = include_bytes!("../../../../examples/lead-score/bank-full.csv.gz");
/// The trained model (LightGBM text).
pub(super) const MODEL: &[u8] = include_bytes!("../../../../examples/lead-score/lead-score.txt");
/// What it is for and how good it is.
pub(super) const CARD: &str = include_str!("../../../../examples/lead-score/card.md");
/// Where its bands begin.
pub(super) const BANDS: &str = include_str!("../../../../examples/lead-score/bands.json");

/// Inputs of a lead in the order of the table's columns; all that is known before the call.
pub(super) const INPUTS: [&str; 15] = [
    "age",
    "job",
    "marital",
    "education",
    "default",
    "balance",
    "housing",
    "loan",
    "contact",
    "day",
    "month",
    "campaign",
    "pdays",
    "previous",
    "poutcome",
];

/// The inputs that are numbers.
pub(super) const NUMBERS: [&str; 6] = ["age", "balance", "day", "campaign", "pdays", "previous"];

/// One lead: its inputs as texts, in the order of [`INPUTS`]. Its id is its place, from 1.
pub(super) type Lead = Vec<String>;

/// All leads, in the order of time.
///
/// # Errors
/// When the data in the binary is damaged.
pub(super) fn leads() -> Result<Vec<Lead>, Failure> {
    let damaged = |what: String| Failure::new("demo_data", format!("the demo's data cannot be read: {what}"), "");
    let mut text = Vec::new();
    GzDecoder::new(LEADS).read_to_end(&mut text).map_err(|error| damaged(error.to_string()))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(b';').from_reader(text.as_slice());
    let head = reader.headers().map_err(|error| damaged(error.to_string()))?.clone();
    let places: Vec<usize> = INPUTS.iter().filter_map(|name| head.iter().position(|column| column == *name)).collect();
    if places.len() != INPUTS.len() {
        return Err(damaged("a column is missing".to_owned()));
    }
    let mut leads = Vec::with_capacity(45_211);
    for row in reader.records() {
        let row = row.map_err(|error| damaged(error.to_string()))?;
        leads.push(places.iter().map(|place| row.get(*place).unwrap_or_default().to_owned()).collect());
    }
    Ok(leads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_leads_are_there_and_the_result_of_the_call_is_not() {
        let leads = leads().unwrap();
        assert_eq!(leads.len(), 45_211);
        assert_eq!(leads[0][..3], ["58", "management", "married"]);
        assert!(!INPUTS.contains(&"duration") && !INPUTS.contains(&"y"));
    }
}
