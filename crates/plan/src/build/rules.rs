//! Bands, fallback, reviews and quality rules.

use std::sync::Arc;

use super::{
    Work,
    integration::{Moment, Names},
    model::{Chosen, version},
};
use crate::{
    expr::{Env, Program},
    finding::{Finding, Mark},
    plan::{BandPlan, HumanPlan, QualityRule, ReviewPlan, Threshold},
    raw::{IntegrationRaw, RuleRaw, Span},
    yaml::At,
};

/// Alias of the version before.
const PREVIOUS: &str = "previous";
const BAND_FORMS: &str = "\">= 0.7\", \"> 0.7\", \"<= 0.3\", \"< 0.3\" or otherwise";

/// What outputs are left for the bands that follow: an interval, because each band cuts off one end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Left {
    low: f64,
    low_open: bool,
    high: f64,
    high_open: bool,
}

impl Left {
    fn empty(self) -> bool {
        self.low > self.high || (self.low >= self.high && (self.low_open || self.high_open))
    }

    /// What remains after a band.
    fn without(self, test: Threshold) -> Self {
        match test {
            Threshold::AtLeast(value) if value <= self.high => Self { high: value, high_open: true, ..self },
            Threshold::Above(value) if value < self.high => Self { high: value, high_open: false, ..self },
            Threshold::AtMost(value) if value >= self.low => Self { low: value, low_open: true, ..self },
            Threshold::Below(value) if value > self.low => Self { low: value, low_open: false, ..self },
            Threshold::Otherwise => Self { low: 1.0, high: 0.0, ..self },
            _ => self,
        }
    }

    /// Whether a band can still match.
    fn reached(self, test: Threshold) -> bool {
        !self.empty()
            && match test {
                Threshold::AtLeast(value) => value < self.high || (value <= self.high && !self.high_open),
                Threshold::Above(value) => value < self.high,
                Threshold::AtMost(value) => value > self.low || (value >= self.low && !self.low_open),
                Threshold::Below(value) => value > self.low,
                Threshold::Otherwise => true,
            }
    }
}

fn threshold(text: &str) -> Option<Threshold> {
    let text = text.trim();
    if text == "otherwise" {
        return Some(Threshold::Otherwise);
    }
    let number = |rest: &str| rest.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    if let Some(rest) = text.strip_prefix(">=") {
        return number(rest).map(Threshold::AtLeast);
    }
    if let Some(rest) = text.strip_prefix("<=") {
        return number(rest).map(Threshold::AtMost);
    }
    if let Some(rest) = text.strip_prefix('>') {
        return number(rest).map(Threshold::Above);
    }
    text.strip_prefix('<').and_then(number).map(Threshold::Below)
}

fn number(test: Threshold) -> Option<f64> {
    match test {
        Threshold::AtLeast(value) | Threshold::Above(value) | Threshold::AtMost(value) | Threshold::Below(value) => {
            Some(value)
        }
        Threshold::Otherwise => None,
    }
}

