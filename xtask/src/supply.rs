//! The dependency tree: every licence on the allow list of `deny.toml`, no version that its authors took back, no wildcard
//! from elsewhere. Read from `cargo metadata` and cargo's own copy of the registry index, so that no tool must be installed.
//! Advisories need a database that no package registry carries: where `cargo deny` is installed it looks them up too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    Outcome,
    run::{capture, cargo, root, status},
};

/// Checks the whole tree.
pub(crate) fn supply() -> Outcome {
    let deny = fs::read_to_string(root().join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let (allowed, clarified) = (allowed(&deny), clarified(&deny));
    let metadata = capture(cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("`cargo metadata` printed no JSON: {error}"))?;
    let mut wrong = Vec::new();
    let mut versions = BTreeMap::<&str, Vec<&str>>::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        // The workspace's own crates have no source; no registry knows them.
        if !text("source").is_empty() {
            versions.entry(name).or_default().push(version);
        }
        let said = clarified.iter().find(|one| one.fits(package)).map_or(text("license"), |one| one.expression);
        if !licensed(said, &allowed) {
            wrong.push(format!("{name} {version}: licence `{said}` is not on the list of deny.toml"));
        }
        if !text("source").is_empty() && !text("source").starts_with("registry+") {
            wrong.push(format!("{name} {version}: comes from `{}`, not from the registry", text("source")));
        }
    }
    let (yanked, unknown) = yanked(&versions, &index_caches());
    wrong.extend(yanked);
    let twice = versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| *name).collect::<Vec<_>>();
    eprintln!(
        "supply: {} packages, {unknown} without an index entry, several versions of: {}",
        versions.len(),
        twice.join(", ")
    );
    for line in &wrong {
        eprintln!("supply: {line}");
    }
    advisories()?;
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} packages of the tree must not be there", wrong.len())) }
}

/// Runs `cargo deny` with its advisory database, where somebody installed it.
fn advisories() -> Outcome {
    let installed = cargo(&["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if installed {
        return status(cargo(&["deny", "check", "advisories"]));
    }
    eprintln!("supply: `cargo deny` is not installed: advisories were not looked up, yanked versions were");
    Ok(())
}

/// The licences between `allow = [` and `]`.
fn allowed(deny: &str) -> BTreeSet<&str> {
    let list = deny.split_once("allow = [").map_or("", |(_, rest)| rest);
    list.lines().take_while(|line| !line.starts_with(']')).filter_map(|line| line.split('"').nth(1)).collect()
}

/// What `[[licenses.clarify]]` says of a package that names no licence but carries its text.
struct Clarified<'a> {
    package: &'a str,
    expression: &'a str,
    /// The file with the text, and its CRC-32: another text is another licence.
    file: &'a str,
    hash: u32,
}

impl Clarified<'_> {
    fn fits(&self, package: &Value) -> bool {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let folder = Path::new(text("manifest_path")).parent().unwrap_or(Path::new(""));
        self.package == format!("{}@{}", text("name"), text("version"))
            && text("license").is_empty()
            && fs::read(folder.join(self.file)).is_ok_and(|text| crc32fast::hash(&text) == self.hash)
    }
}

/// The clarifications, in the form that `cargo deny` reads: a line for each key.
fn clarified(deny: &str) -> Vec<Clarified<'_>> {
    let read = |block| {
        let text = |key: &str| {
            let line = str::lines(block).find(|line| line.starts_with(key));
            line.and_then(|line| line.split('"').nth(1)).unwrap_or_default()
        };
        let hash = block.split_once("hash = 0x").and_then(|(_, rest)| rest.get(..8));
        let hash = hash.and_then(|hash| u32::from_str_radix(hash, 16).ok()).unwrap_or_default();
        Clarified { package: text("crate"), expression: text("expression"), file: text("license-files"), hash }
    };
    deny.split("[[licenses.clarify]]").skip(1).map(read).collect()
}

/// Whether an SPDX expression can be satisfied with allowed licences alone.
fn licensed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = expression.split_whitespace().peekable();
    either(&mut words, allowed) && words.next().is_none()
}

type Words<'a, 'b> = std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn either(words: &mut Words<'_, '_>, allowed: &BTreeSet<&str>) -> bool {
    let mut any = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        any |= both(words, allowed);
    }
    any
}

fn both(words: &mut Words<'_, '_>, allowed: &BTreeSet<&str>) -> bool {
    let mut all = single(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        all &= single(words, allowed);
    }
    all
}

