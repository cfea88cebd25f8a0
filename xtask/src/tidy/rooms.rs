//! What the source of a room must not reach for. The simulation runs engine, ledger and flows under a virtual clock, a seeded
//! scheduler and an in-memory disk; one call to the real world would make a failing seed impossible to replay.

use super::{Finding, text::numbered};

/// Rooms that take time, randomness, files and tasks from the kernel's context alone.
const SIMULATED: &[&str] = &["engine", "flows", "kernel", "ledger", "plan"];

/// What they must not name, and what to use instead.
const WORLD: &[(&str, &str)] = &[
    ("Instant::now", "the context's clock"),
    ("SystemTime::now", "the context's clock"),
    ("Utc::now", "the context's clock"),
    ("rand::", "the context's entropy"),
    ("std::env", "the plan"),
    ("std::fs", "the context's disk"),
    ("std::net", "a socket (trait) of the kernel"),
    ("std::process", "a socket (trait) of the kernel"),
    ("std::thread", "the context's spawn"),
    ("tokio::fs", "the context's disk"),
    ("tokio::net", "a socket (trait) of the kernel"),
    ("tokio::spawn", "the context's spawn"),
    ("tokio::task", "the context's spawn"),
    ("tokio::time", "the context's clock"),
];

/// Where addresses are mounted: each of these files is a table that says of every address who may use it, and is asked by tests.
const TABLES: &[&str] = &["crates/doors/src/api/router.rs", "crates/doors/src/console/routes.rs"];

/// What mounts an address.
const MOUNTS: &[&str] =
    &[".route(", ".route_service(", ".merge(", ".nest(", ".nest_service(", ".fallback_service(", "Router::new("];

/// An address that is mounted beside the tables has no rule, and no test asks it.
pub(super) fn addresses(path: &str, content: &str) -> Vec<Finding> {
    if !path.starts_with("crates/") || !path.contains("/src/") || TABLES.contains(&path) || path.contains("testkit") {
        return Vec::new();
    }
    let mounted = |(line, text): (usize, &str)| {
        let code = text.split("//").next().unwrap_or_default();
        let found = MOUNTS.iter().find(|mount| code.contains(**mount))?;
        let message = format!("`{found}` mounts an address without a rule; put it into the table of its door");
        Some(Finding::new("addresses", path, line, message))
    };
    let own = numbered(content).take_while(|(_, text)| !text.starts_with("#[cfg(test)]"));
    if content.contains("axum") { own.filter_map(mounted).collect() } else { Vec::new() }
}

/// Checks one source file of a simulated room; its tests are free.
pub(super) fn source(path: &str, content: &str) -> Vec<Finding> {
    let room = path.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")).map(|(room, _)| room);
    if !room.is_some_and(|room| SIMULATED.contains(&room)) || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, text) in numbered(content) {
        if text.starts_with("#[cfg(test)]") {
            break;
        }
        let code = text.split("//").next().unwrap_or_default();
        if let Some((name, instead)) = WORLD.iter().find(|(name, _)| code.contains(name)) {
            findings.push(Finding::new("world", path, line, format!("`{name}` leaves the simulation; use {instead}")));
        }
        if code.contains("select!") && !next_words(content, line).contains("biased") {
            findings.push(Finding::new("biased", path, line, "`select!` picks at random; open it with `biased;`"));
        }
    }
    findings
}

/// The line itself and the next one.
fn next_words(content: &str, line: usize) -> String {
    content.lines().skip(line - 1).take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reach_into_the_world_is_found() {
        for (name, _) in WORLD {
            let found = source("crates/engine/src/path.rs", &format!("//! x\nlet x = {name}::y();\n"));
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].line, 2);
        }
    }

    #[test]
    fn worldly_rooms_tests_and_comments_are_free() {
        let content = "//! x\nlet now = Instant::now();\n";
        assert_eq!(source("crates/platform/src/clock.rs", content), []);
        assert_eq!(source("crates/engine/tests/path.rs", content), []);
        assert_eq!(
            source("crates/engine/src/a.rs", "//! x\n// std::fs is for others\n#[cfg(test)]\nuse std::fs;\n"),
            []
        );
    }

    #[test]
    fn an_address_beside_the_tables_is_found() {
        let content = "//! x\nuse axum::Router;\nlet router = Router::new().route(\"/v1/all\", get(all));\n";
        let found = addresses("crates/doors/src/api/lists.rs", content);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3]);
        assert_eq!(addresses(TABLES[0], content), []);
        assert_eq!(addresses("crates/engine/src/a.rs", "//! x\nself.merge(other);\n"), []);
    }

    #[test]
    fn an_unbiased_select_is_found() {
        assert_eq!(source("crates/flows/src/a.rs", "//! x\ntokio::select! {\n    a = b => {}\n").len(), 1);
        assert_eq!(source("crates/flows/src/a.rs", "//! x\ntokio::select! {\n    biased;\n"), []);
    }
}
