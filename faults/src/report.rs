//! The table of a run, on the terminal and in `docs/faults.md`.

use std::fs;

use serde_json::Value as Json;

use crate::{Res, Setting, cells::Cell, look::Seen};

const PAGE: &str = "docs/faults.md";

/// What a cell came to.
pub(crate) struct Row {
    cell: &'static Cell,
    pub(crate) seen: Seen,
    /// The checker's counts and findings.
    pub(crate) checked: Json,
    /// Why it did not come to its end.
    pub(crate) failed: Option<String>,
}

impl Row {
    pub(crate) fn new(cell: &'static Cell) -> Self {
        Self { cell, seen: Seen::default(), checked: Json::Null, failed: None }
    }

    /// Whether it is of that cell.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.cell.name == name
    }

    /// What the checker found, of one kind and in some of these words.
    pub(crate) fn findings(&self, kind: &str, says: &[&str]) -> Vec<&str> {
        let all = self.checked["findings"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let kind = format!("{kind}: ");
        all.filter(|text| text.starts_with(&kind) && says.iter().any(|words| text.contains(words))).collect()
    }

    /// The line in which the program refused to go on, in one of these words.
    pub(crate) fn refusal(&self, says: &[&str]) -> Option<&str> {
        let mut lines = self.failed.as_deref()?.lines();
        lines.find(|line| says.iter().any(|words| line.contains(words))).map(str::trim)
    }

    /// Whether nothing was lost, doubled or out of order, and the cell came to its end.
    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_none() && self.checked["findings"].as_array().is_some_and(Vec::is_empty)
    }

    /// In a word or a sentence.
    pub(crate) fn verdict(&self) -> String {
        if let Some(failed) = &self.failed {
            return format!("did not come to its end: {failed}");
        }
        if self.is_good() {
            return "held".to_owned();
        }
        let findings = self.checked["findings"].as_array().cloned().unwrap_or_default();
        let some: Vec<String> =
            findings.iter().take(10).map(|one| one.as_str().unwrap_or_default().to_owned()).collect();
        format!("did NOT hold, {} findings:\n  {}", findings.len(), some.join("\n  "))
    }

    fn line(&self) -> String {
        let count =
            |name: &str| self.checked[name].as_u64().map_or_else(|| "–".to_owned(), |number| number.to_string());
        let mut recoveries = self.seen.recoveries.clone();
        recoveries.sort_by(f64::total_cmp);
        let recovery = match (recoveries.get(recoveries.len() / 2), recoveries.last()) {
            (Some(middle), Some(most)) => format!("{middle:.2} ({most:.2})"),
            _ => "–".to_owned(),
        };
        let all: u64 = self.seen.readiness.values().sum();
        let share = |(state, times): (&String, &u64)| format!("{state} {} %", (times * 100).div_ceil(all.max(1)));
        let readiness: Vec<String> = self.seen.readiness.iter().map(share).collect();
        let verdict = match self.failed.as_deref().and_then(|failed| failed.lines().next()) {
            Some(failed) => format!("**did not come to its end**: {failed}"),
            None if self.is_good() => "held".to_owned(),
            None => "**did not hold**".to_owned(),
        };
        let name = self.cell.name;
        format!(
            "| `{name}` | {}{}{} | {} | {} | {} | {} | {} | {recovery} | {} | {} | {verdict} |",
            self.cell.about,
            if self.seen.notes.is_empty() { "" } else { ": " },
            self.seen.notes.join("; "),
            count("acknowledged"),
            count("effects"),
            count("lost"),
            count("doubled"),
            count("order"),
            self.seen.peak / 1_048_576,
            readiness.join(", "),
        )
    }
}

/// The table as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = "| cell | what happens | acknowledged | write-backs | lost | doubled | out of order | recovery s, middle (most) | \
                peak MiB | readiness said | |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    format!("{head}{}", lines.join("\n"))
}

/// Puts the table into the page.
pub(crate) fn write(setting: &Setting, rows: &[Row]) -> Res<()> {
    let long = if setting.long { " --long" } else { "" };
    let made = format!(
        "Made by `cargo xtask faults{long} --write` (seed {}, {} rounds, debug build).",
        setting.seed, setting.rounds
    );
    put("faults", &format!("{made}\n\n{}", table(rows)))
}

/// Puts text between the marks of that name.
pub(crate) fn put(name: &str, text: &str) -> Res<()> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let page = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let (before, rest) = page.split_once(&begin).ok_or_else(|| format!("{PAGE} has no `{begin}`"))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| format!("{PAGE} has no `{end}`"))?;
    let page = format!("{before}{begin}\n{}\n{end}{after}", text.trim_end());
    fs::write(PAGE, page).map_err(|error| format!("{PAGE}: {error}"))
}
