//! Charts as SVG, made here: they stand in the page without script, under a policy that allows no inline style, and what they
//! show is said in words beside.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::figure::NONE;

/// Width and height of the drawing, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// A line of a chart; where nothing is known it has a gap.
pub(in crate::console) struct Series<'a> {
    /// What it shows.
    pub(in crate::console) name: &'a str,
    /// Its values, oldest first.
    pub(in crate::console) values: Vec<Option<f64>>,
    /// What it is now. The last value may cover hours, so it is told by whoever knows.
    pub(in crate::console) now: Option<f64>,
}

/// What a chart is of.
pub(in crate::console) struct Chart<'a> {
    /// Its title.
    pub(in crate::console) title: &'a str,
    /// The span in words (`1 hour`).
    pub(in crate::console) span: &'a str,
    /// Its lines, at most three.
    pub(in crate::console) series: Vec<Series<'a>>,
    /// How a value is told.
    pub(in crate::console) told: fn(f64) -> String,
}

impl Chart<'_> {
    /// The chart with its title, scale and words.
    pub(in crate::console) fn draw(&self) -> Markup {
        let top = self.top();
        html! {
            figure.chart {
                figcaption {
                    b { (self.title) }
                    @if self.series.len() > 1 {
                        span.key {
                            @for (at, series) in self.series.iter().enumerate() { span class={ "k" (at + 1) } { (series.name) " " (self.now(series)) } }
                        }
                    } @else if let Some(series) = self.series.first() {
                        span.soft { "now " (self.now(series)) }
                    }
                }
                svg viewBox="0 0 600 100" preserveAspectRatio="none" role="img" aria-label=(self.words()) {
                    @for y in [0.5, 50.0, 99.5] { line.grid x1="0" x2="600" y1=(y) y2=(y) {} }
                    @for (at, series) in self.series.iter().enumerate() {
                        @if at == 0 { path.area d=(path(&series.values, top, true)) {} }
                        path class={ "line s" (at + 1) } d=(path(&series.values, top, false)) {}
                    }
                }
                div.axis { span { (self.span) " ago" } span { @if self.known() { "top " ((self.told)(top)) } @else { "nothing counted yet" } } span { "now" } }
            }
        }
    }

    fn now(&self, series: &Series<'_>) -> String {
        series.now.map_or_else(|| NONE.to_owned(), self.told)
    }

    fn known(&self) -> bool {
        self.series.iter().any(|series| series.values.iter().any(Option::is_some))
    }

    /// The top of the scale.
    fn top(&self) -> f64 {
        let most = self.series.iter().flat_map(|series| series.values.iter().flatten()).copied().fold(0.0, f64::max);
        nice(most)
    }

    /// The same in words, for whoever does not see it.
    fn words(&self) -> String {
        let mut text = format!("{}, the last {}", self.title, self.span);
        for series in &self.series {
            let known = || series.values.iter().flatten().copied();
            if known().next().is_none() {
                // Writing into a String cannot fail.
                let _: std::fmt::Result = write!(text, "; {}: nothing yet", series.name);
                continue;
            }
            let (least, most) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
            let [least, most] = [least, most].map(self.told);
            let _: std::fmt::Result =
                write!(text, "; {}: between {least} and {most}, now {}", series.name, self.now(series));
        }
        text
    }
}

/// A small line without scale, for a row of a table; the row's figures say it in words.
pub(in crate::console) fn spark(values: &[Option<f64>]) -> Markup {
    let top = nice(values.iter().flatten().copied().fold(0.0, f64::max));
    html! {
        svg.spark viewBox="0 0 600 100" preserveAspectRatio="none" aria-hidden="true" {
            path.area d=(path(values, top, true)) {}
            path.line d=(path(values, top, false)) {}
        }
    }
}

/// A bar from the middle to one side, as a share of the largest one.
pub(in crate::console) fn bar(value: f64, largest: f64) -> Markup {
    let share = if largest > 0.0 { (value.abs() / largest).clamp(0.0, 1.0) * 98.0 } else { 0.0 };
    let (class, from) = if value < 0.0 { ("down", 100.0 - share) } else { ("up", 100.0) };
    html! {
        svg.bar viewBox="0 0 200 10" preserveAspectRatio="none" aria-hidden="true" {
            rect class=(class) x=(format!("{from:.1}")) y="1" width=(format!("{share:.1}")) height="8" {}
            line.zero x1="100" x2="100" y1="0" y2="10" {}
        }
    }
}

/// How full something is, as a share of the whole; the words beside it say the same. Where nothing is known it stands empty.
pub(in crate::console) fn gauge(share: Option<f64>) -> Markup {
    let class = match share {
        Some(share) if share <= 0.0 => "gauge none",
        Some(share) if share < 0.25 => "gauge low",
        _ => "gauge",
    };
    let share = share.unwrap_or(0.0);
    html! {
        svg class=(class) viewBox="0 0 200 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.whole x="0" y="0" width="200" height="8" {}
            rect.full x="0" y="0" width=(format!("{:.1}", share.clamp(0.0, 1.0) * 200.0)) height="8" {}
        }
    }
}

/// The next number of 1, 2 or 5 times a power of ten.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

/// The line's path; a point that stands alone is a short stroke.
fn path(values: &[Option<f64>], top: f64, area: bool) -> String {
    let count = values.len().saturating_sub(1).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred points")]
    let x = |at: usize| at as f64 * WIDTH / count as f64;
    let y = |value: f64| (1.0 - (value / top).clamp(0.0, 1.0)) * (HEIGHT - 3.0) + 1.5;
    let mut text = String::new();
    for run in runs(values) {
        let (first, last) = (run.start, run.end - 1);
        let mut pen = if area { format!("M{:.1} {HEIGHT}L", x(first)) } else { "M".to_owned() };
        for at in run {
            if let Some(value) = values.get(at).copied().flatten() {
                let _: std::fmt::Result =
                    write!(pen, "{}{:.1} {:.1}", if pen.ends_with(['M', 'L']) { "" } else { "L" }, x(at), y(value));
            }
        }
        text += &pen;
        if area {
            let _: std::fmt::Result = write!(text, "L{:.1} {HEIGHT}Z", x(last));
        } else if first == last {
            text += "h4";
        }
    }
    text
}

/// Where values follow each other without a gap.
fn runs(values: &[Option<f64>]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in values.iter().enumerate().filter(|(_, value)| value.is_some()) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_gap() {
        let values = [Some(1.0), Some(2.0), None, Some(0.0)];
        assert_eq!(path(&values, 2.0, false), "M0.0 50.0L200.0 1.5M600.0 98.5h4");
        assert_eq!(path(&[], 1.0, true), "");
    }

    #[test]
    fn words_say_what_the_lines_show() {
        let series = Series { name: "p95", values: vec![None, Some(3.0), Some(1.0)], now: Some(2.0) };
        let chart = Chart { title: "Time", span: "1 hour", series: vec![series], told: |value| format!("{value} s") };
        assert_eq!(chart.words(), "Time, the last 1 hour; p95: between 1 s and 3 s, now 2 s");
    }
}
