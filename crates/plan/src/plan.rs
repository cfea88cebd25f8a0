//! The plan: what the configuration means, with every name resolved and every expression compiled. The engine, the flows
//! and the doors run it and check nothing again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tendon_kernel::{
    Type, Value,
    schema::{Field, Schema},
    sockets::{connector::Allowed, model::Signature},
};

pub use crate::limits::ServerLimits;
use crate::{
    cache::{CachePlan, CacheStorePlan},
    callback::CallbackPlan,
    embed::EmbedPlan,
    expr::Program,
    guard::GuardPlan,
    lookup::LookupsPlan,
    objectives::ObjectivesPlan,
    route::RoutePlan,
    telemetry::TelemetryPlan,
    trust::TrustPlan,
};

/// A whole project.
#[derive(Default)]
pub struct Plan {
    /// Name of the project.
    pub project: Arc<str>,
    /// SHA-256 over the canonical configuration and facts, lower-case hex. Recorded with every decision.
    pub digest: Arc<str>,
    /// Systems by name.
    pub systems: BTreeMap<Arc<str>, SystemPlan>,
    /// Models by name.
    pub models: BTreeMap<Arc<str>, ModelPlan>,
    /// Integrations by name.
    pub integrations: BTreeMap<Arc<str>, Arc<IntegrationPlan>>,
    /// The file of each integration, for people: it stands in no digest.
    pub files: BTreeMap<String, String>,
    /// Limits of the process.
    pub limits: ServerLimits,
    /// The gRPC port; `None`: closed.
    pub grpc: Option<GrpcPlan>,
    /// Calls over HTTP that the process makes.
    pub outgoing: OutgoingPlan,
    /// What the process tells about its work.
    pub telemetry: TelemetryPlan,
    /// Who is let in and how much.
    pub trust: TrustPlan,
    /// Where answers are kept.
    pub cache: CacheStorePlan,
    /// Where the ledger's checkpoints are published.
    pub publish: Option<PublishPlan>,
}

/// A system with what may be touched and how fast.
#[derive(PartialEq)]
pub struct SystemPlan {
    /// Name.
    pub name: Arc<str>,
    /// Connector kind (`sqlite`).
    pub kind: Arc<str>,
    /// The kind's settings, validated; secrets still as references.
    pub config: serde_json::Value,
    /// What may be read and written.
    pub allowed: Allowed,
    /// Requests under way at once, all lanes together.
    pub concurrency: usize,
    /// Rows per second at the most, all lanes together; `None`: no limit.
    pub rate: Option<f64>,
    /// Longest wait for one request.
    pub timeout: Duration,
    /// What happens when it is slow, refuses or is gone.
    pub guard: GuardPlan,
}

/// A model and where its versions are.
pub struct ModelPlan {
    /// Name.
    pub name: Arc<str>,
    /// Folder or file, relative to the project.
    pub path: String,
}

/// Where a feature's value comes from.
pub enum Source {
    /// Field of the input, or of a lookup behind it, by position.
    Field(usize),
    /// An expression.
    Program(Program),
}

/// How a value becomes a number of the matrix.
pub enum Encoding {
    /// As it is; null becomes NaN; a time is refused by `check`.
    Number,
    /// Index of the text in the model's list; unknown or null becomes NaN.
    Category(HashMap<Arc<str>, f64>),
}

/// One column of the model's matrix.
pub struct FeaturePlan {
    /// The signature's name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub source: Source,
    /// How it is encoded.
    pub encoding: Encoding,
}

/// A condition of the quality rules.
pub struct QualityRule {
    /// When it is true …
    pub when: Program,
    /// … the record is set aside or refused with this sentence.
    pub reason: Arc<str>,
}

/// How an input is judged before anything is asked.
pub struct InputPlan {
    /// The contract of the input.
    pub schema: Arc<Schema>,
    /// Values put in place of missing ones (position, value); each use is recorded as a repair.
    pub defaults: Vec<(usize, Value)>,
    /// Records to set aside.
    pub quarantine: Vec<QualityRule>,
    /// Records to refuse.
    pub reject: Vec<QualityRule>,
}

/// Comparison of a band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// output ≥ value.
    AtLeast(f64),
    /// output > value.
    Above(f64),
    /// output ≤ value.
    AtMost(f64),
    /// output < value.
    Below(f64),
    /// Everything else.
    Otherwise,
}

/// A band; the first that matches wins.
#[derive(Clone, Debug, PartialEq)]
pub struct BandPlan {
    /// Its name (`green`).
    pub name: Arc<str>,
    /// When it applies.
    pub test: Threshold,
}

/// The ladder that answers when the model cannot.
#[derive(Default)]
pub struct FallbackPlan {
    /// Whether the version before is asked first.
    pub previous: bool,
    /// First rule that is true answers with its number.
    pub rules: Vec<(Program, f64)>,
    /// Answer when no rule is true.
    pub default: Option<f64>,
    /// A person, when nothing else answers.
    pub human: Option<HumanPlan>,
}

/// A person as the last rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanPlan {
    /// Time until a review counts as overdue.
    pub within: Duration,
    /// Reviews that may wait at once.
    pub most: usize,
}

impl Default for HumanPlan {
    fn default() -> Self {
        Self { within: Duration::from_secs(48 * 3600), most: 1000 }
    }
}

