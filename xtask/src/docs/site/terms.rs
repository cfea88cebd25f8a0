//! The index of the site, as a book has one: every heading, and of the reference every key, code, metric, command and option, in the order
//! of the alphabet, each with the places where it stands. It is one page of text, so the browser's own search finds things in it, and
//! nothing has to run.

use std::collections::BTreeMap;

use super::{
    Source,
    frame::escape,
    links::{place, way},
    render::Rendered,
};

/// Where the index stands among the sources, of which it is none.
pub(super) const PAGE: &str = "docs/terms.md";
/// What stands in more places than this stands everywhere, and is shown in its first.
const MOST: usize = 12;

/// Something that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) name: String,
    /// Whether it is written as code.
    pub(super) code: bool,
    /// The address on its page; empty where it is the page's title.
    pub(super) id: String,
    /// The heading above it; empty where it is one itself.
    pub(super) below: String,
}

/// A term in its places: the address, and what is found there.
type Entries = BTreeMap<(String, String), (bool, Vec<(String, String)>)>;

/// The page.
pub(super) fn page(pages: &BTreeMap<Source, Rendered>, sources: &[Source]) -> Rendered {
    let mut entries = Entries::new();
    for source in sources {
        let Some(page) = pages.get(source) else { continue };
        let there = way(&place(PAGE), &place(source));
        for term in &page.terms {
            let name = spoken(source, &term.name);
            let below = if term.below.is_empty() { String::new() } else { format!(": {}", term.below) };
            let found = format!("{}{below}", page.title);
            let entry = entries.entry((key(&name), name)).or_insert_with(|| (term.code, Vec::new()));
            let address = if term.id.is_empty() { there.clone() } else { format!("{there}#{}", term.id) };
            if !entry.1.iter().any(|(_, known)| *known == found) {
                entry.1.push((address, found));
            }
        }
    }
    Rendered { title: "Index".to_owned(), body: body(&entries), ..Rendered::default() }
}

fn body(entries: &Entries) -> String {
    let mut letters: Vec<(String, String)> = Vec::new();
    for ((key, name), (code, places)) in entries {
        let letter = key
            .chars()
            .next()
            .filter(char::is_ascii_lowercase)
            .map_or("0–9".to_owned(), |c| c.to_uppercase().to_string());
        if letters.last().is_none_or(|(last, _)| *last != letter) {
            letters.push((letter, String::new()));
        }
        let Some((_, text)) = letters.last_mut() else { continue };
        let name = if *code { format!("<code>{}</code>", escape(name)) } else { escape(name) };
        let shown = if places.len() > MOST { 1 } else { places.len() };
        let links = places
            .iter()
            .take(shown)
            .map(|(address, found)| format!("<a href=\"{}\">{}</a>", escape(address), escape(found)));
        let links = links.collect::<Vec<_>>().join(", ");
        let more = if places.len() > shown { format!(" and {} more", places.len() - shown) } else { String::new() };
        text.push_str(&format!("<div><dt>{name}</dt><dd>{links}{more}</dd></div>\n"));
    }
    let row = letters.iter().map(|(letter, _)| format!("<li><a href=\"#{0}\">{letter}</a></li>", id(letter)));
    let parts = letters
        .iter()
        .map(|(letter, text)| format!("<h2 id=\"{}\">{letter}</h2>\n<dl class=\"terms\">\n{text}</dl>\n", id(letter)));
    format!(
        "<h1>Index</h1>\n<p>{} words: headings, and of the reference every key, code, metric, command and option. The browser’s own search \
         (Ctrl F) finds any of them on this page.</p>\n<nav class=\"letters\" aria-label=\"Letters\"><ul>{}</ul></nav>\n{}",
        entries.len(),
        row.collect::<String>(),
        parts.collect::<String>()
    )
}

fn id(letter: &str) -> String {
    if letter.len() == 1 { letter.to_lowercase() } else { "numbers".to_owned() }
}

/// A term as somebody would look for it: a command without the program's name, an address before its method, a step without its number.
fn spoken(source: &str, name: &str) -> String {
    if let Some(command) = name.strip_prefix("tendon ").filter(|_| source.ends_with("/commands.md")) {
        return command.to_owned();
    }
    if let Some((method, path)) = name.split_once(' ').filter(|(_, path)| path.starts_with('/')) {
        return format!("{path} ({method})");
    }
    let step = name.split_once(". ").filter(|(number, _)| number.chars().all(|c| c.is_ascii_digit()));
    step.map_or(name, |(_, words)| words).to_owned()
}

/// What it is sorted by: letters and digits, whatever case and whatever stands before them.
fn key(name: &str) -> String {
    let letters = |c: char| c.is_alphanumeric();
    name.trim_start_matches(|c| !letters(c)).to_lowercase().replace(|c| !letters(c), " ")
}

/// The options that a command's help explains.
pub(super) fn options(help: &str) -> impl Iterator<Item = &str> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    lines.filter_map(|line| {
        let at = line.find("--")?;
        let word = &line[at..];
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(word.len());
        // `--help` and `--version` say of themselves all there is.
        Some(&word[..end]).filter(|word| word.len() > 2 && !matches!(*word, "--help" | "--version"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(name: &str, code: bool, id: &str, below: &str) -> Term {
        Term { name: name.to_owned(), code, id: id.to_owned(), below: below.to_owned() }
    }

    #[test]
    fn terms_stand_in_order_with_all_their_places() {
        let page_of =
            |title: &str, terms: Vec<Term>| Rendered { title: title.to_owned(), terms, ..Rendered::default() };
        let sources = ["docs/a.md", "docs/reference/commands.md"].map(str::to_owned);
        let many = (0..20).map(|at| term("--all", true, &format!("c{at}"), &format!("tendon c{at}")));
        let commands = many.chain([term("tendon keys", true, "tendon-keys", ""), term("ttl", true, "x.ttl", "Cache")]);
        let pages = BTreeMap::from([
            (
                sources[0].clone(),
                page_of("A <b>", vec![term("2. Ttl", false, "2-ttl", ""), term("404 Not Found", false, "n", "")]),
            ),
            (sources[1].clone(), page_of("Commands", commands.collect())),
        ]);
        let body = page(&pages, &sources).body;
        let at = |text: &str| body.find(text).unwrap_or_else(|| panic!("{text}\n{body}"));
        assert!(
            at("404 Not Found") < at("--all")
                && at("--all") < at("<code>keys</code>")
                && at("<code>keys</code>") < at("Ttl")
        );
        at("<dd><a href=\"../docs/reference/commands.html#c0\">Commands: tendon c0</a> and 19 more</dd>");
        at("<dt>Ttl</dt><dd><a href=\"../docs/a.html#2-ttl\">A &lt;b&gt;</a></dd>");
        at("<dt><code>ttl</code></dt><dd><a href=\"../docs/reference/commands.html#x.ttl\">Commands: Cache</a></dd>");
        at("<li><a href=\"#numbers\">0–9</a></li><li><a href=\"#a\">A</a></li>");
    }

    #[test]
    fn options_are_read_from_the_help_and_nothing_else_of_it() {
        let help = "Usage: tendon up [OPTIONS]\n\nOptions:\n      --dry-run\n          Says --not this\n  -h, --help\n  -l, --limit <N>\n";
        assert_eq!(options(help).collect::<Vec<_>>(), ["--dry-run", "--limit"]);
        assert_eq!(spoken("docs/reference/http.md", "GET /v1/decisions/{id}"), "/v1/decisions/{id} (GET)");
        assert_eq!(key("--Dry-run"), "dry run");
    }
}
