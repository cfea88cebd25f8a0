//! One cell of a record or a table → one number of the matrix, as a feature wants it. The same code serves single
//! records and files of rows, so that both score alike.

use tendon_kernel::sockets::model::{Feature, FeatureKind};

/// A value before the model's own numbering is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Missing,
    /// A number (for a category whose values are numbers: the category's value, not its code).
    Number(f64),
    /// A text: a category's value, or a number in decimal writing.
    Text(&'a str),
}

/// The number that stands for `cell` in the matrix; NaN for a missing value, an unseen category, and a text that is no
/// number where one is wanted (the caller's schema refuses the latter before it comes here).
///
/// Categories are looked up by their text. A number given for a category is its *value* as well: pandas allows
/// categories such as `[1, 3, 7]`, where the number 3 has the code 1.
pub fn encode(feature: &Feature, cell: Cell<'_>) -> f64 {
    match (&feature.kind, cell) {
        (_, Cell::Missing) => f64::NAN,
        (FeatureKind::Number | FeatureKind::CategoryCode, Cell::Number(number)) => number,
        (FeatureKind::Number | FeatureKind::CategoryCode, Cell::Text(text)) => text.trim().parse().unwrap_or(f64::NAN),
        (FeatureKind::Category { values }, Cell::Text(text)) => code(position_of_text(values, text)),
        (FeatureKind::Category { values }, Cell::Number(number)) => code(position_of_number(values, number)),
    }
}

fn position_of_text(values: &[String], text: &str) -> Option<usize> {
    let position = |matches: &dyn Fn(&str) -> bool| values.iter().position(|value| matches(value));
    // Categories that are truth values stand in the model as JSON; other writers say `True`.
    let is_truth = |value: &str| matches!(value, "true" | "false") && value.eq_ignore_ascii_case(text);
    position(&|value| value == text)
        .or_else(|| position_of_number(values, text.trim().parse().ok()?))
        .or_else(|| position(&is_truth))
}

fn position_of_number(values: &[String], number: f64) -> Option<usize> {
    values.iter().position(|value| value.parse::<f64>() == Ok(number))
}

fn code(index: Option<usize>) -> f64 {
    index.map_or(f64::NAN, |index| index as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(kind: FeatureKind) -> Feature {
        Feature { name: "x".into(), kind, range: None }
    }

    #[test]
    fn numbers_pass_and_texts_are_read() {
        let number = feature(FeatureKind::Number);
        assert_eq!(encode(&number, Cell::Number(-1.5)), -1.5);
        assert_eq!(encode(&number, Cell::Text(" 2e3 ")), 2000.0);
        assert!(encode(&number, Cell::Text("many")).is_nan());
        assert!(encode(&number, Cell::Missing).is_nan());
        assert_eq!(encode(&feature(FeatureKind::CategoryCode), Cell::Text("7")), 7.0);
    }

    #[test]
    fn categories_are_found_by_value() {
        let job = feature(FeatureKind::Category { values: vec!["admin.".into(), "retired".into()] });
        assert_eq!(encode(&job, Cell::Text("retired")), 1.0);
        assert!(encode(&job, Cell::Text("astronaut")).is_nan());
        assert!(encode(&job, Cell::Number(1.0)).is_nan(), "a number is no text category");
        let grade = feature(FeatureKind::Category { values: vec!["1".into(), "3".into(), "7".into()] });
        assert_eq!(encode(&grade, Cell::Number(3.0)), 1.0);
        assert_eq!(encode(&grade, Cell::Text("7.0")), 2.0);
        assert!(encode(&grade, Cell::Number(2.0)).is_nan());
        let truth = feature(FeatureKind::Category { values: vec!["false".into(), "true".into()] });
        assert_eq!(encode(&truth, Cell::Text("true")), 1.0);
        assert_eq!(encode(&truth, Cell::Text("False")), 0.0);
        assert!(encode(&truth, Cell::Text("yes")).is_nan());
    }
}
