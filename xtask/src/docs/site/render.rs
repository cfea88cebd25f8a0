//! One page of Markdown as the inside of an HTML page. `pulldown-cmark` writes the plain parts; headings, links, images, tables and
//! code are written here, because they need an address, a check, a size or a box of their own to scroll in.

use std::collections::BTreeSet;

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::{
    Source,
    frame::escape,
    links::{self, Link, slug},
    terms::{self, Term},
};
use crate::run::root;

/// A page, rendered, and what the others and the frame need to know of it.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) title: String,
    pub(super) body: String,
    /// Headings below the title: how deep, their address and their text.
    pub(super) headings: Vec<(usize, String, String)>,
    pub(super) ids: BTreeSet<String>,
    /// Headings of pages that this one links to.
    pub(super) anchors: Vec<(Source, String)>,
    /// Pictures that it shows and files that it gives away, by their path in the repository.
    pub(super) files: Vec<String>,
    /// What the index of the site names of it.
    pub(super) terms: Vec<Term>,
}

/// A line of code that is longer than this is wider than a phone.
const NARROW: usize = 34;

/// Renders the page; the error names everything that is wrong with it.
pub(super) fn render(source: &str, text: &str, sources: &[Source]) -> Result<Rendered, Vec<String>> {
    let mut writer = Writer { source, sources, page: Rendered::default(), wrong: Vec::new(), open: Vec::new() };
    let mut events = Vec::new();
    let mut parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    while let Some(event) = parser.next() {
        writer.write(event, &mut parser, &mut events);
    }
    html::push_html(&mut writer.page.body, events.into_iter());
    if writer.page.title.is_empty() {
        writer.wrong.push(format!("{source} has no title"));
    }
    if writer.wrong.is_empty() { Ok(writer.page) } else { Err(writer.wrong) }
}

struct Writer<'a> {
    source: &'a str,
    sources: &'a [Source],
    page: Rendered,
    wrong: Vec<String>,
    /// How each open link ends.
    open: Vec<&'static str>,
}

