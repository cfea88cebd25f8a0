//! The result: rows with a figure, what it is held against, the aim and whether it was met; as a table for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One measured figure.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Row {
    /// Group (`http`, `ledger`, …).
    pub(crate) part: String,
    /// What was measured.
    pub(crate) name: String,
    /// The figure.
    pub(crate) figure: f64,
    /// Its unit.
    pub(crate) unit: String,
    /// The peer or floor, and the figure divided by the peer's.
    pub(crate) against: Option<(String, f64)>,
    /// What was aimed at, in words.
    pub(crate) aim: Option<String>,
    /// Whether the aim was met.
    pub(crate) met: Option<bool>,
}

impl Row {
    /// A figure without a peer or an aim.
    pub(crate) fn new(part: &str, name: impl Into<String>, figure: f64, unit: &str) -> Self {
        let (part, unit) = (part.to_owned(), unit.to_owned());
        Self { part, name: name.into(), figure, unit, against: None, aim: None, met: None }
    }

    /// Holds it against a peer.
    pub(crate) fn against(mut self, peer: impl Into<String>, figure: f64) -> Self {
        self.against = Some((peer.into(), self.figure / figure));
        self
    }

    /// States the aim and whether it was met.
    pub(crate) fn aim(mut self, aim: impl Into<String>, met: bool) -> Self {
        self.aim = Some(aim.into());
        self.met = Some(met);
        self
    }
}

/// The table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| part | what | figure | against | aim | met |\n|---|---|---:|---|---|---|\n");
    for row in rows {
        let against = row.against.as_ref().map_or(String::new(), |(peer, ratio)| format!("{ratio:.2}× {peer}"));
        let met = match row.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        let aim = row.aim.as_deref().unwrap_or_default();
        let (part, name, figure) = (&row.part, &row.name, figure(row.figure, &row.unit));
        let _ = writeln!(text, "| {part} | {name} | {figure} | {against} | {aim} | {met} |");
    }
    text
}

/// Everything as JSON: the machine, the method, the rows.
pub(crate) fn json(machine: &Value, rows: &[Row]) -> Value {
    json!({ "machine": machine, "rows": rows })
}

fn figure(number: f64, unit: &str) -> String {
    let digits = match number.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let plain = format!("{number:.digits$}");
    let (whole, rest) =
        plain.split_once('.').map_or((plain.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let mut grouped = String::new();
    for (index, c) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(c);
    }
    format!("{grouped}{rest} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        for (number, shown) in
            [(1_234_567.8, "1,234,568 x"), (12.34, "12.3 x"), (0.1234, "0.123 x"), (-1234.0, "-1,234 x")]
        {
            assert_eq!(figure(number, "x"), shown);
        }
    }

    #[test]
    fn rows_show_ratio_and_aim() {
        let row = Row::new("http", "64 connections", 50.0, "/s").against("floor", 100.0).aim("≥ 0.5", true);
        assert!(
            markdown(std::slice::from_ref(&row))
                .contains("| http | 64 connections | 50.0 /s | 0.50× floor | ≥ 0.5 | yes |")
        );
    }
}
