//! The files with certificates and keys that a project names: where they are, and whether they fit. The plan is pure and cannot
//! look; `tendon check` must tell all the same.

use std::path::PathBuf;

use tendon_kernel::{Error, context::Context};
use tendon_plan::{Finding, Outcome, Outline, Plan, finding::Mark};
use tendon_platform::{OutgoingHttp, ServerTls, TlsFiles};

use crate::project::{MAIN, Project};

/// Days before its end at which a certificate is worth a warning.
const SOON: i64 = 14;
const DAY: i64 = 86_400 * 1_000_000;

/// The files of the listener's TLS.
pub(crate) fn tls_files(plan: &Plan, project: &Project) -> Option<TlsFiles> {
    let tls = plan.trust.tls.as_ref()?;
    let path = |path: &String| project.folder.join(path);
    Some(TlsFiles {
        cert: path(&tls.cert),
        key: path(&tls.key),
        client_ca: tls.client_ca.as_ref().map(path),
        client_required: tls.client_required,
    })
}

/// Where the certificates that outgoing calls trust beside the system's are.
pub(crate) fn outgoing_ca(plan: &Plan, project: &Project) -> Option<PathBuf> {
    plan.outgoing.ca.as_ref().map(|ca| project.folder.join(ca))
}

/// Adds to the findings what is wrong with the files.
pub(crate) fn judge(project: &Project, context: &Context, outline: &Outline, outcome: &mut Outcome) {
    let Some(plan) = &outcome.plan else { return };
    let mut found = Vec::new();
    if let Some((files, mark)) = tls_files(plan, project).zip(outline.tls) {
        match ServerTls::open(files) {
            Err(error) => found.push(finding(mark, &error)),
            Ok(tls) => {
                let left = tls.state().ends.0.saturating_sub(context.clock.now().0);
                if left <= SOON * DAY {
                    let message = match left {
                        ..=0 => "the certificate has ended: callers that check it refuse to connect".to_owned(),
                        _ => format!("the certificate ends in {} days", left / DAY),
                    };
                    found.push(Finding::error(MAIN, mark, "certificate_ends", message).warning());
                }
            }
        }
    }
    if let Some((ca, mark)) = outgoing_ca(plan, project).zip(outline.outgoing_ca) {
        found
            .extend(OutgoingHttp::new(context.clock.clone()).trust(Some(&ca)).err().map(|error| finding(mark, &error)));
    }
    outcome.findings.splice(0..0, found);
}

fn finding(mark: Mark, error: &Error) -> Finding {
    let file = error.context().iter().find(|(name, _)| *name == "file").map(|(_, file)| format!(": {file}"));
    let message = format!("{}{}", error.message(), file.unwrap_or_default());
    Finding::error(MAIN, mark, error.code(), message).allow(error.hint_text().unwrap_or_default().to_owned())
}