impl<'a> Writer<'a> {
    fn write(&mut self, event: Event<'a>, rest: &mut Parser<'a>, events: &mut Vec<Event<'a>>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let inner = until(rest, |end| matches!(end, TagEnd::Heading(_)));
                events.push(raw(self.heading(level, inner)));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let inner = until(rest, |end| matches!(end, TagEnd::CodeBlock));
                let language = match &kind {
                    CodeBlockKind::Fenced(name) => name,
                    CodeBlockKind::Indented => "",
                };
                let text = plain(&inner);
                if self.source.ends_with("/commands.md") {
                    terms::options(&text).for_each(|option| self.term(option, None));
                }
                events.push(raw(code(language, &text)));
            }
            Event::Start(Tag::Table(alignments)) => {
                let inner = until(rest, |end| matches!(end, TagEnd::Table));
                let table = self.table(&alignments, inner);
                events.push(raw(table));
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                let inner = until(rest, |end| matches!(end, TagEnd::Image));
                let image = self.image(&dest_url, &plain(&inner));
                events.push(raw(image));
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                let begin = self.link(&dest_url);
                events.push(raw(begin));
            }
            Event::End(TagEnd::Link) => events.push(raw(self.open.pop().unwrap_or_default().to_owned())),
            Event::Start(Tag::HtmlBlock) => {
                let inner = until(rest, |end| matches!(end, TagEnd::HtmlBlock));
                self.html(&plain(&inner));
            }
            Event::Html(text) | Event::InlineHtml(text) => self.html(&text),
            other => events.push(other),
        }
    }

    /// Renders events that stand inside of something written here.
    fn inner(&mut self, inner: Vec<Event<'a>>) -> String {
        let mut none = Parser::new("");
        let mut events = Vec::new();
        for event in inner {
            self.write(event, &mut none, &mut events);
        }
        let mut text = String::new();
        html::push_html(&mut text, events.into_iter());
        text
    }

    fn heading(&mut self, level: HeadingLevel, inner: Vec<Event<'a>>) -> String {
        let title = plain(&inner);
        let inside = self.inner(inner);
        if level == HeadingLevel::H1 {
            if !self.page.title.is_empty() {
                self.wrong.push(format!("{} has two titles", self.source));
            }
            self.page.terms.push(Term { name: title.clone(), code: false, id: String::new(), below: String::new() });
            self.page.title = title;
            return format!("<h1>{inside}</h1>\n");
        }
        let id = self.id(&title);
        let name = escape(&title);
        let depth = level as usize;
        let code = inside.starts_with("<code>") && inside.ends_with("</code>");
        self.page.terms.push(Term { name: title.clone(), code, id: id.clone(), below: String::new() });
        self.page.headings.push((depth, id.clone(), title));
        format!(
            "<h{depth} id=\"{id}\">{inside} <a class=\"anchor\" href=\"#{id}\" aria-label=\"Link to “{name}”\">#</a></h{depth}>\n"
        )
    }

    /// A comment is for whoever reads the source; other HTML would bypass all that is checked here.
    fn html(&mut self, text: &str) {
        let text = text.trim();
        if !(text.starts_with("<!--") && text.ends_with("-->")) {
            self.wrong.push(format!("{}: HTML is not taken: {text}", self.source));
        }
    }

    /// The address of a heading: of a second one of the same name with a number.
    fn id(&mut self, title: &str) -> String {
        let slug = slug(title);
        let mut id = slug.clone();
        let mut number = 0;
        while !self.page.ids.insert(id.clone()) {
            number += 1;
            id = format!("{slug}-{number}");
        }
        id
    }

    /// Makes a term of a table's row; gives its address, which no heading can have.
    fn row(&mut self, term: &str) -> String {
        let above = self.page.headings.last().map_or("", |(_, id, _)| id);
        let kept: String = term.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
        let plain = format!("{above}.{kept}");
        let again = (1..).map(|number| format!("{plain}.{number}"));
        let free = std::iter::once(plain.clone()).chain(again).find(|id| !self.page.ids.contains(id));
        let id = free.unwrap_or(plain);
        self.page.ids.insert(id.clone());
        // What stands inside of something else is found with it.
        if !term.contains(['.', '[', '/']) {
            self.term(term, Some(id.clone()));
        }
        id
    }

    fn term(&mut self, name: &str, id: Option<String>) {
        let above = self.page.headings.last();
        let (heading, below) =
            above.map_or((String::new(), String::new()), |(_, id, title)| (id.clone(), title.clone()));
        self.page.terms.push(Term { name: name.to_owned(), code: true, id: id.unwrap_or(heading), below });
    }

    fn link(&mut self, to: &str) -> String {
        let (begin, end) = match links::resolve(self.source, to, self.sources) {
            Ok(Link::Away) => (format!("<a href=\"{}\" rel=\"noreferrer\">", escape(to)), "</a>"),
            Ok(Link::Page { source, anchor, address }) => {
                self.page.anchors.extend(anchor.map(|anchor| (source, anchor)));
                (format!("<a href=\"{}\">", escape(&address)), "</a>")
            }
            Ok(Link::Copy { path, address }) => {
                self.page.files.push(path);
                (format!("<a href=\"{}\" download>", escape(&address)), "</a>")
            }
            Ok(Link::File(path)) => {
                (format!("<span class=\"file\" title=\"{} in the repository\">", escape(&path)), "</span>")
            }
            Err(wrong) => {
                self.wrong.push(wrong);
                (String::new(), "")
            }
        };
        self.open.push(end);
        begin
    }

    fn image(&mut self, to: &str, words: &str) -> String {
        let path = links::inside(self.source, to).map(|(path, _)| path).unwrap_or_default();
        let size = std::fs::read(root().join(&path)).ok().and_then(|bytes| size(&bytes));
        let (Some((width, height)), false) = (size, words.is_empty()) else {
            self.wrong.push(format!(
                "{}: the picture {to} has to be a PNG of the repository, with words for who cannot see it",
                self.source
            ));
            return String::new();
        };
        let address = links::way(&links::place(self.source), &path);
        self.page.files.push(path);
        format!(
            "<img src=\"{address}\" alt=\"{}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\">",
            escape(words)
        )
    }

    /// A table in a box of its own, which scrolls where it is wider than the page.
    fn table(&mut self, alignments: &[Alignment], inner: Vec<Event<'a>>) -> String {
        let place = self.page.headings.last().map_or(&self.page.title, |(_, _, title)| title);
        // Where many columns share a phone, each gets a readable width and the box scrolls.
        let many = if alignments.len() > 2 { " many" } else { "" };
        let mut text = format!(
            "<div class=\"scroll{many}\" role=\"region\" tabindex=\"0\" aria-label=\"Table: {}\"><table>",
            escape(place)
        );
        let (mut cell, mut column, mut head) = (Vec::new(), 0, false);
        let looked_up = self.source.starts_with("docs/reference/");
        for event in inner {
            match event {
                Event::Start(Tag::TableHead) => {
                    head = true;
                    text.push_str("<thead><tr>");
                }
                Event::End(TagEnd::TableHead) => {
                    (head, column) = (false, 0);
                    text.push_str("</tr></thead><tbody>\n");
                }
                // The row is begun with its first cell, which may be a term and gives it an address.
                Event::Start(Tag::TableRow) => {}
                Event::End(TagEnd::TableRow) => {
                    column = 0;
                    text.push_str("</tr>\n");
                }
                Event::Start(Tag::TableCell) => cell.clear(),
                Event::End(TagEnd::TableCell) => {
                    if column == 0 && !head {
                        let term = single(&cell).filter(|_| looked_up).map(str::to_owned);
                        let id = term.map(|term| self.row(&term));
                        text.push_str(&id.map_or("<tr>".to_owned(), |id| format!("<tr id=\"{id}\">")));
                    }
                    let inside = self.inner(std::mem::take(&mut cell));
                    // An empty cell above is no heading of anything.
                    let tag = if head && !inside.is_empty() { "th" } else { "td" };
                    let right = matches!(alignments.get(column), Some(Alignment::Right));
                    let class = if right { " class=\"number\"" } else { "" };
                    text.push_str(&format!("<{tag}{class}>{inside}</{tag}>"));
                    column += 1;
                }
                other => cell.push(other),
            }
        }
        text.push_str("</tbody></table></div>\n");
        text
    }
}

