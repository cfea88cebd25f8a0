//! Text → tree. Limits keep hostile files small; anchors, aliases and tags are refused: a configuration needs none, and
//! without them a file means what it shows.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Entry, Kind, Node, Scalar, word};
use crate::finding::{Findings, Mark, plain};

/// Largest file in bytes.
const LARGEST: usize = 1 << 20;
/// Most nodes in a file.
const MOST_NODES: usize = 50_000;
/// Deepest nesting.
const DEEPEST: usize = 32;

/// Parses one document. `None` when it cannot be read; the findings say why.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let start = Mark { line: 1, column: 1 };
    if text.len() > LARGEST {
        findings.add(start, "file_too_large", format!("the file is larger than {LARGEST} bytes"), plain);
        return None;
    }
    let end = end(text);
    let mut builder = Builder { end, findings, open: Vec::new(), root: None, nodes: 0, documents: 0, failed: false };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let mark = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1 }.min(end);
                let message = format!("the file is no YAML: {}", error.info());
                builder.findings.add(mark, "yaml_syntax", message, plain);
                return None;
            }
        }
        if builder.failed {
            return None;
        }
    }
    let Builder { root, findings, .. } = builder;
    if root.is_none() {
        findings.add(start, "empty_file", "the file is empty", plain);
    }
    root
}

/// The end of a text, with its lines as YAML counts them.
fn end(text: &str) -> Mark {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (last, line) = text.split('\n').enumerate().last().unwrap_or((0, ""));
    Mark { line: last + 1, column: line.chars().count() + 1 }
}

enum Open {
    List(Mark, Vec<Node>),
    Map(Mark, Vec<Entry>, Option<(String, Mark)>),
}

struct Builder<'a> {
    /// What is missing at the end of the text is missed on a line behind its last one; nobody finds that line.
    end: Mark,
    findings: &'a mut Findings,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
    failed: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) {
        let mark = Mark { line: span.start.line().max(1), column: span.start.col() + 1 }.min(self.end);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.fail(mark, "many_documents", "the file holds more than one document");
                }
            }
            Event::Alias(_) => self.fail(mark, "alias_refused", "aliases (*name) are not taken: write the value out"),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(mark, anchor, tag.is_some());
                let scalar = scalar(&text, style, &span);
                self.push(Node { mark, kind: Kind::Scalar(scalar) });
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(mark, anchor, tag.is_some());
                self.enter(mark, Open::List(mark, Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(mark, anchor, tag.is_some());
                self.enter(mark, Open::Map(mark, Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(mark, items)) => self.push(Node { mark, kind: Kind::List(items) }),
                Some(Open::Map(mark, entries, _)) => self.push(Node { mark, kind: Kind::Map(entries) }),
                None => {}
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn fail(&mut self, mark: Mark, code: &'static str, message: &str) {
        self.findings.add(mark, code, message, plain);
        self.failed = true;
    }

    fn refuse(&mut self, mark: Mark, anchor: usize, tag: bool) {
        if anchor != 0 {
            self.fail(mark, "alias_refused", "anchors (&name) are not taken: write the value out");
        } else if tag {
            self.fail(mark, "tag_refused", "tags (!name) are not taken");
        }
    }

    fn enter(&mut self, mark: Mark, open: Open) {
        self.open.push(open);
        if self.open.len() > DEEPEST {
            self.fail(mark, "file_too_deep", &format!("the file nests deeper than {DEEPEST} levels"));
        }
    }

    fn push(&mut self, node: Node) {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            self.fail(node.mark, "file_too_large", &format!("the file has more than {MOST_NODES} values"));
            return;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some((name, mark)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == name) {
                        let message = format!("{} stands twice; first on line {}", word(&name), first.mark.line);
                        self.findings.add(mark, "duplicate_key", message, plain);
                    } else {
                        entries.push(Entry { key: name, mark, value: node });
                    }
                }
                None => match node.kind {
                    Kind::Scalar(scalar) => *key = Some((scalar.text, node.mark)),
                    _ => self.fail(node.mark, "yaml_syntax", "a key must be a plain text"),
                },
            },
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, span: &Span) -> Scalar {
    let one_line = span.start.line() == span.end.line();
    let lead = match style {
        ScalarStyle::Plain if one_line => Some(0),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if one_line => Some(1),
        _ => None,
    };
    Scalar { text: text.to_owned(), plain: style == ScalarStyle::Plain, lead }
}
