//! The arrows between the rooms: which crate may depend on which. Cargo refuses circles; this refuses the arrows that would
//! be no circle yet still wrong (`ledger → models`), and keeps heavy or worldly packages in the one room they belong to.

use super::Finding;

/// Each room and the rooms it may depend on. What is not listed here is a new edge between rooms: rare, and worth a discussion.
const ROOMS: &[(&str, &[&str])] = &[
    ("app", &["assist", "connectors", "doors", "engine", "flows", "kernel", "ledger", "models", "plan", "platform"]),
    ("assist", &["kernel"]),
    ("connectors", &["kernel"]),
    ("doors", &["engine", "flows", "kernel", "plan"]),
    ("engine", &["kernel", "plan"]),
    ("flows", &["engine", "kernel", "plan"]),
    ("kernel", &[]),
    ("ledger", &["kernel"]),
    ("models", &["kernel"]),
    ("plan", &["kernel"]),
    ("platform", &["kernel"]),
    ("testkit", &["kernel"]),
];

/// Packages that only some rooms may depend on, and why.
const WORLDLY: &[(&str, &[&str], &str)] = &[
    ("axum", &["doors"], "HTTP lives in the doors"),
    ("cel", &["engine", "plan"], "expressions are compiled by the plan and run by the engine"),
    ("clap", &["app"], "the command line lives in the app"),
    ("datafusion", &["flows"], "batch SQL lives in the flows"),
    ("hyper", &["doors", "platform"], "HTTP comes in through the doors and goes out through the platform's client"),
    ("rusqlite", &["app", "connectors", "platform"], "SQL lives in the connectors, the stores and the demo's CRM"),
    (
        "rustls",
        &["connectors", "platform"],
        "certificates of doors and callers are read by the platform, those of a database by its connector",
    ),
    ("tower", &["doors"], "HTTP lives in the doors"),
];

/// Checks one manifest.
pub(super) fn manifest(path: &str, content: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !content.contains("[lints]\nworkspace = true") {
        findings.push(Finding::new(
            "lints",
            path,
            0,
            "take the lints of the workspace: `[lints]` with `workspace = true`",
        ));
    }
    let Some(room) = path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml")) else {
        return findings;
    };
    let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        findings.push(Finding::new(
            "arrow",
            path,
            0,
            format!("`{room}` is no known room; add it to xtask/src/tidy/arrows.rs"),
        ));
        return findings;
    };
    for (line, package) in dependencies(content) {
        if let Some(other) = package.strip_prefix("tendon-")
            && !below.contains(&other)
        {
            let message = format!("arrow {room} → {other} is not allowed; {room} may know {}", names(below));
            findings.push(Finding::new("arrow", path, line, message));
        }
        if let Some((_, rooms, why)) = WORLDLY.iter().find(|(name, _, _)| *name == package)
            && !rooms.contains(&room)
        {
            findings.push(Finding::new("arrow", path, line, format!("`{package}` belongs to {}: {why}", names(rooms))));
        }
    }
    findings
}

/// Names of the normal and build dependencies with their lines; what tests alone use is free.
fn dependencies(content: &str) -> Vec<(usize, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for (line, text) in super::text::numbered(content) {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('[') {
            section = name.trim_end_matches(']');
            let inline = section.rsplit_once("dependencies.");
            if let Some((before, package)) = inline.filter(|(before, _)| !before.ends_with("dev-")) {
                let _ = before;
                found.push((line, package));
            }
        } else if section.ends_with("dependencies") && !section.ends_with("dev-dependencies") {
            let package = text.split(['.', '=', ' ']).next().unwrap_or_default();
            if !package.is_empty() && !package.starts_with('#') {
                found.push((line, package));
            }
        }
    }
    found
}

fn names(rooms: &[&str]) -> String {
    if rooms.is_empty() { "no other room".to_owned() } else { rooms.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn messages(path: &str, dependencies: &str) -> Vec<String> {
        let content = format!("{LINTS}{dependencies}");
        manifest(path, &content).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn arrows_down_are_free_and_others_are_found() {
        assert!(messages("crates/engine/Cargo.toml", "[dependencies]\ntendon-kernel.workspace = true\n").is_empty());
        for wrong in [
            "[dependencies]\ntendon-ledger.workspace = true\n",
            "[target.'cfg(unix)'.dependencies]\ntendon-ledger = { path = \"../ledger\" }\n",
            "[dependencies.tendon-ledger]\nworkspace = true\n",
            "[build-dependencies]\ntendon-ledger.workspace = true\n",
        ] {
            let found = messages("crates/engine/Cargo.toml", wrong);
            assert_eq!(found.len(), 1, "{wrong}");
            assert!(found[0].contains("engine → ledger"), "{found:?}");
        }
    }

    #[test]
    fn tests_may_use_what_they_like() {
        for free in [
            "[dev-dependencies]\ntendon-testkit.workspace = true\n",
            "[dev-dependencies.tendon-testkit]\nworkspace = true\n",
        ] {
            assert!(messages("crates/kernel/Cargo.toml", free).is_empty(), "{free}");
        }
    }

    #[test]
    fn the_kit_of_tests_is_never_shipped() {
        for (room, _) in ROOMS {
            assert_eq!(
                messages(&format!("crates/{room}/Cargo.toml"), "[dependencies]\ntendon-testkit.workspace = true\n")
                    .len(),
                1
            );
        }
    }

    #[test]
    fn worldly_packages_and_unknown_rooms_are_found() {
        assert!(messages("crates/doors/Cargo.toml", "[dependencies]\naxum.workspace = true\n").is_empty());
        assert_eq!(messages("crates/engine/Cargo.toml", "[dependencies]\naxum.workspace = true\n").len(), 1);
        assert_eq!(messages("crates/cellar/Cargo.toml", "").len(), 1);
        assert_eq!(manifest("bench/Cargo.toml", "[package]\n").len(), 1);
    }
}
