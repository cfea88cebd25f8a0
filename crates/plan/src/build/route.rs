//! The `route` of an integration: versions that exist with the contract of the integration's own, shares that fit into 100.

use std::sync::Arc;

use super::{
    integration::Work,
    model::{Chosen, version},
};
use crate::{
    nearest::nearest,
    raw::{ArmRaw, IntegrationRaw},
    route::{ArmPlan, RoutePlan},
    yaml::At,
};

impl Work<'_> {
    /// Checks and builds the route.
    pub(super) fn route(&mut self, raw: &IntegrationRaw, chosen: &Chosen) -> RoutePlan {
        let Some(route) = raw.route.as_ref() else { return RoutePlan::default() };
        let mut plan = RoutePlan::default();
        let mut total = 0.0;
        let canary = route.value.canary.iter().map(|arm| (Arc::from("canary"), arm));
        let arms = route.value.arms.iter().map(|(name, arm)| (Arc::from(format!("arm:{}", name.text())), arm));
        for (name, arm) in canary.chain(arms) {
            let Some(built) = self.arm(name, arm, chosen) else { continue };
            total += built.percent;
            plan.arms.push(built);
        }
        if total > 100.0 {
            let message = format!("the shares of canary and arms add up to {total} percent");
            self.findings.add(route.mark, "shares_too_large", message, |finding| {
                finding.allow("at most 100; what is left is the integration's own version's")
            });
        }
        let shadow = route.value.shadow.as_ref();
        plan.shadow = shadow.and_then(|arm| self.arm(Arc::from("shadow"), arm, chosen));
        plan
    }

    fn arm(&mut self, route: Arc<str>, arm: &At<ArmRaw>, chosen: &Chosen) -> Option<ArmPlan> {
        let (named, percent) = (arm.value.version.as_ref()?, arm.value.percent.as_ref()?);
        if !(0.0..=100.0).contains(&percent.value) {
            let message = format!("{} is no percentage", percent.value);
            self.findings.add(percent.mark, "bad_percent", message, |finding| finding.allow("0 to 100"));
        }
        // A model without a usable version was reported where it is declared.
        let facts = self.facts.models.get(chosen.model.as_ref()).filter(|_| chosen.known)?;
        let Some(found) = version(facts, named.text()) else {
            let mut known: Vec<&str> = facts.aliases.keys().map(String::as_str).collect();
            known.extend(facts.versions.iter().map(|version| version.version.as_str()));
            let suggestion = nearest(named.text(), known.iter().copied()).map(str::to_owned);
            let message = format!("model {} has no alias or version {}", chosen.model, named.text());
            self.findings.add(named.mark, "unknown_alias", message, |finding| {
                finding.allow(known.join(", ")).suggest(suggestion)
            });
            return None;
        };
        if found.signature.features != chosen.signature.features || found.signature.outputs != chosen.signature.outputs
        {
            let message = format!("version {} has another signature than {}", named.text(), chosen.alias);
            self.findings.add(named.mark, "signature_differs", message, |finding| {
                finding.allow("a version with the same features in the same order, and as many outputs")
            });
        }
        Some(ArmPlan { route, alias: Arc::from(named.text()), percent: percent.value })
    }
}
