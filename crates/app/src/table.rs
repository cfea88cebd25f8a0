//! Tables that fit the window: texts are cut, then whole columns are left out, and no line ever wraps. Where there is no window
//! nothing is cut, so that `grep` finds what is there.

use unicode_width::UnicodeWidthStr as _;

use crate::screen::Screen;

/// Between two columns.
const GAP: usize = 2;
/// What a text is cut to at the most, before columns are left out.
const SHORTEST: usize = 8;

/// How something does, as a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Beside the point.
    Soft,
    /// A head.
    Head,
    /// Neither.
    #[default]
    Plain,
}

impl Tone {
    /// What begins each of them.
    const CODES: [(Self, &str); 5] = [
        (Self::Good, "\x1b[32m"),
        (Self::Warn, "\x1b[33m"),
        (Self::Bad, "\x1b[1;31m"),
        (Self::Soft, "\x1b[2m"),
        (Self::Head, "\x1b[1m"),
    ];
    /// What ends all of them.
    const END: &str = "\x1b[0m";

    /// The text in its colour, where there are colours.
    pub(crate) fn paint(self, text: &str, screen: Screen) -> String {
        let code = Self::CODES.iter().find(|(tone, _)| *tone == self);
        let code = code.filter(|_| screen.colours && !text.is_empty());
        code.map_or_else(|| text.to_owned(), |(_, begin)| format!("{begin}{text}{}", Self::END))
    }

    /// The code of a colour that a text begins with.
    pub(crate) fn code_at(text: &str) -> Option<&'static str> {
        Self::CODES.iter().map(|(_, code)| *code).chain([Self::END]).find(|code| text.starts_with(*code))
    }
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in a tone.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: harmless(&text.into()), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) head: &'static str,
    /// Whether its cells stand at the right and are never cut: a number that lost a digit is another number.
    pub(crate) number: bool,
    /// Whether its cells are not cut while they fit the window: a name that somebody has to type.
    whole: bool,
    /// Which columns are left out first: those with the highest rank.
    pub(crate) rank: u8,
}

impl Column {
    /// Texts.
    pub(crate) const fn text(head: &'static str, rank: u8) -> Self {
        Self { head, number: false, whole: false, rank }
    }

    /// Names to be typed or copied.
    pub(crate) const fn whole(head: &'static str, rank: u8) -> Self {
        Self { head, number: false, whole: true, rank }
    }

    /// Numbers.
    pub(crate) const fn number(head: &'static str, rank: u8) -> Self {
        Self { head, number: true, whole: false, rank }
    }
}

/// The table as lines.
pub(crate) fn table(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> String {
    let natural = |(at, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
        cells.chain([column.head.width()]).max().unwrap_or_default()
    };
    let natural: Vec<usize> = columns.iter().enumerate().map(natural).collect();
    let widths = match screen.width {
        Some(width) => fitted(columns, &natural, width),
        None => natural.into_iter().map(Some).collect(),
    };
    let last = widths.iter().rposition(Option::is_some);
    let line = |cells: &[Cell]| {
        let mut line = String::new();
        for (at, (column, width)) in columns.iter().zip(&widths).enumerate() {
            let Some(width) = *width else { continue };
            let (text, tone) = cells.get(at).map_or(("", Tone::Plain), |cell| (&cell.text, cell.tone));
            let text = cut(text, width);
            let pad = " ".repeat(width.saturating_sub(text.width()));
            let painted = tone.paint(&text, screen);
            match (column.number, last == Some(at)) {
                (true, _) => line.push_str(&format!("{pad}{painted}")),
                (false, true) => line.push_str(&painted),
                (false, false) => line.push_str(&format!("{painted}{pad}")),
            }
            if last != Some(at) {
                line.push_str(&" ".repeat(GAP));
            }
        }
        format!("{}\n", line.trim_end())
    };
    let head: Vec<Cell> = columns.iter().map(|column| Cell::new(column.head, Tone::Head)).collect();
    std::iter::once(&head).chain(rows).map(|cells| line(cells)).collect()
}

/// How wide each column is in a window; nothing: it is left out.
fn fitted(columns: &[Column], natural: &[usize], window: usize) -> Vec<Option<usize>> {
    let least = |at: usize| {
        let (column, natural) = (columns.get(at), natural.get(at).copied().unwrap_or_default());
        match column {
            Some(column) if column.number || column.whole => natural,
            // A head that is cut says nothing.
            Some(column) => natural.min(SHORTEST.max(column.head.width())),
            None => natural.min(SHORTEST),
        }
    };
    let all = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    while shown.len() > 1 && all(&shown.iter().map(|at| least(*at)).collect::<Vec<_>>()) > window {
        let rank = |place: &usize| shown.get(*place).and_then(|at| columns.get(*at)).map(|column| column.rank);
        let Some(place) = (0..shown.len()).max_by_key(rank) else { break };
        shown.remove(place);
    }
    let mut widths: Vec<usize> = shown.iter().filter_map(|at| natural.get(*at).copied()).collect();
    while all(&widths) > window {
        let too_much = all(&widths) - window;
        let room = |place: usize, width: usize| shown.get(place).map_or(0, |at| width.saturating_sub(least(*at)));
        // The widest first, of several the one behind: what comes first says what a row is about.
        let widest = widths.iter().copied().enumerate().filter(|(place, width)| room(*place, *width) > 0);
        let Some((place, width)) = widest.max_by_key(|(_, width)| *width) else { break };
        let next = widths.iter().copied().filter(|other| *other < width).max().unwrap_or_default();
        let step = (width - next).min(too_much).min(room(place, width)).max(1);
        // One column at a time to the width of the next, so that several long texts share what there is.
        let equals = widths.iter().filter(|other| **other == width).count();
        let step = if equals > 1 { 1 } else { step };
        if let Some(width) = widths.get_mut(place) {
            *width -= step;
        }
    }
    let mut fitted = vec![None; columns.len()];
    for (at, width) in shown.into_iter().zip(widths) {
        if let Some(place) = fitted.get_mut(at) {
            *place = Some(width.min(window));
        }
    }
    fitted
}

/// A text that takes no more columns than there are; `…` says that something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for letter in text.chars() {
        cut.push(letter);
        // Of the whole: a letter can be wider beside another one than alone, as those of a coloured sign are.
        if cut.width() >= width {
            cut.pop();
            break;
        }
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// A text in one line in which nothing steers the terminal: what a row or a server said may hold anything.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if steers(letter) { ' ' } else { letter }).collect()
}

