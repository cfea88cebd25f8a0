//! Where checkpoints are published: a file of the project's, or an address that may be called.

use std::time::Duration;

use crate::{
    callback::origin,
    finding::Findings,
    plan::{PublishPlan, PublishTo},
    raw::{LedgerRaw, Span},
};

/// How often, when nobody says.
const USUAL: Duration = Duration::from_secs(60);
/// More often is no use: a checkpoint has to be signed for each.
const LEAST: Duration = Duration::from_secs(1);

/// What was written about it.
pub(super) fn publish(raw: &LedgerRaw, findings: &mut Findings) -> Option<PublishPlan> {
    if let Some(secret) = raw.secret.as_ref().filter(|secret| !secret.text().starts_with("${")) {
        findings.add(secret.mark, "secret_in_clear", "the token stands in the file in clear", |finding| {
            finding.allow("a reference").suggest(Some("${env:CHECKPOINT_TOKEN}"))
        });
    }
    let unused = |findings: &mut Findings, why| {
        if let Some(secret) = &raw.secret {
            findings.add(secret.mark, "secret_unused", why, |finding| {
                finding.allow("secret beside a checkpoint of https://…")
            });
        }
    };
    let Some(to) = raw.checkpoint.as_ref() else {
        unused(findings, "no checkpoint is published that would take this token");
        return None;
    };
    let every = raw.every.map_or(USUAL, |Span(every)| every.max(LEAST));
    if !is_address(to.text()) {
        unused(findings, "a file takes no bearer token");
        return Some(PublishPlan { to: PublishTo::File(to.text().to_owned()), every });
    }
    if origin(to.text()).is_none() {
        findings.add(to.mark, "checkpoint_url", "checkpoints cannot be published to this address", |finding| {
            finding.allow("https://host/path, or http:// to this machine; plain characters, no user, no query")
        });
    }
    let secret = raw.secret.as_ref().map(|secret| secret.text().to_owned());
    Some(PublishPlan { to: PublishTo::Url { url: to.text().into(), secret }, every })
}

/// Whether this was meant as an address; one that is spelt wrong is no file of that name.
fn is_address(text: &str) -> bool {
    text.contains("://") || ["http:", "https:"].iter().any(|scheme| text.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, Sources};

    fn outcome(ledger: &str) -> (Vec<&'static str>, Option<PublishPlan>) {
        let sources = Sources(vec![("tendon.yaml".to_owned(), format!("project: p\nledger: {{ {ledger} }}\n"))]);
        let outcome = crate::plan(&sources, &Facts::default(), &[]);
        let codes = outcome.findings.iter().map(|finding| finding.code).collect();
        (codes, outcome.plan.and_then(|plan| plan.publish))
    }

    #[test]
    fn a_file_and_an_address_are_told_apart() {
        let file = PublishPlan { to: PublishTo::File("../published.txt".into()), every: USUAL };
        assert_eq!(outcome("checkpoint: ../published.txt"), (vec![], Some(file)));
        let to = PublishTo::Url { url: "https://proofs.example/tendon".into(), secret: Some("${env:TOKEN}".into()) };
        let told = outcome("checkpoint: 'https://proofs.example/tendon', secret: '${env:TOKEN}', every: 10ms");
        assert_eq!(told, (vec![], Some(PublishPlan { to, every: LEAST })));
        assert_eq!(outcome("every: 5s"), (vec![], None));
    }

    #[test]
    fn mistakes_are_found() {
        for (ledger, code) in [
            ("checkpoint: 'http://proofs.example/tendon'", "checkpoint_url"),
            ("checkpoint: 'https://me:pass@proofs.example/tendon'", "checkpoint_url"),
            ("checkpoint: 'https://proofs.example/tendon?key=1'", "checkpoint_url"),
            ("checkpoint: 'ftp://proofs.example/tendon'", "checkpoint_url"),
            ("checkpoint: 'https:/proofs.example/tendon'", "checkpoint_url"),
            ("secret: '${env:TOKEN}'", "secret_unused"),
            ("checkpoint: 'https://proofs.example/tendon', secret: hunter2", "secret_in_clear"),
            ("checkpoint: published.txt, secret: '${env:TOKEN}'", "secret_unused"),
        ] {
            assert_eq!(outcome(ledger), (vec![code], None), "{ledger}");
        }
    }
}
