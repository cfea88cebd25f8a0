//! The generated pages of `docs/reference/`: written from the code, never by hand, and compared in every test run. A page that
//! differs means that the code changed; `cargo xtask docs` writes it anew, and the change is reviewed with the code. The site that is
//! made of all pages, and the ledger of the snippets on them, are checked along.

mod access;
mod commands;
mod errors;
mod hostile;
mod http;
mod metrics;
mod pictures;
mod schema;
mod site;
pub(crate) mod snippets;
mod systems;

use std::fs;

use crate::{
    Outcome, page,
    run::{cargo, root, status},
};

/// A page: its file name and what makes its text.
type Page = (&'static str, fn() -> Result<String, String>);

// sorted
const PAGES: &[Page] = &[
    ("access.md", access::page),
    ("commands.md", commands::page),
    ("configuration.md", schema::page),
    ("errors.md", errors::page),
    ("http.md", http::page),
    ("metrics.md", metrics::page),
    ("openapi.json", http::document),
    ("systems.md", systems::page),
];

/// Parts of docs/hostile-input.md: their marks and what makes their text.
const PARTS: &[Page] = &[("matrix", hostile::matrix)];

/// `cargo xtask docs [--check | --pictures | --site [--out DIR]]`.
pub(crate) fn docs(args: &[String]) -> Outcome {
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    if given("--site") {
        return site::write(args);
    }
    if given("--pictures") {
        return pictures::copy();
    }
    generated(given("--check"))?;
    let files = site::make()?.len();
    let blocks = snippets::check()?;
    eprintln!("docs: a site of {files} files without a dead link; {blocks} blocks, each with its language");
    Ok(())
}

/// Writes the pages that are generated, or compares them.
fn generated(check: bool) -> Outcome {
    status(cargo(&["build", "--quiet", "--locked", "-p", "tendon"]))?;
    let folder = root().join("docs/reference");
    fs::create_dir_all(&folder).map_err(|error| format!("docs/reference could not be made: {error}"))?;
    let mut stale = Vec::new();
    for (name, make) in PAGES {
        let text = make().map_err(|error| format!("page {name}: {error}"))?;
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        stale.push(*name);
        if !check {
            fs::write(&path, text).map_err(|error| format!("{} could not be written: {error}", path.display()))?;
        }
    }
    for (mark, make) in PARTS {
        let text = make()?;
        if page::get(page::HOSTILE, mark)? != text.trim() {
            stale.push(page::HOSTILE);
            if !check {
                page::put(page::HOSTILE, mark, &text)?;
            }
        }
    }
    match (check, stale.is_empty()) {
        (_, true) => eprintln!("docs: {} pages say what the code says", PAGES.len() + 1),
        (false, false) => eprintln!("docs: wrote {}", stale.join(", ")),
        (true, false) => {
            return Err(format!("{} no longer say what the code says; run `cargo xtask docs`", stale.join(", ")));
        }
    }
    Ok(())
}

/// Runs the built program and returns what it prints on stdout.
fn tendon(args: &[&str]) -> Result<String, String> {
    crate::run::capture(program(args))
}

/// The built program, as everybody's terminal would run it.
fn program(args: &[&str]) -> std::process::Command {
    let mut tendon = crate::run::command(crate::run::target().join("debug/tendon"), args);
    // Help is wrapped to the terminal's width; a page must not depend on whose terminal made it.
    tendon.env("COLUMNS", "120").env("NO_COLOR", "1");
    tendon
}