impl Work<'_> {
    /// The bands: readable, inside the range, each reachable, nothing left over.
    pub(super) fn bands(&mut self, raw: &IntegrationRaw, range: (f64, f64)) -> Vec<BandPlan> {
        let Some(raw) = &raw.bands else { return Vec::new() };
        let mut left = Left { low: range.0, low_open: false, high: range.1, high_open: false };
        let mut bands = Vec::new();
        let mut whole = true;
        for (name, text) in raw.value.iter() {
            let Some(test) = threshold(text.text()) else {
                let message = format!("band {} cannot be read: {}", name.text(), text.text());
                self.findings.add(text.mark, "bad_band", message, |finding| finding.allow(BAND_FORMS));
                whole = false;
                continue;
            };
            if let Some(value) = number(test).filter(|value| *value < range.0 || *value > range.1) {
                let message = format!("band {}: {value} lies outside of the output's range", name.text());
                let allowed = format!("{} to {}", range.0, range.1);
                self.findings.add(text.mark, "band_outside_range", message, |finding| finding.allow(allowed));
                whole = false;
            } else if !left.reached(test) {
                let message = format!("band {} is never reached: the bands before it take everything", name.text());
                self.findings.add(text.mark, "unreachable_band", message, |finding| {
                    finding.allow("bands in order, the strictest first, otherwise last")
                });
            }
            left = left.without(test);
            bands.push(BandPlan { name: Arc::from(name.text()), test });
        }
        if whole && !left.empty() {
            let message = "some outputs belong to no band";
            self.findings
                .add(raw.mark, "bands_incomplete", message, |finding| finding.allow("a last band NAME: otherwise"));
        }
        bands
    }

    /// Whether the version before is asked; it must have the same contract.
    pub(super) fn fallback_previous(&mut self, raw: &IntegrationRaw, chosen: &Chosen) -> bool {
        let Some(wanted) = raw.fallback.as_ref().and_then(|fallback| fallback.previous.as_ref()) else { return false };
        let facts = self.facts.models.get(chosen.model.as_ref()).filter(|_| wanted.value && chosen.known);
        let Some(facts) = facts else { return wanted.value };
        match facts.aliases.contains_key(PREVIOUS).then(|| version(facts, PREVIOUS)).flatten() {
            Some(before)
                if before.signature.features != chosen.signature.features
                    || before.signature.outputs != chosen.signature.outputs =>
            {
                let message = format!("version {} has another signature than {}", before.version, chosen.alias);
                self.findings.add(wanted.mark, "signature_differs", message, |finding| {
                    finding.allow("a version with the same features in the same order, and as many outputs")
                });
            }
            Some(_) => {}
            None => {
                let message = format!("model {} has no version before yet: this rung answers nothing", chosen.model);
                self.findings.add(wanted.mark, "no_previous", message, Finding::info);
            }
        }
        true
    }

    /// The fallback's numbers; gives the default.
    pub(super) fn fallback_numbers(&mut self, raw: &IntegrationRaw, range: (f64, f64)) -> Option<f64> {
        let raw = raw.fallback.as_ref()?;
        let outputs = raw.rules.iter().filter_map(|rule| rule.output.as_ref());
        let numbers: Vec<&At<f64>> = outputs.chain(&raw.default).collect();
        for output in numbers.iter().filter(|output| !(range.0..=range.1).contains(&output.value)) {
            let message = format!("the fallback answers {}, outside of the output's range", output.value);
            let allowed = format!("{} to {}", range.0, range.1);
            self.findings.add(output.mark, "fallback_outside_range", message, |finding| finding.allow(allowed));
        }
        raw.default.as_ref().map(|default| default.value)
    }

    /// The person below all other rungs.
    pub(super) fn fallback_human(&mut self, raw: &IntegrationRaw) -> Option<HumanPlan> {
        let fallback = raw.fallback.as_ref()?;
        let human = fallback.human.as_ref()?;
        if fallback.default.is_some() {
            let message = "nobody is ever asked: the default always answers first";
            self.findings.add(human.mark, "human_unreachable", message, |finding| finding.allow("human or default"));
        }
        Some(self.people(human.mark, human.value.within, human.value.most))
    }

    /// Which answers a person has to see.
    pub(super) fn review(&mut self, raw: &IntegrationRaw, names: &Names) -> Option<ReviewPlan> {
        let review = raw.review.as_ref()?;
        let people = self.people(review.mark, review.value.within, review.value.most);
        let when = self.condition(review.value.when.as_ref()?, &names.env(Moment::After))?;
        Some(ReviewPlan { when, hold: review.value.hold.unwrap_or(true), people })
    }

    fn people(&mut self, mark: Mark, within: Option<Span>, most: Option<u32>) -> HumanPlan {
        let usual = HumanPlan::default();
        let within = within.map_or(usual.within, |Span(within)| within);
        let most = most.map_or(usual.most, |most| usize::try_from(most).unwrap_or(usize::MAX));
        for (wrong, message) in [
            (within.is_zero(), "within must be above 0: nobody answers in no time"),
            (most == 0, "most must be above 0: with no place nobody is ever asked"),
        ] {
            if wrong {
                self.say(mark, "bad_limit", message);
            }
        }
        HumanPlan { within, most }
    }

    /// The fallback's rules.
    pub(super) fn fallback_rules(&mut self, raw: &IntegrationRaw, names: &Names) -> Vec<(Program, f64)> {
        let env = names.env(Moment::Ladder);
        let rules = raw.fallback.iter().flat_map(|fallback| &fallback.rules);
        let mut built = Vec::new();
        for rule in rules {
            let program = rule.when.as_ref().and_then(|when| self.condition(when, &env));
            built.extend(program.zip(rule.output.as_ref().map(|output| output.value)));
        }
        built
    }

    /// Quality rules of one kind.
    pub(super) fn quality(&mut self, rules: &[RuleRaw], env: &Env<'_>) -> Vec<QualityRule> {
        let mut built = Vec::new();
        for rule in rules {
            let when = rule.when.as_ref().and_then(|when| self.condition(when, env));
            let reason = rule.reason.as_ref().map(|reason| Arc::from(reason.text()));
            built.extend(when.zip(reason).map(|(when, reason)| QualityRule { when, reason }));
        }
        built
    }
}
