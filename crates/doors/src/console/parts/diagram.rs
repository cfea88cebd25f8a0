//! A diagram of three columns, drawn here as SVG: boxes that link to pages, and arrows between neighbours. How a box does is told
//! by colour, by the shape of its mark and in a word; whoever does not see it reads the table beside it.

use maud::{Markup, html};

use super::Tone;

/// Sizes, in the drawing's own units.
const BOX: (usize, usize) = (208, 56);
const GAP: usize = 24;
const TOP: usize = 36;
const COLUMNS: [usize; 3] = [8, 328, 648];
const WIDTH: usize = 864;
/// Letters that fit into a box.
const NAME: usize = 22;
const WORDS: usize = 28;

/// A box.
pub(in crate::console) struct Node {
    /// What it is called.
    pub(in crate::console) name: String,
    /// What it is, in a word or two.
    pub(in crate::console) kind: String,
    /// Where it links to; nothing: nowhere.
    pub(in crate::console) to: Option<String>,
    /// How it does; nothing: nobody knows.
    pub(in crate::console) state: Option<(Tone, &'static str)>,
}

/// What an arrow means; it points to where something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::console) enum Way {
    /// From the box on the left to the one on the right.
    Right,
    /// Back, from the one on the right.
    Left,
}

/// An arrow between boxes of neighbouring columns.
pub(in crate::console) struct Arrow {
    /// Column of the box on the left, 0 or 1.
    pub(in crate::console) column: usize,
    /// Which box of that column, and of the next one.
    pub(in crate::console) ends: (usize, usize),
    /// Where it points.
    pub(in crate::console) way: Way,
}

