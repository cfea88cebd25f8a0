//! The documentation as a static site: README, `docs/` and what they lead to, as pages that work from a folder, ask nothing of
//! anybody and run no script. Everything is made in memory first, so that `docs --check` finds a dead link without writing a file.

mod frame;
mod groups;
mod links;
mod render;
mod terms;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Outcome,
    run::{files, root, target},
};
use groups::Group;
pub(super) use links::slug;
use render::Rendered;

/// A folder with this file in it was made by us, so it may be made anew.
const MARK: &str = ".made-by-xtask";
/// The look of the console, of which the site takes the tokens.
const CONSOLE: &str = "crates/doors/src/console/assets/";

/// What is known of a page before any of it is looked at: its source, named from the repository's root with `/`.
pub(super) type Source = String;

/// All files of the site by their place in it.
type Site = BTreeMap<String, Vec<u8>>;

/// Writes the site into the folder named behind `--out`, or `target/site`.
pub(super) fn write(args: &[String]) -> Outcome {
    let named = args.iter().position(|arg| arg == "--out").map(|at| args.get(at + 1));
    let out = match named {
        Some(None) => return Err("`--out` wants a folder".to_owned()),
        Some(Some(folder)) => PathBuf::from(folder),
        None => target().join("site"),
    };
    let site = make()?;
    empty(&out)?;
    for (place, bytes) in &site {
        let path = out.join(place);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        made.map_err(|error| format!("{} could not be written: {error}", path.display()))?;
    }
    let pages = site.keys().filter(|place| place.ends_with(".html")).count();
    eprintln!("docs: {pages} pages in {}; open index.html", out.display());
    Ok(())
}

/// Makes the folder empty, unless it holds what we did not make.
fn empty(out: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("{} could not be made anew: {error}", out.display());
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        if !out.join(MARK).exists() {
            return Err(format!("{} holds something else; name an empty folder", out.display()));
        }
        fs::remove_dir_all(out).map_err(failed)?;
    }
    fs::create_dir_all(out).and_then(|()| fs::write(out.join(MARK), "")).map_err(failed)
}

/// The pages: their sources in the order of the navigation, README and index first.
pub(super) fn sources() -> Result<Vec<Source>, String> {
    Ok(listed(&groups::groups()?))
}

fn listed(groups: &[Group]) -> Vec<Source> {
    let first = ["README.md".to_owned(), groups::INDEX.to_owned()];
    let mut sources: Vec<Source> = first.into_iter().collect();
    for (source, _) in groups.iter().flat_map(|group| &group.pages) {
        if !sources.contains(source) {
            sources.push(source.clone());
        }
    }
    sources
}

/// Every file of the site, or what is wrong with it: all of it at once.
pub(super) fn make() -> Result<Site, String> {
    let groups = groups::groups()?;
    let sources = listed(&groups);
    let mut wrong = homeless(&sources)?;
    let mut pages = BTreeMap::new();
    for source in &sources {
        let text = fs::read_to_string(root().join(source)).map_err(|error| format!("{source}: {error}"))?;
        match render::render(source, &text, &sources) {
            Ok(page) => drop(pages.insert(source.clone(), page)),
            Err(faults) => wrong.extend(faults),
        }
    }
    wrong.extend(dead_anchors(&pages));
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    let mut site = Site::new();
    for (source, page) in &pages {
        site.insert(links::place(source), frame::frame(source, page, &groups, &sources).into_bytes());
        for file in &page.files {
            site.insert(file.clone(), read(file)?);
        }
    }
    let index = terms::page(&pages, &sources);
    site.insert(links::place(terms::PAGE), frame::frame(terms::PAGE, &index, &groups, &sources).into_bytes());
    site.insert("style.css".to_owned(), style()?.into_bytes());
    site.insert("icon.svg".to_owned(), read(&format!("{CONSOLE}icon.svg"))?);
    Ok(site)
}