/// Whether a letter is none but does something: controls, ends of lines, and what turns the direction of what stands behind it.
pub(crate) fn steers(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coloured_sign_is_as_wide_as_it_is_shown() {
        for text in ["⚠️⚠️⚠️ text", "1️⃣2️⃣3️⃣4️⃣", "❤️", "ab⚠️cd"] {
            for width in 0..8 {
                assert!(cut(text, width).width() <= width, "{text} in {width}: {}", cut(text, width));
            }
        }
        let row =
            ["⚠️⚠️⚠️⚠️⚠️ a reason that is long", "⚠️⚠️⚠️⚠️⚠️⚠️⚠️⚠️"].map(|text| Cell::new(text, Tone::Plain)).to_vec();
        let columns = [Column::text("first", 0), Column::text("second", 1)];
        for width in 1..60 {
            let screen = Screen { width: Some(width), ..Screen::default() };
            assert!(table(&columns, std::slice::from_ref(&row), screen).lines().all(|line| line.width() <= width));
        }
    }

    const COLUMNS: [Column; 4] =
        [Column::text("NAME", 0), Column::number("PER S", 1), Column::text("WHY", 2), Column::number("LETTERS", 3)];

    fn at(width: Option<usize>, rows: &[[&str; 4]]) -> String {
        let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.map(Cell::from).to_vec()).collect();
        table(&COLUMNS, &rows, Screen { width, ..Screen::default() })
    }

    const LONG: [&str; 4] = ["lead-score-of-the-north", "12,345", "the model took longer than it may take", "7"];

    #[test]
    fn without_a_window_nothing_is_cut() {
        let text = at(None, &[LONG]);
        assert_eq!(
            text,
            "NAME                      PER S  WHY                                     LETTERS\n\
             lead-score-of-the-north  12,345  the model took longer than it may take        7\n"
        );
    }

    #[test]
    fn texts_are_cut_before_columns_are_left_out_and_numbers_never() {
        assert_eq!(
            at(Some(50), &[LONG]),
            "NAME               PER S  WHY              LETTERS\n\
             lead-score-of-t…  12,345  the model took…        7\n"
        );
        assert_eq!(at(Some(30), &[LONG]), "NAME         PER S  WHY\nlead-scor…  12,345  the model…\n");
        assert_eq!(at(Some(12), &[LONG]), "NAME\nlead-score-…\n");
        assert_eq!(at(Some(3), &[LONG]), "NA…\nle…\n");
    }

    #[test]
    fn a_name_to_be_typed_is_whole_while_the_window_holds_it() {
        let columns = [Column::whole("ID", 0), Column::text("WHY", 1)];
        let row = ["01a21831-e9a4-7ef7-9a00-225632242e5a", "too late"].map(Cell::from).to_vec();
        for (width, shown) in [
            (46, "01a21831-e9a4-7ef7-9a00-225632242e5a  too late"),
            (45, "01a21831-e9a4-7ef7-9a00-225632242e5a"),
            (36, "01a21831-e9a4-7ef7-9a00-225632242e5a"),
            (10, "01a21831-…"),
        ] {
            let text = table(&columns, std::slice::from_ref(&row), Screen { width: Some(width), ..Screen::default() });
            assert_eq!(text.lines().nth(1), Some(shown), "{width}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_window_whatever_stands_there() {
        let wide = ["名前の長い統合サービス", "1", "ありがとうございます、とても長い", "2"];
        for width in 1..120 {
            for line in at(Some(width), &[LONG, wide]).lines() {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn what_a_row_holds_does_not_steer_the_terminal() {
        let text = at(None, &[["a\x1b[2Jb", "1", "c\nd", "\u{9b}31m"]]);
        assert!(!text.contains(['\x1b', '\u{9b}']) && text.lines().count() == 2, "{text:?}");
    }

    #[test]
    fn colours_take_no_room() {
        let screen = Screen { width: Some(20), height: None, colours: true };
        let text = table(&COLUMNS[..2], &[vec![Cell::new("lead-score", Tone::Bad), "1".into()]], screen);
        let plain = text.replace("\x1b[1m", "").replace("\x1b[1;31m", "").replace("\x1b[0m", "");
        assert_eq!(plain, "NAME        PER S\nlead-score      1\n");
        assert_ne!(plain, text);
    }
}