/// Which answers a person has to see.
pub struct ReviewPlan {
    /// Those for which this is true (sees `output` and `band`).
    pub when: Program,
    /// Whether their deliveries wait for the verdict.
    pub hold: bool,
    /// How long a review may take, and how many may wait.
    pub people: HumanPlan,
}

/// When a decision is explained as it is made.
pub enum ExplainPlan {
    /// Only when asked for; recomputed from the record later.
    OnRequest,
    /// Each one.
    Always,
    /// Those for which this is true (sees `output` and `band`).
    When(Program),
}

/// Whether the answer waits for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordPlan {
    /// Durable before the answer leaves.
    Durable,
    /// Written behind; the decision says so.
    Buffered,
}

/// The HTTP door of an integration.
pub struct ApiPlan {
    /// Time a request has when it names none.
    pub deadline: Duration,
    /// Time that deciding an asynchronous request has, once it is its turn.
    pub async_deadline: Duration,
    /// Who may be told of decisions.
    pub callbacks: Vec<CallbackPlan>,
}

impl ApiPlan {
    /// Whether the integration declares this address as one that may be told of decisions.
    pub fn may_call(&self, url: &str) -> Option<&CallbackPlan> {
        self.callbacks.iter().find(|callback| callback.allows(url))
    }
}

impl Default for ApiPlan {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), async_deadline: Duration::from_secs(30), callbacks: Vec::new() }
    }
}

/// The watched table and the write-back.
pub struct EventsPlan {
    /// System watched.
    pub system: Arc<str>,
    /// Resource watched.
    pub resource: Arc<str>,
    /// Its key fields.
    pub key: Vec<String>,
    /// Its watermark field.
    pub watermark: String,
    /// Type of the watermark field: a time or an integer that grows.
    pub watermark_type: Type,
    /// Fields read: all of the input, in the input schema's order.
    pub fields: Vec<String>,
    /// How often to look when nothing happens.
    pub poll: Duration,
    /// How far back each scan rereads (clocks, late commits).
    pub overlap: Duration,
    /// How often the slow sweep compares all rows.
    pub sweep: Duration,
    /// Where the answer goes; `None`: nowhere.
    pub target: Option<TargetPlan>,
}

/// Where and what is written back.
pub struct TargetPlan {
    /// System.
    pub system: Arc<str>,
    /// Resource.
    pub resource: Arc<str>,
    /// Key fields (same values as the watched row's key).
    pub key: Vec<String>,
    /// Fields and what they are set to.
    pub set: Vec<(String, Program)>,
    /// The same fields as the system knows them: their types.
    pub fields: Vec<Field>,
    /// The field that holds the decision's time (set to `now`), by which an older decision never overwrites a newer one.
    pub stamp: Option<String>,
    /// Whether the watched row is the target row, so that the input fields are the write's condition.
    pub same_row: bool,
}

/// One integration.
pub struct IntegrationPlan {
    /// Name.
    pub name: Arc<str>,
    /// What it is for.
    pub purpose: Arc<str>,
    /// Who answers for it.
    pub owner: Arc<str>,
    /// Model asked.
    pub model: Arc<str>,
    /// Its alias or version (`champion`).
    pub alias: Arc<str>,
    /// The contract that the features were checked against.
    pub signature: Arc<Signature>,
    /// Whom a decision is about.
    pub subject: Option<Program>,
    /// The input and its quality rules.
    pub input: InputPlan,
    /// What is looked up before the features are made.
    pub lookups: LookupsPlan,
    /// One per column of the signature, in its order.
    pub features: Vec<FeaturePlan>,
    /// Range that an output must lie in (both inclusive); outside is a failed attempt.
    pub output_range: (f64, f64),
    /// Bands, first match wins.
    pub bands: Vec<BandPlan>,
    /// Which versions answer beside it.
    pub route: RoutePlan,
    /// Ladder.
    pub fallback: FallbackPlan,
    /// Which answers a person has to see.
    pub review: Option<ReviewPlan>,
    /// When to explain.
    pub explain: ExplainPlan,
    /// Whether answers wait for the record.
    pub record: RecordPlan,
    /// Retention class.
    pub retention: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// SHA-256 of the rules of this integration (bands, fallback, quality, review, explain), lower-case hex.
    pub policy: Arc<str>,
    /// What it is to reach.
    pub objectives: Option<ObjectivesPlan>,
    /// Cache of answers.
    pub cache: Option<CachePlan>,
    /// HTTP door.
    pub api: Option<ApiPlan>,
    /// Events door.
    pub events: Option<EventsPlan>,
    /// Embed door.
    pub embed: Option<EmbedPlan>,
}

/// Where the ledger's checkpoints are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishPlan {
    /// Where to.
    pub to: PublishTo,
    /// How often.
    pub every: Duration,
}

/// A place that checkpoints are published to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishTo {
    /// File, relative to the project.
    File(String),
    /// An address over HTTP: read by GET, replaced by PUT.
    Url {
        /// Whole address.
        url: Arc<str>,
        /// Reference to the secret that is sent as a bearer token.
        secret: Option<String>,
    },
}

/// Calls over HTTP that the process makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingPlan {
    /// PEM file with more trusted certificates, relative to the project.
    pub ca: Option<String>,
}

/// The gRPC port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcPlan {
    /// Where it listens.
    pub listen: core::net::SocketAddr,
}