/// Pages below `docs/` that the index does not lead to: nobody would find them.
fn homeless(sources: &[Source]) -> Result<Vec<String>, String> {
    let docs = files()?.into_iter().filter(|file| file.starts_with("docs/") && file.ends_with(".md"));
    let lost = docs.filter(|file| !sources.contains(file));
    Ok(lost.map(|file| format!("{file} stands in no group: give it a line in {}", groups::INDEX)).collect())
}

/// Links to a place of a page that is not there.
fn dead_anchors(pages: &BTreeMap<Source, Rendered>) -> Vec<String> {
    let mut dead = Vec::new();
    for (source, page) in pages {
        for (to, anchor) in &page.anchors {
            if pages.get(to).is_some_and(|target| !target.ids.contains(anchor)) {
                dead.push(format!("{source}: {to} has no heading #{anchor}"));
            }
        }
    }
    dead
}

/// The console's tokens (its first block, with everything that has a size or a colour), and what a page of text makes of them.
fn style() -> Result<String, String> {
    let console = String::from_utf8_lossy(&read(&format!("{CONSOLE}style.css"))?).into_owned();
    let tokens =
        console.find(":root {").and_then(|at| console[at..].find("\n}\n").map(|end| &console[at..at + end + 3]));
    let tokens = tokens.ok_or("the console's style.css does not begin with its tokens any more")?;
    Ok(format!("/* Tokens: the console's. */\n{tokens}\n{}", include_str!("style.css")))
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    fs::read(root().join(file)).map_err(|error| format!("{file} could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_a_site_without_a_dead_link() {
        let site = make().unwrap_or_else(|wrong| panic!("{wrong}"));
        let html = |place: &str| String::from_utf8_lossy(&site[place]).into_owned();
        assert!(site.len() > 30, "{:?}", site.keys());
        for (place, bytes) in &site {
            let text = String::from_utf8_lossy(bytes);
            if place.ends_with(".html") {
                assert!(!text.contains("<script") && !text.contains("style=") && !text.contains("<!--"), "{place}");
                assert!(text.contains("default-src 'none'"), "{place}");
            }
        }
        assert!(html("index.html").contains("href=\"docs/first-integration.html\""));
        assert!(html("docs/threat-model.html").contains("href=\"../CONTRIBUTING.html\""));
        assert!(site.contains_key("docs/console/overview-light.png"));
        assert!(html("docs/reference/http.html").contains("<a href=\"../../docs/reference/openapi.json\" download>"));
        assert!(site.contains_key("docs/reference/openapi.json"));
        index_leads_to_what_it_names(&site);
    }

    /// Every address of the index is there, and a word of each kind stands in it.
    fn index_leads_to_what_it_names(site: &Site) {
        let html = |place: &str| String::from_utf8_lossy(&site[place]).into_owned();
        let index = html("docs/terms.html");
        for word in [
            "<code>ttl</code>",
            "<code>bad_output</code>",
            "<code>tendon_decisions_total</code>",
            "<code>keys create</code>",
            "<code>--dry-run</code>",
            "<code>Idempotency-Key</code>",
            "/v1/decisions/{id} (GET)",
            "<dt>Life of an erasure</dt>",
        ] {
            assert!(index.contains(word), "{word}");
        }
        let mut seen = 0;
        for link in index.split("<dd>").skip(1).flat_map(|part| part.split("href=\"").skip(1)) {
            let link = link.split('"').next().unwrap_or_default();
            let (place, anchor) = link.split_once('#').unwrap_or((link, ""));
            let there = html(place.trim_start_matches("../"));
            assert!(anchor.is_empty() || there.contains(&format!("id=\"{anchor}\"")), "{link}");
            seen += 1;
        }
        assert!(seen > 500, "{seen}");
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let own = folder.path().join("site");
        assert_eq!((empty(&own), empty(&own)), (Ok(()), Ok(())));
        assert_eq!(
            fs::write(folder.path().join("thesis.txt"), "years of work").map_err(|error| error.to_string()),
            Ok(())
        );
        assert!(empty(folder.path()).is_err_and(|said| said.contains("something else")));
        assert!(folder.path().join("thesis.txt").exists());
    }
}
