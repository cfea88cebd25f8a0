//! Every operation with a question that would be answered, and the world in which it is asked.

use serde_json::{Value as Json, json};
use tendon_testkit::certs::{Authority, Wanted};

use crate::{
    embed::{SECRET, python, with_badge},
    support::{Running, Sandbox, desk, eventually, input, tendon},
    tokens::Issuer,
};

/// What stands in reviews only: a field of the row, who answered, what he noted.
pub(super) const REVIEWED: [&str; 2] = ["48213977", "noted-by-a-person"];

/// A project with TLS, keys, tokens, certificates, gRPC, a letter, a decision and two reviews.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) issuer: Issuer,
    pub(super) http: u16,
    pub(super) grpc: u16,
    pub(super) ca: String,
    pub(super) admin: String,
    pub(super) decider: String,
    /// A token of the badge of `lead-score`, about the subject of that decision.
    pub(super) held: String,
    /// A decision that `decider` asked for.
    decision: String,
    /// Decisions that wait for a person: to look at, answered by one, and for whoever may to turn down.
    reviews: [String; 3],
    running: Option<Running>,
}

impl World {
    pub(super) fn start() -> Self {
        let issuer = Issuer::start(0, "ES256");
        let sandbox = Sandbox::with(
            1,
            &format!(
                "server: {{ grpc: {{ listen: 127.0.0.1:0 }}, tls: {{ cert: tls/server.pem, key: tls/server.key, client_ca: tls/ca.pem, \
                 clients: {{ billing: {{ san: billing.acme, scopes: [\"decide:lead-score\"] }}, audit: {{ san: audit.acme, scopes: [read] }} }} }} }}\n\
                 auth:\n  oidc:\n    company: {{ issuer: \"http://{}\", audience: [tendon], leeway: 0s, \
                 grants: {{ leads.score: [\"decide:lead-score\"], leads.read: [read] }} }}\n",
                issuer.address
            ),
        );
        let human =
            desk().replace("fallback: { default: 0.05 }", "output: { range: [0.9, 1] }\nfallback: { human: {} }");
        let human = human.replace(">= 0.1", ">= 0.93").replace(">= 0.055", ">= 0.905");
        sandbox.write("integrations/desk.yaml", &human);
        sandbox.crm.open().execute_batch("UPDATE leads SET age = 'forty'").unwrap();
        let badge =
            with_badge(include_str!("../support/lead-score.yaml"), "lifetime: 1h, origins: [\"https://crm.example\"]");
        sandbox.write("badge.secret", SECRET);
        let badge = format!("{badge}objectives: {{ answered: 99, fast: {{ percent: 90, within: 30s }} }}\n");
        sandbox.write("integrations/lead-score.yaml", &badge);
        std::fs::create_dir(sandbox.path("tls")).unwrap();
        let authority = Authority::new(&sandbox.path("tls"));
        authority.issue("server", Wanted::default());
        for name in ["billing", "audit", "other"] {
            let names = format!("{name}.acme");
            authority.issue(name, Wanted { names: &names, client: true, ..Wanted::default() });
        }
        let (admin, decider) = (sandbox.key("admin", &["admin"]), sandbox.key("decider", &["decide:lead-score"]));
        let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
        let running = Running::of(command.arg(sandbox.path("")).env("TENDON_LOG", "trace"));
        let line = running.wait_for_line("gRPC is spoken on ");
        let port = |text: &str| text.rsplit_once(':').unwrap().1.parse().unwrap();
        let mut world = Self {
            http: running.address.port(),
            grpc: port(&line),
            ca: authority.ca().to_str().unwrap().to_owned(),
            sandbox,
            issuer,
            admin,
            decider,
            held: python(&format!("print(sign({SECRET:?}, 'lead-score', '2', 3000))")),
            decision: String::new(),
            reviews: Default::default(),
            running: Some(running),
        };
        world.prepare();
        world
    }

