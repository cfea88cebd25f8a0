//! Where a link of a page leads: to another page, to a file that is no page, or out of the site.

use super::Source;
use crate::run::root;

/// What a link is on the site.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Somebody else's address: only followed by who clicks it.
    Away,
    /// A page and maybe a heading of it, and the address from where the link stands.
    Page { source: Source, anchor: Option<String>, address: String },
    /// A file that whoever reads the page may want to have: the site holds it.
    Copy { path: String, address: String },
    /// Something in the repository that is no page: shown by its path, for the site does not hold it.
    File(String),
}

/// Where on the site a page of the repository stands.
pub(super) fn place(source: &str) -> String {
    let stem = source.strip_suffix(".md").unwrap_or(source);
    let stem = match stem.strip_suffix("README") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => format!("{folder}index"),
        _ => stem.to_owned(),
    };
    format!("{stem}.html")
}

/// The address of a heading, as forges make it, so that a link works on both.
pub(in crate::docs) fn slug(title: &str) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The way from one place of the site to another.
pub(super) fn way(from: &str, to: &str) -> String {
    format!("{}{to}", "../".repeat(from.matches('/').count()))
}

/// The path in the repository, and the heading, that a link without a scheme names.
pub(super) fn inside(source: &str, link: &str) -> Option<(String, Option<String>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (link, None),
    };
    if path.is_empty() {
        return Some((source.to_owned(), anchor));
    }
    let folder = source.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some((parts.join("/"), anchor))
}

/// What the link of a page is, or why it is none.
pub(super) fn resolve(source: &str, link: &str, sources: &[Source]) -> Result<Link, String> {
    let Some((path, anchor)) = inside(source, link) else {
        return Ok(Link::Away);
    };
    let readme = if path.is_empty() { "README.md".to_owned() } else { format!("{path}/README.md") };
    if let Some(page) = sources.iter().find(|page| **page == path || **page == readme) {
        let mut address = way(&place(source), &place(page));
        if let Some(anchor) = &anchor {
            address = if page == source { format!("#{anchor}") } else { format!("{address}#{anchor}") };
        }
        return Ok(Link::Page { source: page.clone(), anchor, address });
    }
    if !root().join(&path).exists() {
        return Err(format!("{source}: {link} leads nowhere"));
    }
    if path.ends_with(".md") {
        return Err(format!("{source}: {path} is no page of the site; give it a line in {}", super::groups::INDEX));
    }
    if root().join(&path).is_file() && (path.starts_with("docs/") || path.ends_with(".proto")) {
        return Ok(Link::Copy { address: way(&place(source), &path), path });
    }
    Ok(Link::File(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_ways() {
        assert_eq!(place("README.md"), "index.html");
        assert_eq!(place("docs/README.md"), "docs/index.html");
        assert_eq!(place("docs/NOREADME.md"), "docs/NOREADME.html");
        assert_eq!(way("docs/reference/a.html", "index.html"), "../../index.html");
    }

    #[test]
    fn a_link_is_a_page_a_file_somewhere_else_or_dead() {
        let sources = ["README.md", "ARCHITECTURE.md", "docs/README.md", "docs/backup.md"].map(str::to_owned);
        let at = |link: &str| resolve("docs/backup.md", link, &sources);
        let page = |source: &str, anchor: Option<&str>, address: &str| {
            Ok(Link::Page { source: source.to_owned(), anchor: anchor.map(str::to_owned), address: address.to_owned() })
        };
        assert_eq!(at("https://example.org/x.md#y"), Ok(Link::Away));
        assert_eq!(at("#restore"), page("docs/backup.md", Some("restore"), "#restore"));
        assert_eq!(at("../ARCHITECTURE.md#x"), page("ARCHITECTURE.md", Some("x"), "../ARCHITECTURE.html#x"));
        assert_eq!(at("../docs"), page("docs/README.md", None, "../docs/index.html"));
        assert_eq!(at(".."), page("README.md", None, "../index.html"));
        assert_eq!(at("../bench/peers"), Ok(Link::File("bench/peers".to_owned())));
        let copy = Link::Copy {
            path: "docs/reference/openapi.json".to_owned(),
            address: "../docs/reference/openapi.json".to_owned(),
        };
        assert_eq!(at("reference/openapi.json"), Ok(copy));
        assert!(at("gone.md").is_err_and(|said| said.contains("leads nowhere")));
        assert!(at("../CONTRIBUTING.md").is_err_and(|said| said.contains("no page of the site")));
    }
}