/// What is drawn.
pub(in crate::console) struct Diagram {
    /// What it shows, in a sentence.
    pub(in crate::console) words: String,
    /// Names of the columns.
    pub(in crate::console) titles: [&'static str; 3],
    /// The boxes of each.
    pub(in crate::console) columns: [Vec<Node>; 3],
    /// The arrows.
    pub(in crate::console) arrows: Vec<Arrow>,
}

/// An arrow's class and the places where it begins and ends.
type Line = (&'static str, (usize, usize), (usize, usize));

impl Diagram {
    /// The drawing.
    pub(in crate::console) fn draw(&self) -> Markup {
        let height = TOP + self.rows() * (BOX.1 + GAP);
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="group" aria-label=(self.words) {
                @for (at, title) in self.titles.iter().enumerate() {
                    text.column x=(left(at)) y="16" { (title) }
                }
                @for (class, from, to) in self.lines() { (line(class, from, to)) }
                @for (column, nodes) in self.columns.iter().enumerate() {
                    @for (at, node) in nodes.iter().enumerate() { (boxed(node, left(column), self.top(column, at))) }
                }
            }
        }
    }

    fn rows(&self) -> usize {
        self.columns.iter().map(Vec::len).max().unwrap_or_default()
    }

    /// Upper edge of a box; shorter columns stand in the middle.
    fn top(&self, column: usize, at: usize) -> usize {
        let own = self.columns.get(column).map_or(0, Vec::len);
        TOP + (self.rows() - own) * (BOX.1 + GAP) / 2 + at * (BOX.1 + GAP)
    }

    /// Every arrow, with ports of its own: no two meet at an edge of a box.
    fn lines(&self) -> Vec<Line> {
        let port = |column: usize, own: usize, arrow: &Arrow, right: bool| {
            let (mine, other) = if right { (arrow.ends.0, arrow.ends.1) } else { (arrow.ends.1, arrow.ends.0) };
            let here = |one: &&Arrow| {
                one.column == arrow.column && if right { one.ends.0 == mine } else { one.ends.1 == mine }
            };
            // In the order of their other ends, so that arrows of one box do not cross.
            let key = |one: &Arrow| (if right { one.ends.1 } else { one.ends.0 }, one.way == Way::Left);
            let before =
                self.arrows.iter().filter(here).filter(|one| key(one) < (other, arrow.way == Way::Left)).count();
            let all = self.arrows.iter().filter(here).count();
            let x = left(column) + if right { BOX.0 } else { 0 };
            (x, self.top(column, own) + BOX.1 * (before + 1) / (all + 1))
        };
        let lines = self.arrows.iter().map(|arrow| {
            let from = port(arrow.column, arrow.ends.0, arrow, true);
            let to = port(arrow.column + 1, arrow.ends.1, arrow, false);
            match (arrow.way, arrow.column) {
                (Way::Right, 0) => ("read", from, to),
                (Way::Right, _) => ("asks", from, to),
                (Way::Left, _) => ("write", to, from),
            }
        });
        lines.collect()
    }
}

fn left(column: usize) -> usize {
    COLUMNS.get(column).copied().unwrap_or_default()
}

/// A curve that begins and ends level, and its head.
fn line(class: &str, (x, y): (usize, usize), (to_x, to_y): (usize, usize)) -> Markup {
    let forth = to_x > x;
    let (end, head) = if forth { (to_x - 8, to_x - 9) } else { (to_x + 8, to_x + 9) };
    let middle = usize::midpoint(x, to_x);
    html! {
        path class={ "way " (class) } d={ "M" (x) " " (y) "C" (middle) " " (y) " " (middle) " " (to_y) " " (end) " " (to_y) } {}
        path class={ "tip " (class) } d={ "M" (to_x) " " (to_y) "L" (head) " " (to_y - 5) "V" (to_y + 5) "Z" } {}
    }
}

fn boxed(node: &Node, x: usize, y: usize) -> Markup {
    let class = match node.state {
        Some((Tone::Good, _)) => "node good",
        Some((Tone::Warn, _)) => "node warn",
        Some((Tone::Bad, _)) => "node bad",
        Some((Tone::Calm, _)) | None => "node",
    };
    let words = node.state.map_or_else(|| node.kind.clone(), |(_, word)| format!("{word} · {}", node.kind));
    let inside = html! {
        title { (node.name) ": " (words) }
        rect x=(x) y=(y) width=(BOX.0) height=(BOX.1) rx="8" {}
        @match node.state {
            Some((Tone::Bad, _)) => rect.mark x=(x + 11) y=(y + 15) width="10" height="10" {},
            Some((Tone::Warn, _)) => path.mark d={ "M" (x + 16) " " (y + 13) "l7 7-7 7-7-7z" } {},
            Some(_) => circle.mark cx=(x + 16) cy=(y + 20) r="5" {},
            None => {},
        }
        text x=(x + 30) y=(y + 24) { (cut(&node.name, NAME)) }
        text.words x=(x + 30) y=(y + 43) { (cut(&words, WORDS)) }
    };
    html! {
        @match &node.to {
            Some(to) => a href=(to) class=(class) { (inside) },
            None => g class=(class) { (inside) },
        }
    }
}

/// As many letters as fit.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn node(name: &str) -> Node {
        Node { name: name.to_owned(), kind: "k".to_owned(), to: None, state: Some((Tone::Good, "Answers")) }
    }

    fn arrow(column: usize, ends: (usize, usize), way: Way) -> Arrow {
        Arrow { column, ends, way }
    }

    #[test]
    fn arrows_end_at_edges_of_their_boxes_and_share_no_place() {
        let names = |count: usize| (0..count).map(|at| node(&at.to_string())).collect::<Vec<_>>();
        let mut arrows = Vec::new();
        for at in 0..5 {
            arrows.push(arrow(0, (at % 2, at), Way::Right));
            arrows.push(arrow(0, (at % 2, at), Way::Left));
            arrows.push(arrow(1, (at, 0), Way::Right));
        }
        let diagram =
            Diagram { words: String::new(), titles: ["a", "b", "c"], columns: [names(2), names(5), names(1)], arrows };
        let lines = diagram.lines();
        let ends: BTreeSet<_> = lines.iter().flat_map(|(_, from, to)| [*from, *to]).collect();
        assert_eq!(ends.len(), 2 * lines.len(), "two arrows meet");
        for (arrow, (_, from, to)) in diagram.arrows.iter().zip(&lines) {
            let (from, to) = if arrow.way == Way::Right { (from, to) } else { (to, from) };
            for ((x, y), column, at) in [(from, arrow.column, arrow.ends.0), (to, arrow.column + 1, arrow.ends.1)] {
                let (edge, top) =
                    (left(column) + if column == arrow.column { BOX.0 } else { 0 }, diagram.top(column, at));
                assert!(*x == edge && (top..=top + BOX.1).contains(y), "{x} {y} is no edge of {column}/{at}");
            }
        }
    }

    #[test]
    fn names_are_text_and_fit_and_states_have_shapes() {
        let mut diagram = Diagram {
            words: "a \"map\"".to_owned(),
            titles: ["a", "b", "c"],
            columns: [vec![node("<script>alert(1)</script>")], vec![node(&"n".repeat(23))], Vec::new()],
            arrows: vec![],
        };
        let drawn = diagram.draw().into_string();
        assert!(drawn.contains("&lt;script&gt;") && !drawn.contains("<script>"), "{drawn}");
        assert!(drawn.contains(&format!(">{}…<", "n".repeat(21))) && drawn.matches("<circle").count() == 2, "{drawn}");
        diagram.columns[0][0].state = Some((Tone::Bad, "Left alone"));
        assert!(diagram.draw().into_string().contains("<rect class=\"mark\""));
    }
}
