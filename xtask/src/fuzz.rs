//! Fuzzing on demand. The targets and what drives them are the crate `fuzz`; a short run of it is part of the tests. With `--write`, each
//! target that ran has its row in docs/hostile-input.md written anew.

use std::collections::BTreeMap;

use crate::{
    Outcome,
    page::{HOSTILE, get, number, put, read},
    run::{cargo, root, status, tee},
};

const HEAD: &str = "| target | what | inputs | taken | ways told apart | minutes | most memory of one | this run found | kept from before |\n\
                    |---|---|---|---|---|---|---|---|---|";

/// Builds the fuzzer with the checks of a debug build and runs it.
pub(crate) fn fuzz(args: &[String]) -> Outcome {
    let (write, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--write");
    let mut run = cargo(&["run", "--quiet", "--locked", "-p", "tendon-fuzz", "--"]);
    run.args(args);
    if write.is_empty() {
        return status(run);
    }
    let mut rows = rows(&get(HOSTILE, "fuzz")?);
    let good = tee(run, |line| {
        if let Some((name, row)) = row(line, kept) {
            rows.insert(name, row);
        }
    })?;
    // The rows say that nothing was found.
    if !good {
        return Err("something was found, and the page is left as it was; it is kept under fuzz/regressions".to_owned());
    }
    put(HOSTILE, "fuzz", &table(&rows))
}

/// The rows of a table by the name of their target.
fn rows(table: &str) -> BTreeMap<String, String> {
    let named = |line: &str| Some((line.strip_prefix("| `")?.split_once('`')?.0.to_owned(), line.to_owned()));
    table.lines().filter_map(named).collect()
}

/// How many inputs of a target are kept because each once did what none may do.
fn kept(target: &str) -> usize {
    std::fs::read_dir(root().join("fuzz/regressions").join(target)).map_or(0, |entries| entries.flatten().count())
}

/// The row of a target, from the line that the fuzzer printed about it.
fn row(line: &str, kept: impl Fn(&str) -> usize) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, inputs, taken, ways, _, seconds, memory, about @ ..] = words.as_slice() else { return None };
    let (inputs, taken): (u64, u64) = (inputs.parse().ok()?, taken.parse().ok()?);
    let share = (taken * 100).checked_div(inputs).unwrap_or_default();
    let minutes = seconds.parse::<f64>().ok()? / 60.0;
    let row = format!(
        "| `{name}` | {} | {} | {share} % | {ways} | {minutes:.1} | {memory} KiB | nothing | {} |",
        about.join(" "),
        number(inputs),
        kept(name)
    );
    Some(((*name).to_owned(), row))
}

/// The table, with its sums.
fn table(rows: &BTreeMap<String, String>) -> String {
    let column = |at: usize| rows.values().filter_map(move |row| row.split(" | ").nth(at));
    let inputs: u64 = column(2).filter_map(read).sum();
    let minutes: f64 = column(5).filter_map(|text| text.parse::<f64>().ok()).sum();
    let lines = rows.values().map(|row| format!("{row}\n")).collect::<String>();
    format!(
        "{HEAD}\n{lines}\n{} inputs over {} targets in {minutes:.0} minutes of one core.",
        number(inputs),
        rows.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "http             803010     200000      70      12000      66.9       1234 whole requests: heads, routes";

    #[test]
    fn a_line_becomes_a_row_and_rows_are_read_back() {
        let (name, text) = row(LINE, |_| 1).unwrap();
        let wanted = "| `http` | whole requests: heads, routes | 803,010 | 24 % | 70 | 1.1 | 1234 KiB | nothing | 1 |";
        assert_eq!((name.as_str(), text.as_str()), ("http", wanted));
        assert!(row("http         FOUND panic: here", |_| 1).is_none());
        let mut all = BTreeMap::from([(name, text)]);
        all.insert("cel".to_owned(), row(&LINE.replace("http", "cel"), |_| 0).unwrap().1);
        let table = table(&all);
        assert!(table.ends_with("1,606,020 inputs over 2 targets in 2 minutes of one core."), "{table}");
        assert_eq!(rows(&table), all);
    }
}
