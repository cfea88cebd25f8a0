//! Registries are sorted lists: two people who add a part each touch different lines, and a reader finds a name by eye.
//! A list whose opening line follows a comment `// sorted` is checked: the lines of its entries must rise.

use super::Finding;

/// The comment above a list that must stay sorted.
const MARK: &str = "// sorted";

/// Checks every marked list of one file.
pub(super) fn lists(path: &str, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = content.lines().collect();
    for (index, _) in lines.iter().enumerate().filter(|(_, line)| line.trim() == MARK) {
        let indent = lines.get(index + 1).map_or(0, |line| line.len() - line.trim_start().len());
        let mut last = "";
        for (offset, line) in lines.iter().enumerate().skip(index + 2) {
            let text = line.trim();
            let depth = line.len() - line.trim_start().len();
            if depth <= indent && !text.is_empty() {
                break;
            }
            if depth != indent + 4 || text.starts_with("//") || text.starts_with([')', ']', '}']) {
                continue;
            }
            if text < last {
                findings.push(Finding::new("sorted", path, offset + 1, format!("`{text}` belongs above `{last}`")));
            }
            last = text;
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsorted_registry_is_found() {
        let list = |entries: &str| {
            format!("//! x\n{MARK}\nconst ALL: &[&Part] = &[\n{entries}];\n\nlet z = a;\n    other();\n")
        };
        assert_eq!(lists("a.rs", &list("    &csv::PART,\n    // why\n    &sqlite::PART,\n")), []);
        assert_eq!(lists("a.rs", &list("    Part {\n        z: 1,\n        a: 2,\n    },\n")), []);
        let found = lists("a.rs", &list("    &sqlite::PART,\n    &csv::PART,\n"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].rule), (5, "sorted"));
        assert!(lists("a.rs", &list("    &b,\n    &a,\n").replace(MARK, "// free")).is_empty());
    }
}
