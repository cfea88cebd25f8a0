//! Rules about the text of a file: its size, its opening, and words that must not stand in it.

use super::Finding;

/// Hand-written Rust files stay below this; a longer one holds two ideas.
const LINES: usize = 400;

/// Written in pieces, so that this file keeps its own rule. No committed file names a package host: the clients' own
/// configuration does, and may name a mirror.
const HOSTS: &[&[&str]] = &[
    &["crates", "io"],
    &["deb", "debian", "org"],
    &["maven", "org"],
    &["npmjs", "com"],
    &["npmjs", "org"],
    &["proxy", "golang", "org"],
    &["pypi", "org"],
    &["pythonhosted", "org"],
];

/// First folders of absolute paths that only exist on somebody's machine.
const MACHINES: &[&str] = &["Users", "home", "root", "work"];

/// Work that is put off belongs into an issue, not into the code.
const LATER: &[&[&str]] = &[&["TO", "DO"], &["FIX", "ME"], &["XX", "X"]];

/// Lock files hold what tools wrote; data holds what others wrote.
fn generated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["Cargo.lock", "go.sum", "package-lock.json", "LICENSE"].contains(&name)
        || [".csv", ".jsonl", ".svg"].iter().any(|end| name.ends_with(end))
}

/// Rules for every text file.
pub(super) fn everywhere(path: &str, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if generated(path) {
        return findings;
    }
    for (line, text) in numbered(content) {
        if HOSTS.iter().any(|host| text.contains(&host.join("."))) {
            findings.push(Finding::new(
                "host",
                path,
                line,
                "names a package host; leave it to the client's configuration",
            ));
        }
        if MACHINES.iter().any(|folder| absolute(text, folder)) {
            findings.push(Finding::new(
                "machine-path",
                path,
                line,
                "an absolute path of one machine; use one relative to the root",
            ));
        }
        if LATER.iter().any(|word| contains_word(text, &word.concat())) {
            findings.push(Finding::new("later", path, line, "work put off inside the code; do it, or file an issue"));
        }
    }
    findings
}

/// Rules for Rust files.
pub(super) fn rust(path: &str, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !content.starts_with("//!") {
        findings.push(Finding::new("opening", path, 1, "open the file with a `//!` sentence: what it is and why"));
    }
    let lines = content.lines().count();
    if lines > LINES {
        let message = format!("{lines} lines; split the file by ideas below {LINES}");
        findings.push(Finding::new("long-file", path, 0, message));
    }
    for (line, text) in numbered(content) {
        let attribute = text.trim_start();
        if ["#[", "#!["].iter().any(|open| attribute.starts_with(&format!("{open}{}(", "allow"))) {
            findings.push(Finding::new(
                "expect",
                path,
                line,
                "use `#[expect(…, reason = \"…\")]`: it disappears with its cause",
            ));
        }
        if !path.starts_with("bench/") && text.contains(concat!("thread", "::sleep(")) {
            findings.push(Finding::new("sleep", path, line, "wait for the event itself, or for the context's clock"));
        }
    }
    findings
}

pub(super) fn numbered(content: &str) -> impl Iterator<Item = (usize, &str)> {
    content.lines().enumerate().map(|(index, text)| (index + 1, text))
}

/// Whether the line holds `/folder/…` that does not continue a longer path or an address.
fn absolute(text: &str, folder: &str) -> bool {
    let needle = format!("/{folder}/");
    text.match_indices(&needle).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-/}~*".contains(c))
    })
}

fn contains_word(text: &str, word: &str) -> bool {
    let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        edge(text.get(..at).and_then(|head| head.chars().next_back()))
            && edge(text.get(at + word.len()..).and_then(|tail| tail.chars().next()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_good_file_has_no_finding() {
        let content = "//! What it is.\n#[expect(dead_code, reason = \"shown\")]\nfn main() {}\n";
        assert_eq!(everywhere("a.rs", content), []);
        assert_eq!(rust("a.rs", content), []);
    }

    #[test]
    fn hosts_machine_paths_and_put_off_work_are_found() {
        for parts in HOSTS {
            assert_eq!(rules(&everywhere("a.md", &format!("see {}", parts.join(".")))), ["host"]);
        }
        for folder in MACHINES {
            assert_eq!(rules(&everywhere("a.sh", &format!("cd '/{folder}/x'"))), ["machine-path"]);
            assert_eq!(everywhere("a.sh", &format!("cd target/{folder}/x")), []);
        }
        for parts in LATER {
            assert_eq!(rules(&everywhere("a.rs", &format!("// {}: later", parts.concat()))), ["later"]);
            assert_eq!(everywhere("a.rs", &format!("// {}LIST", parts.concat())), []);
        }
        assert_eq!(everywhere("Cargo.lock", &HOSTS[0].join(".")), []);
    }

    #[test]
    fn long_files_and_missing_openings_are_found() {
        assert_eq!(rust("a.rs", &format!("//! What.\n{}", "\n".repeat(LINES - 1))), []);
        assert_eq!(rules(&rust("a.rs", &format!("//! What.\n{}", "\n".repeat(LINES)))), ["long-file"]);
        assert_eq!(rules(&rust("a.rs", "fn main() {}\n")), ["opening"]);
    }

    #[test]
    fn allow_and_sleep_are_found() {
        for open in ["#[", "    #!["] {
            assert_eq!(rules(&rust("a.rs", &format!("//! x\n{open}{}(dead_code)]", "allow"))), ["expect"]);
        }
        assert_eq!(rules(&rust("a.rs", concat!("//! x\nstd::thread", "::sleep(d)"))), ["sleep"]);
    }
}
