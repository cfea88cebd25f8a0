//! What a user writes for each service: the lines and characters of its sources, without blank lines, comments and docstrings.
//! Characters stand beside lines, so that long lines hide nothing.

use std::{fs, path::Path};

use crate::Res;

/// How much a user writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) lines: usize,
    pub(super) characters: usize,
}

/// All files of a folder, but the locked versions that a tool wrote.
pub(super) fn written(folder: &Path) -> Res<Written> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut all = Written::default();
    for entry in fs::read_dir(folder).map_err(failed)?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            written(&path)?
        } else if path.ends_with("lock.txt") {
            continue;
        } else {
            count(&fs::read_to_string(&path).map_err(failed)?)
        };
        all.lines += found.lines;
        all.characters += found.characters;
    }
    Ok(all)
}

/// Python, YAML, SQL, JSON and lists of packages: `#` and `--` begin a comment line, `"""` at a line's start a docstring.
fn count(text: &str) -> Written {
    let mut all = Written::default();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        let quotes = line.matches("\"\"\"").count();
        let docstring = inside || line.starts_with("\"\"\"");
        if docstring {
            inside ^= quotes % 2 == 1;
        } else if !line.is_empty() && !line.starts_with('#') && !line.starts_with("--") {
            all.lines += 1;
            all.characters += line.chars().count();
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_docstrings_and_blank_lines_are_nobodys_work() {
        let text = "\"\"\"What it is.\n\n    run it\n\"\"\"\n\nimport os\n# why\nclass A:\n    \"\"\"One.\"\"\"\n    b = 1\n-- sql\n";
        assert_eq!(count(text), Written { lines: 3, characters: 9 + 8 + 5 });
    }

    #[test]
    fn a_text_in_three_quotes_that_is_no_docstring_counts() {
        assert_eq!(count("SQL = \"\"\"\n  SELECT 1\n  FROM x\"\"\"\nend\n").lines, 4);
    }
}
