//! What leads through the site: `docs/README.md`, a page like any other. Its headings are the groups, its lists name their pages, and
//! the navigation is made of nothing else. So whoever reads the folder without the site has the same order.

use std::fs;

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{Source, links};
use crate::run::root;

/// The page of all pages.
pub(super) const INDEX: &str = "docs/README.md";

/// A heading of the index, and the pages that its lists name: their sources and their names in the navigation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) pages: Vec<(Source, String)>,
}

/// Reads the index.
pub(super) fn groups() -> Result<Vec<Group>, String> {
    let text = fs::read_to_string(root().join(INDEX)).map_err(|error| format!("{INDEX} could not be read: {error}"))?;
    let groups = read(&text);
    if groups.is_empty() { Err(format!("{INDEX} names no page")) } else { Ok(groups) }
}

fn read(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // What the next text belongs to: a heading, or the page that a link leads to.
    let (mut heading, mut link) = (false, None);
    let mut said = String::new();
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => heading = true,
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => {
                heading = false;
                groups.push(Group { title: std::mem::take(&mut said), pages: Vec::new() });
            }
            Event::Start(Tag::Link { dest_url, .. }) => link = links::inside(INDEX, &dest_url),
            Event::End(TagEnd::Link) => {
                if let (Some((source, _)), Some(group)) = (link.take(), groups.last_mut())
                    && source.ends_with(".md")
                {
                    group.pages.push((source, said.clone()));
                }
                said.clear();
            }
            Event::Text(text) | Event::Code(text) if heading || link.is_some() => said.push_str(&text),
            _ => {}
        }
    }
    groups.retain(|group| !group.pages.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_groups_and_links_their_pages() {
        let text = "# All\n\n[no](group.md)\n\n## First\n\n- [One `x`](one.md): words\n- [Up](../TWO.md)\n- [out](https://a.example)\n\n## Empty\n";
        let page = |source: &str, name: &str| (source.to_owned(), name.to_owned());
        let pages = vec![page("docs/one.md", "One x"), page("TWO.md", "Up")];
        assert_eq!(read(text), [Group { title: "First".to_owned(), pages }]);
    }
}