/// The code that a cell consists of, maybe as a link.
fn single<'b>(cell: &'b [Event<'_>]) -> Option<&'b str> {
    match cell {
        [Event::Code(term)] | [Event::Start(Tag::Link { .. }), Event::Code(term), Event::End(TagEnd::Link)] => {
            Some(term)
        }
        _ => None,
    }
}

/// The events up to the end that fits.
fn until<'a>(rest: &mut Parser<'a>, end: impl Fn(&TagEnd) -> bool) -> Vec<Event<'a>> {
    rest.by_ref().take_while(|event| !matches!(event, Event::End(tag) if end(tag))).collect()
}

fn raw<'a>(text: String) -> Event<'a> {
    Event::InlineHtml(CowStr::from(text))
}

/// The words without their marks.
fn plain(events: &[Event<'_>]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::Text(part) | Event::Code(part) | Event::Html(part) => text.push_str(part),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    text
}

/// Code, its comments in a softer ink. Where it may be wider than the page it can be scrolled by keyboard.
fn code(language: &str, text: &str) -> String {
    let wide = text.lines().any(|line| line.chars().count() > NARROW);
    let reach = if wide { " tabindex=\"0\"" } else { "" };
    // What is said is told apart from what is typed.
    let said = if language == "text" { " class=\"said\"" } else { "" };
    let commented = matches!(language, "sh" | "yaml" | "python");
    let mut inside = String::new();
    for line in text.lines() {
        let at = if commented { comment(line) } else { None };
        let (before, after) = line.split_at(at.unwrap_or(line.len()));
        inside.push_str(&escape(before));
        if !after.is_empty() {
            inside.push_str(&format!("<span class=\"comment\">{}</span>", escape(after)));
        }
        inside.push('\n');
    }
    format!("<pre{said}{reach}><code>{inside}</code></pre>\n")
}

/// Where the comment of a line begins: at a `#` outside of quotes, at the beginning or after a space.
fn comment(line: &str) -> Option<usize> {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before == ' ' => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    None
}

/// Width and height of a PNG: its first chunk.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    bytes.starts_with(b"\x89PNG").then_some(())?;
    Some((number(16)?, number(20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Rendered {
        let sources = ["README.md".to_owned(), "docs/backup.md".to_owned()];
        render("README.md", text, &sources).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    #[test]
    fn headings_have_the_addresses_that_forges_give_them() {
        let page = page("# T\n\n## What's `a-b_c`, then?\n\n## Same\n\n## Same\n");
        let ids: Vec<&str> = page.headings.iter().map(|(_, id, _)| id.as_str()).collect();
        assert_eq!((page.title.as_str(), ids), ("T", vec!["whats-a-b_c-then", "same", "same-1"]));
        assert!(page.body.contains("<h2 id=\"same-1\">Same <a"), "{}", page.body);
    }

    #[test]
    fn tables_scroll_and_numbers_stand_to_the_right() {
        let page = page("# T\n\n| a | |\n|---|---:|\n| [x](docs/backup.md#restore) | `1 < 2` |\n");
        assert!(page.body.contains("<th>a</th><td class=\"number\"></td>"), "{}", page.body);
        assert!(page.body.contains("<td><a href=\"docs/backup.html#restore\">x</a></td>"), "{}", page.body);
        assert!(page.body.contains("<td class=\"number\"><code>1 &lt; 2</code></td>"), "{}", page.body);
        assert_eq!(page.anchors, [("docs/backup.md".to_owned(), "restore".to_owned())]);
    }

    #[test]
    fn code_is_text_and_its_comments_are_marked() {
        let page = page("# T\n\n<!-- not run: no -->\n```sh\necho \"# <b>\" # why\n```\n");
        let wanted = "<pre><code>echo &quot;# &lt;b&gt;&quot; <span class=\"comment\"># why</span>\n</code></pre>";
        assert!(page.body.contains(wanted) && !page.body.contains("not run"), "{}", page.body);
    }

    #[test]
    fn what_is_wrong_is_named_all_at_once() {
        let wrong = render("README.md", "## T\n\n<b>x</b> [a](gone.md) ![](docs/console/overview-light.png)\n", &[]);
        let said = wrong.err().unwrap_or_default().join("\n");
        for word in ["HTML is not taken: <b>", "gone.md leads nowhere", "the picture", "no title"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