    /// Makes what there is to see.
    fn prepare(&mut self) {
        let ask = |key: &str, path: &str, body: &Json| self.post(key, path, body)["id"].as_str().unwrap().to_owned();
        let decision = ask(&self.decider, "/v1/integrations/lead-score/decisions", &json!({ "input": input(2) }));
        let mut marked = input(3);
        marked["balance"] = 48_213_977.into();
        let marked = json!({ "input": marked });
        let reviews = [(); 3].map(|_| ask(&self.admin, "/v1/integrations/desk/decisions", &marked));
        (self.decision, self.reviews) = (decision, reviews);
        let verdict = json!({ "output": 0.95, "note": "noted-by-a-person", "by": "Ada" });
        self.post(&self.admin, &format!("/v1/reviews/{}/override", self.reviews[1]), &verdict);
        eventually("the letter is there", || self.sandbox.json(&["letters", "list"]).as_array().unwrap().len() == 1);
    }

    fn post(&self, key: &str, path: &str, body: &Json) -> Json {
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--cacert", &self.ca, "--data", &body.to_string()]);
        curl.args(["-H", "content-type: application/json", "-H", &format!("authorization: Bearer {key}")]);
        let output = curl.arg(format!("https://localhost:{}{path}", self.http)).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{path}: {output:?}"))
    }

    /// Ends the process; gives all that it said.
    pub(super) fn end(&mut self) -> String {
        self.running.take().unwrap().finish().join("\n")
    }

    /// A line of the key that the listener's certificate belongs to.
    pub(super) fn tls_key(&self) -> String {
        let text = std::fs::read_to_string(self.sandbox.path("tls/server.key")).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    }

    /// What a caller with this certificate carries.
    pub(super) fn certificate(&self, name: &str) -> Json {
        let path = |end: &str| self.sandbox.path(&format!("tls/{name}.{end}"));
        json!({ "cert": path("pem"), "key": path("key") })
    }

