//! How the running process does: what `/v1/status` answers, for the project's owner, who needs no key.

use serde_json::Value as Json;
use tendon_doors::{api::Api, console::Span, keys::Scope, overview, trust::Known};
use tendon_plan::trust::Limits;

use super::keys::CLI;
use crate::{failure::Failure, project::Project};

/// Looks.
///
/// # Errors
/// When the process serves nobody; for a span that is none.
pub(crate) async fn look(api: Option<&Api>, span: &str) -> Result<Json, Failure> {
    let api = api.ok_or_else(|| {
        Failure::new(
            "not_serving",
            "a backfill holds the project, and serves nobody",
            "wait for it (`tendon backfill` tells how far it is), then start `tendon up`",
        )
    })?;
    let owner = Known::new(CLI.into(), CLI.into(), &[Scope::Admin], Limits::default());
    let span = Span::named(span).ok_or_else(|| {
        Failure::new(
            "order_unknown",
            "the running process does not know this span",
            "it may be of another version: restart it with this one",
        )
    })?;
    let overview = overview::overview(api, &owner, span).await?;
    serde_json::to_value(overview).map_err(|error| Failure::new("control_broken", error.to_string(), ""))
}

/// Nothing runs that could be asked.
pub(crate) fn not_running(project: &Project) -> Failure {
    Failure::new(
        "not_running",
        format!("no process serves the project in {}", project.folder.display()),
        "`tendon up` starts it; `--server https://HOST:8400` asks one that runs elsewhere",
    )
    .could_not_run()
}
