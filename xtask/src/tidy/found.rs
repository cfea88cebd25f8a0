//! `docs/found.md` tells what was found and what keeps it mended. Each test, kept input and fault cell that it names is there.

use std::collections::BTreeSet;

use super::Finding;

/// The page.
pub(super) const PAGE: &str = "docs/found.md";

/// What the page may name.
#[derive(Default)]
pub(super) struct Known {
    /// Names of functions.
    functions: BTreeSet<String>,
    paths: BTreeSet<String>,
    /// Texts in quotation marks in the sources of the fault cells.
    cells: BTreeSet<String>,
}

impl Known {
    /// Takes a file in.
    pub(super) fn file(&mut self, path: &str, content: &str) {
        self.paths.insert(path.to_owned());
        if !path.ends_with(".rs") {
            return;
        }
        let name = |rest: &str| {
            rest.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').next().unwrap_or_default().to_owned()
        };
        self.functions.extend(content.split("fn ").skip(1).map(name));
        if path.starts_with("faults/src/cells/") {
            self.cells.extend(content.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
}

/// Names in the last column of the page's table that lead nowhere.
pub(super) fn page(content: &str, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in
        content.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| found"))
    {
        let last = line.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            findings.push(Finding::new("found", PAGE, index + 1, "nothing is named that keeps this mended"));
        }
        for name in names {
            let there = if name.contains('/') {
                known.paths.contains(name)
            } else {
                known.functions.contains(name) || known.cells.contains(name)
            };
            if !there {
                let message = format!("`{name}` is no test, no kept file and no fault cell");
                findings.push(Finding::new("found", PAGE, index + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_nowhere_is_found() {
        let mut known = Known::default();
        known.file("crates/a/src/b.rs", "fn stays_mended() {}");
        known.file("faults/src/cells/c.rs", "cell(\"slow\", \"it is slow\")");
        known.file("fuzz/regressions/a/b", "");
        let table =
            |last: &str| format!("| found by | what | kept as |\n|---|---|---|\n| fuzz | it broke | {last} |\n");
        for good in ["`stays_mended` (seed 7)", "`fuzz/regressions/a/b`, `stays_mended`", "cell `slow`"] {
            assert_eq!(page(&table(good), &known), [], "{good}");
        }
        for bad in ["`stays_broken`", "`stays_mended`, `fuzz/regressions/a/c`", "cell `quick`", "nothing"] {
            assert_eq!(page(&table(bad), &known).len(), 1, "{bad}");
        }
    }
}
