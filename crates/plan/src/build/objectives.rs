//! The `objectives` of an integration: shares that leave something to go wrong, and a time that is counted.

use std::time::Duration;

use tendon_kernel::metrics::SECONDS;

use super::integration::Work;
use crate::{
    objectives::{ObjectiveKind, ObjectivePlan, ObjectivesPlan},
    raw::{FastRaw, ObjectivesRaw, Span},
    yaml::At,
};

const HOUR: Duration = Duration::from_secs(3600);
/// As long as the process remembers its counts.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

impl Work<'_> {
    /// Checks and builds them.
    pub(super) fn objectives(&mut self, raw: &At<ObjectivesRaw>) -> ObjectivesPlan {
        let (mark, raw) = (raw.mark, &raw.value);
        let mut objectives = Vec::new();
        for (kind, percent) in [(ObjectiveKind::Answered, &raw.answered), (ObjectiveKind::ByModel, &raw.by_model)] {
            let Some(percent) = percent else { continue };
            objectives.extend(self.allowed(percent).map(|allowed| ObjectivePlan { kind, allowed }));
        }
        if let Some(fast) = &raw.fast {
            objectives.extend(self.fast(fast));
        } else if raw.answered.is_none() && raw.by_model.is_none() {
            let message = "objectives name nothing that is to be reached";
            self.findings.add(mark, "no_objective", message, |finding| {
                finding.allow("answered: 99.9, by_model: 99, fast: { percent: 95, within: 250ms }")
            });
        }
        let window = raw.window.as_ref().map_or(LONGEST, |window| self.window(window));
        ObjectivesPlan { objectives, window }
    }

    fn window(&mut self, window: &At<Span>) -> Duration {
        let Span(time) = window.value;
        if !(HOUR..=LONGEST).contains(&time) {
            let message = "objectives are counted over an hour at least, and for as long as the process remembers";
            self.findings.add(window.mark, "objective_window", message, |finding| finding.allow("1h to 30d"));
        }
        time
    }

    fn fast(&mut self, fast: &At<FastRaw>) -> Option<ObjectivePlan> {
        let (percent, within) = (fast.value.percent.as_ref()?, fast.value.within.as_ref()?);
        let (within, allowed) = (self.counted(within), self.allowed(percent));
        within.zip(allowed).map(|(Span(within), allowed)| ObjectivePlan { kind: ObjectiveKind::Fast(within), allowed })
    }

    /// Of a million, what a percentage leaves to go wrong.
    fn allowed(&mut self, percent: &At<f64>) -> Option<u32> {
        let allowed = ((100.0 - percent.value) * 10_000.0).round();
        if (1.0..=500_000.0).contains(&allowed) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "inside 1 to 500,000")]
            return Some(allowed as u32);
        }
        let message = match percent.value {
            value if value >= 99.9999 => format!("an objective of {value} percent leaves nothing that may go wrong"),
            value if value > 0.0 && value <= 1.0 => {
                format!("objectives are percentages: {} is meant, not {value}?", value * 100.0)
            }
            value => format!("{value} percent is no objective: most of it may go wrong"),
        };
        self.findings.add(percent.mark, "objective_percent", message, |finding| finding.allow("50 to 99.9999"));
        None
    }

    /// A time that the process counts by: between two of them it could only guess.
    fn counted(&mut self, within: &At<Span>) -> Option<Span> {
        let Span(time) = within.value;
        let known = || SECONDS.iter().map(|bound| Duration::from_secs_f64(*bound)).filter(|bound| writable(*bound));
        if known().any(|bound| bound == time) {
            return Some(within.value);
        }
        let nearest = known().min_by_key(|bound| bound.abs_diff(time));
        let message = format!("answers within {} are not counted", words(time));
        let all: Vec<String> = known().map(words).collect();
        self.findings.add(within.mark, "objective_within", message, |finding| {
            finding.allow(all.join(", ")).suggest(nearest.map(words))
        });
        None
    }
}

/// Whether the configuration can write it: whole milliseconds.
fn writable(time: Duration) -> bool {
    time >= Duration::from_millis(1) && time.subsec_nanos().is_multiple_of(1_000_000)
}

/// A time as the configuration writes it.
fn words(time: Duration) -> String {
    match time.as_millis() {
        millis if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}
