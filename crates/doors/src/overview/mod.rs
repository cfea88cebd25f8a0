//! How the whole process does, in one document: what the console's first page, `GET /v1/status`, `tendon status` and `tendon top`
//! show. Made in one place, so that a page and a terminal cannot tell of different things.

mod budget;
mod look;
mod tally;
pub mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tendon_kernel::{Result, Timestamp};

use crate::{
    api::Api,
    console::{Slot, Span},
    service::{ModelView, SystemView},
    trust::Known,
};
pub use budget::{Budget, budgets};
pub(crate) use look::{Look, MINUTE, look};
pub(crate) use tally::Tally;

/// Looks at everything.
///
/// # Errors
/// `Forbidden` without the scope `read`.
pub async fn overview(api: &Api, known: &Known, span: Span) -> Result<Overview> {
    Ok(look(api, known, span).await?.overview)
}

/// The document.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// The project's name.
    pub project: Arc<str>,
    /// The program's version.
    pub version: &'static str,
    /// Digest of the plan in force.
    pub plan: Arc<str>,
    /// Of when this is.
    pub at: Timestamp,
    /// Seconds since the process started.
    pub up_seconds: u64,
    /// Whether all is well.
    pub state: Health,
    /// What is not as it should be; dead letters stand below.
    pub trouble: Vec<Trouble>,
    /// The share of the last 7 days that the process was ready, of those since it was first started.
    pub uptime_7d: Option<f64>,
    /// The same of 30 days.
    pub uptime_30d: Option<f64>,
    /// When the process was first started with trends, or the begin of what is known of it.
    pub uptime_since: Option<Timestamp>,
    /// How far back `figures` of integrations go: `1h`, `24h`, `7d` or `30d`.
    pub span: &'static str,
    /// The last minute of all integrations.
    pub minute: Figures,
    /// The integrations, by name.
    pub integrations: Vec<IntegrationView>,
    /// The systems, by name.
    pub systems: Vec<SystemRow>,
    /// Write-backs that wait.
    pub outbox: Waiting,
    /// Dead letters.
    pub letters: Letters,
    /// Questions that a model did not answer itself since the start, by integration and reason, the most frequent first.
    pub unanswered: Vec<Unanswered>,
    /// Requests refused before a decision since the start, by reason, the most frequent first.
    pub refusals: Vec<Refusal>,
    /// The models with their loaded versions.
    pub models: Vec<ModelView>,
}

/// Whether all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Every part does its work, models answer what is asked, and there is no dead letter.
    Healthy,
    /// Decisions are answered, and something is to be looked at.
    Degraded,
    /// Decisions cannot be answered now.
    NotReady,
    /// The process is ending.
    Stopping,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// The part: `ledger`, `system:crm`, `integration:lead-score`.
    pub part: String,
    /// What it says of it.
    pub why: String,
    /// Whether decisions cannot be answered while it lasts.
    pub vital: bool,
}

/// What was counted in a span of time. Times are seconds on the path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Decisions.
    pub decisions: u64,
    /// Decisions per second; nothing where nobody counted.
    pub per_second: Option<f64>,
    /// Half of them took no longer.
    pub p50: Option<f64>,
    /// 95 of 100 took no longer.
    pub p95: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99: Option<f64>,
    /// That nothing could answer.
    pub failed: u64,
    /// That a fallback answered.
    pub fallback: u64,
    /// Whose input was refused or set aside.
    pub refused: u64,
    /// That came from the cache.
    pub cached: u64,
}

impl Figures {
    pub(crate) fn of(slot: &Slot) -> Self {
        Self {
            decisions: slot.decisions(),
            per_second: slot.rate(),
            p50: slot.quantile(0.5),
            p95: slot.quantile(0.95),
            p99: slot.quantile(0.99),
            failed: slot.failed,
            fallback: slot.degraded,
            refused: slot.refused,
            cached: slot.recalled,
        }
    }
}

/// An integration and how it does.
#[derive(Clone, Debug, Serialize)]
pub struct IntegrationView {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub purpose: Arc<str>,
    /// How it does.
    pub state: Doing,
    /// The model that it asks, as the project names it.
    pub model: String,
    /// The version that it asks now; nothing when none is loaded.
    pub version: Option<Arc<str>>,
    /// Its last minute.
    pub minute: Figures,
    /// The span.
    pub figures: Figures,
    /// Its watch, where it has one.
    pub watch: Option<Watch>,
    /// Write-backs of it that wait, in memory.
    pub outbox: usize,
    /// Dead letters of it, among those looked at.
    pub letters: usize,
    /// What it is to reach, as its file declares it, and how that does.
    pub objectives: Vec<Budget>,
}

/// How a watch does.
#[derive(Clone, Debug, Serialize)]
pub struct Watch {
    /// Every change before this moment was decided; nothing: it has not seen everything yet.
    pub up_to_date_at: Option<Timestamp>,
    /// What holds it up.
    pub failing: Option<String>,
}

/// How an integration does, by its model, its watch, what the last minute counted, and what it is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// No version of its model is loaded.
    NoModel,
    /// Decisions found no answer.
    Failing,
    /// Its watch cannot go on.
    WatchHeldUp,
    /// A fallback answered.
    Fallback,
    /// More went wrong than an objective allows.
    BudgetSpent,
    /// It decides.
    Deciding,
    /// Nobody asked.
    Idle,
}

impl Doing {
    /// By its model, its watch, its last minute and its objectives.
    pub fn of(no_model: bool, held_up: bool, minute: &Slot, budgets: &[Budget]) -> Self {
        match minute {
            _ if no_model => Self::NoModel,
            _ if minute.failed > 0 => Self::Failing,
            _ if held_up => Self::WatchHeldUp,
            _ if minute.degraded > 0 => Self::Fallback,
            _ if budgets.iter().any(|budget| budget.spent) => Self::BudgetSpent,
            _ if minute.decisions() > 0 => Self::Deciding,
            _ => Self::Idle,
        }
    }
}

/// A system and how busy it is.
#[derive(Clone, Debug, Serialize)]
pub struct SystemRow {
    /// The system.
    #[serde(flatten)]
    pub view: SystemView,
    /// Calls under way.
    pub under_way: Option<u64>,
    /// As many are allowed at once.
    pub concurrency: Option<u64>,
    /// Calls that wait for their turn.
    pub queued: Option<u64>,
    /// Most rows a second, where that is limited.
    pub rate: Option<f64>,
    /// Rows a second that were taken of it, over the last ten seconds.
    pub rate_used: Option<f64>,
}

/// Write-backs that wait.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Waiting {
    /// In memory.
    pub waiting: usize,
    /// Whether still others wait in the ledger.
    pub more: bool,
}

/// Dead letters, as far as they were looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Letters {
    /// How many; nothing: they could not be counted in time.
    pub count: Option<usize>,
    /// Whether there are still more.
    pub more: bool,
    /// By cause, the most frequent first.
    pub causes: Vec<Cause>,
}

/// Why letters are dead.
#[derive(Clone, Debug, Serialize)]
pub struct Cause {
    /// Its code.
    pub code: String,
    /// In words.
    pub message: String,
    /// Of how many letters.
    pub times: usize,
}

/// Why a model did not answer.
#[derive(Clone, Debug, Serialize)]
pub struct Unanswered {
    /// Integration that asked it.
    pub integration: String,
    /// The reason's code.
    pub reason: String,
    /// How often.
    pub times: u64,
}

/// Why requests were refused.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// The reason's code.
    pub reason: String,
    /// How often.
    pub times: u64,
}
