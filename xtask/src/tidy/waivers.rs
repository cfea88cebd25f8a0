//! Waivers: places where a rule is knowingly broken, each with its reason. The list may only shrink: a waiver that nothing
//! needs any more is a finding itself.

use super::Finding;

/// Where they are kept.
pub(super) const FILE: &str = "xtask/waivers.txt";

/// Removes the waived findings and adds one for every waiver that is malformed or not needed.
pub(super) fn apply(mut findings: Vec<Finding>, listed: &str) -> Vec<Finding> {
    let mut wrong = Vec::new();
    for (index, line) in listed.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (place, reason) = line.split_once(" # ").unwrap_or((line, ""));
        let mut words = place.split_whitespace();
        let (Some(rule), Some(path), None) = (words.next(), words.next(), words.next()) else {
            wrong.push(Finding::new("waiver", FILE, index + 1, "a waiver is `rule path # reason`"));
            continue;
        };
        if reason.trim().is_empty() {
            wrong.push(Finding::new("waiver", FILE, index + 1, "this waiver gives no reason; write it behind ` # `"));
        }
        let before = findings.len();
        findings.retain(|finding| !(finding.rule == rule && finding.path == path));
        if findings.len() == before {
            wrong.push(Finding::new("waiver", FILE, index + 1, "nothing needs this waiver any more; remove the line"));
        }
    }
    findings.extend(wrong);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Vec<Finding> {
        vec![Finding::new("long-file", "a.rs", 0, "")]
    }

    #[test]
    fn a_waiver_takes_its_finding_away() {
        assert_eq!(apply(broken(), "# why\n\nlong-file a.rs # a table\n"), []);
        assert_eq!(apply(broken(), ""), broken());
    }

    #[test]
    fn a_waiver_without_need_or_reason_is_a_finding() {
        for (listed, count) in [("long-file b.rs # old\n", 2), ("long-file a.rs\n", 1), ("long-file\n", 2)] {
            let left = apply(broken(), listed);
            assert_eq!(left.len(), count, "{listed}");
            assert!(left.iter().any(|finding| finding.rule == "waiver" && finding.line == 1));
        }
    }
}