fn single(words: &mut Words<'_, '_>, allowed: &BTreeSet<&str>) -> bool {
    let Some(word) = words.next() else { return false };
    if word == "(" {
        let inner = either(words, allowed);
        return words.next() == Some(")") && inner;
    }
    if words.next_if_eq(&"WITH").is_some() {
        let whole = format!("{word} WITH {}", words.next().unwrap_or_default());
        return allowed.contains(whole.as_str());
    }
    allowed.contains(word)
}

/// The folders in which cargo keeps what the registries' indexes said last.
fn index_caches() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"))).unwrap_or_default();
    let folders = fs::read_dir(home.join("registry/index")).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(".cache")).collect()
}

/// Which of the versions were taken back, and how many packages the index copy does not know.
fn yanked(versions: &BTreeMap<&str, Vec<&str>>, caches: &[PathBuf]) -> (Vec<String>, usize) {
    let (mut wrong, mut unknown) = (Vec::new(), 0);
    for (name, versions) in versions {
        let lower = name.to_lowercase();
        let Some(entry) = caches.iter().find_map(|cache| fs::read(cache.join(index_path(&lower))).ok()) else {
            unknown += 1;
            continue;
        };
        for line in entry.split(|byte| *byte == 0).filter(|part| part.starts_with(b"{")) {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            let version = line["vers"].as_str().unwrap_or_default();
            if line["yanked"] == true && versions.contains(&version) {
                wrong.push(format!("{name} {version}: was yanked by its authors; `cargo update -p {name}`"));
            }
        }
    }
    (wrong, unknown)
}

/// Where the index keeps a package: by the length and the first letters of its name.
fn index_path(name: &str) -> String {
    let head = |from: usize, to: usize| name.get(from..to).unwrap_or_default();
    match name.len() {
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", head(0, 1)),
        _ => format!("{}/{}/{name}", head(0, 2), head(2, 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_satisfied_or_not() {
        let allowed = allowed(
            "[licenses]\nallow = [\n    \"MIT\", # notice\n    \"ISC\",\n    \"A WITH e\",\n]\nx = [\"GPL\"]\n",
        );
        assert_eq!(allowed.len(), 3);
        for good in
            ["MIT", "GPL OR MIT", "GPL/MIT", "MIT AND ISC", "(GPL OR MIT) AND ISC", "A WITH e", "A WITH e OR GPL"]
        {
            assert!(licensed(good, &allowed), "{good}");
        }
        for bad in ["", "GPL", "MIT AND GPL", "(GPL) OR (A)", "A", "MIT ISC", "(MIT", "GPL OR MIT AND GPL"] {
            assert!(!licensed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn a_licence_is_clarified_for_one_version_and_one_text() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LICENSE"), "MIT License").unwrap();
        let hash = crc32fast::hash(b"MIT License");
        let deny = format!(
            "[[licenses.clarify]]\ncrate = \"a@1.0.0\"\nexpression = \"MIT\"\n\
             license-files = [{{ path = \"LICENSE\", hash = 0x{hash:08x} }}]\n"
        );
        let manifest = folder.path().join("Cargo.toml");
        let package = |name: &str, version: &str, license: Option<&str>| serde_json::json!({ "name": name, "version": version, "license": license, "manifest_path": manifest });
        let fits = |package: &Value| clarified(&deny).iter().any(|one| one.fits(package) && one.expression == "MIT");
        assert!(fits(&package("a", "1.0.0", None)));
        for other in [package("a", "1.0.1", None), package("b", "1.0.0", None), package("a", "1.0.0", Some("GPL"))] {
            assert!(!fits(&other), "{other}");
        }
        fs::write(folder.path().join("LICENSE"), "Another License").unwrap();
        assert!(!fits(&package("a", "1.0.0", None)));
    }

    #[test]
    fn a_yanked_version_is_found_in_the_index_copy() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir_all(cache.path().join("se/rd")).unwrap();
        let entry = b"\x03head\x001.0.0\0{\"vers\":\"1.0.0\",\"yanked\":true}\x001.0.1\0{\"vers\":\"1.0.1\",\"yanked\":false}\0";
        fs::write(cache.path().join("se/rd/serde"), entry).unwrap();
        let look = |version| {
            yanked(&BTreeMap::from([("serde", vec![version]), ("abc", vec!["1.0.0"])]), &[cache.path().into()])
        };
        assert_eq!(look("1.0.0").0.len(), 1);
        assert_eq!(look("1.0.1"), (Vec::new(), 1));
    }

    #[test]
    fn index_paths_follow_the_name() {
        let paths = ["a", "ab", "abc", "abcd"].map(index_path);
        assert_eq!(paths, ["1/a", "2/ab", "3/a/abc", "ab/cd/abcd"]);
    }
}