    /// A key made with these arguments.
    pub(super) fn made(&self, arguments: &[&str]) -> String {
        let output = self.sandbox.run(&[&["keys", "create"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// An operation and the question about it.
pub(super) struct Case {
    pub(super) operation: String,
    pub(super) rule: String,
    /// The integration that it asks, where it asks one.
    pub(super) integration: String,
    pub(super) question: Json,
}

impl Case {
    pub(super) fn grpc(&self) -> bool {
        self.question["surface"] == "grpc"
    }

    /// Whether a refusal stands inside of an answer whose own status is good.
    pub(super) fn inside(&self) -> bool {
        ["query ", "mutation "].iter().any(|kind| self.operation.starts_with(kind))
            || self.operation.ends_with("Stream")
    }

    /// Whether it is about one review, which is one of the desk's.
    pub(super) fn one_review(&self) -> bool {
        self.operation.contains("/v1/reviews/{id}")
    }

    fn new(operation: &str, rule: &str, question: Json) -> Self {
        Self { operation: operation.to_owned(), rule: rule.to_owned(), integration: "lead-score".to_owned(), question }
    }
}

/// All operations, in the order of the lists.
pub(super) fn all(world: &World) -> Vec<Case> {
    let mut all = Vec::new();
    for line in include_str!("../../../../doors/src/api/rules.txt").lines() {
        let (operation, rule) = line.rsplit_once(' ').unwrap();
        all.push(Case::new(operation, rule, http(world, operation)));
        if operation == "GET /v1/decisions/{id}" {
            // Of one that a person answered, the same address shows more.
            let reviewed = get(&format!("/v1/decisions/{}", world.reviews[1]));
            all.push(Case::new("GET /v1/decisions/{id} of a review", rule, reviewed));
        }
        if operation == "GET /v1/reviews/{id}" {
            let answered = get(&format!("/v1/reviews/{}", world.reviews[1]));
            all.push(Case::new("GET /v1/reviews/{id} once answered", rule, answered));
        }
    }
    for line in include_str!("../../../../doors/src/graphql/rules.txt").lines() {
        let (operation, rule) = line.rsplit_once(' ').unwrap();
        let body = json!({ "query": graphql(world, operation), "variables": { "input": input(5) } }).to_string();
        let question = json!({ "surface": "http", "method": "POST", "path": "/graphql", "body": body });
        all.push(Case::new(operation, rule, question));
    }
    for line in include_str!("../../../../doors/src/grpc/rules.txt").lines() {
        let (operation, rule) = line.rsplit_once(' ').unwrap();
        // Health and reflection are open: the client could not have found the rest without them.
        if let Some(method) = operation.strip_prefix("tendon.v1.Decisions ") {
            let question = json!({ "surface": "grpc", "method": method, "fields": grpc(world, method) });
            all.push(Case::new(operation, rule, question));
        } else {
            assert_eq!(rule, "open", "{operation}");
        }
    }
    all
}

fn get(path: &str) -> Json {
    json!({ "surface": "http", "method": "GET", "path": path })
}

fn http(world: &World, operation: &str) -> Json {
    let (method, path) = operation.split_once(' ').unwrap();
    let review = &world.reviews[if path.ends_with("/reject") { 2 } else { 0 }];
    let id = if path.starts_with("/v1/reviews") { review } else { &world.decision };
    // What changes nothing when it is allowed: a letter that is none, verdicts that cannot be. One may be given, once.
    let id = if path.starts_with("/v1/letters") { "none" } else { id };
    let body = match operation {
        "POST /v1/integrations/{name}/decisions" => json!({ "input": input(5) }),
        "POST /v1/integrations/{name}/batches" => json!({ "inputs": [input(5)] }),
        "POST /v1/reviews/{id}/override" => json!({ "output": 0.1 }),
        "POST /graphql" => json!({ "query": "{ project }" }),
        _ if method == "POST" => json!({}),
        "GET /v1/decisions" => return get("/v1/decisions?subject=2"),
        _ => {
            return get(&path
                .replace("{name}", "lead-score")
                .replace("{id}", id)
                .replace("/graphql", "/graphql?query=%7Bproject%7D"));
        }
    };
    let path = path.replace("{name}", "lead-score").replace("{id}", id);
    json!({ "surface": "http", "method": method, "path": path, "body": body.to_string() })
}

/// All members of a decision.
const DECISION: &str = "{ id seq integration at outcome erased caller subject door output classes band degraded review { state due at }
    model { name version digest } route recalled { from at ageMs stale } lookups { name state ageMs why } repaired { field how }
    error { code message pointer hint retryable } durable explanation { method base margin reasons { feature value contribution text } }
    deliveries { system resource state attempts cause } }";

fn graphql(world: &World, operation: &str) -> String {
    let page = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    let decision = &world.decision;
    match operation {
        "query project" => "{ project }".to_owned(),
        "query plan" => "{ plan }".to_owned(),
        "query decision" => format!("{{ decision(id: \"{decision}\") {DECISION} }}"),
        "query decisions" => format!("{{ decisions(first: 9, filter: {{ subject: \"2\" }}) {{ edges {{ cursor }} nodes {DECISION} {page} }} }}"),
        "query integrations" => "{ integrations { name purpose owner model doors bands input mutation } }".to_owned(),
        "query integration" => "{ integration(name: \"lead-score\") { name purpose owner model doors bands input mutation } }".to_owned(),
        "query models" => "{ models { name versions { version digest features outputs } integrations { integration alias version } } }".to_owned(),
        "query systems" => "{ systems { name kind breaker lastFailure waiting more oldest } }".to_owned(),
        "query letters" => format!("{{ letters {{ edges {{ cursor }} nodes {{ id integration decision system code message at }} {page} }} }}"),
        "mutation decide" => format!("mutation($input: JSON!) {{ decide(integration: \"lead-score\", input: $input) {{ decision {DECISION} replayed }} }}"),
        "mutation retryLetter" => "mutation { retryLetter(id: \"none\") { letter decision state } }".to_owned(),
        "mutation decide{Integration}" => format!("mutation($input: LeadScoreInput!) {{ decideLeadScore(input: $input) {{ decision {DECISION} replayed }} }}"),
        other => panic!("{other} has no question"),
    }
}

fn grpc(world: &World, method: &str) -> Json {
    match method {
        "Decide" | "DecideStream" => json!({ "integration": "lead-score", "fields": input(5) }),
        "Get" | "Explain" => json!({ "id": world.decision }),
        "List" => json!({ "subject": "2" }),
        "ListIntegrations" => json!({}),
        other => panic!("{other} has no question"),
    }
}
