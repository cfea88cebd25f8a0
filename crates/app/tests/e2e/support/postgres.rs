//! A project whose CRM is a real PostgreSQL behind a proxy that breaks the line. A trigger of the CRM's own notes each
//! write-back, so that what arrives twice shows.

use std::sync::OnceLock;

use tendon_testkit::{
    proxy::Proxy,
    servers::{PASSWORD, Postgres},
};

use super::{Running, Sandbox, eventually};

const TABLE: &str = r#"
CREATE TABLE leads (
  id bigint PRIMARY KEY, age bigint, job text, marital text, education text, "default" text, balance bigint,
  housing text, loan text, contact text, day bigint, month text, campaign bigint, pdays bigint, previous bigint,
  poutcome text, updated_at timestamptz NOT NULL DEFAULT now(), score double precision, score_band text,
  scored_at timestamptz);
CREATE TABLE writes (lead bigint, balance bigint, score double precision, scored_at timestamptz);
CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO writes VALUES (new.id, new.balance, new.score, new.scored_at); RETURN new; END';
CREATE TRIGGER note_write AFTER UPDATE OF score ON leads FOR EACH ROW EXECUTE FUNCTION note_write();
"#;

/// One server for all tests of this program; it ends with the program.
fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&["fsync=off"]))
}

/// The CRM, and the line to it.
pub(crate) struct PostgresCrm {
    database: String,
    pub(crate) proxy: Proxy,
}

impl PostgresCrm {
    /// A database of its own with so many leads.
    pub(crate) fn create(name: &str, leads: i64) -> Self {
        let database = format!("crm_{name}");
        server().sql("postgres", &format!("CREATE DATABASE {database};"));
        let crm = Self { database, proxy: Proxy::start(server().port()) };
        crm.sql(TABLE);
        crm.add(1, leads);
        crm
    }

    /// The system's block in `tendon.yaml`. `limits`: how hard it may be used.
    pub(crate) fn block(&self, limits: &str) -> String {
        let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = format!("postgres://app:{password}@127.0.0.1:{}/{}", self.proxy.port(), self.database);
        let read = "id, age, job, marital, education, default, balance, housing, loan, contact, day, month, campaign, \
                    pdays, previous, poutcome, updated_at";
        format!(
            "  remote:\n    kind: postgres\n    url: \"{url}\"\n    connect_timeout: 300\n    statement_timeout: 300\n    \
             read: {{ leads: [{read}] }}\n    write: {{ leads: [score, score_band, scored_at] }}\n    \
             limits: {{ {limits} }}\n"
        )
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        server().sql(&self.database, sql)
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        let text = self.sql(sql);
        text.trim().parse().unwrap_or_else(|_| panic!("{sql}: {text}"))
    }

    /// Adds leads with ids from `first` on.
    pub(crate) fn add(&self, first: i64, count: i64) {
        self.sql(&format!(
            "INSERT INTO leads SELECT id, 20 + id % 60, 'technician', 'single', 'secondary', 'no', id * 7 % 9000, 'yes', \
             'no', 'cellular', 5, 'may', 1, -1, 0, 'unknown' FROM generate_series({first}, {}) AS id;",
            first + count - 1
        ));
    }

    /// A person changes a lead.
    pub(crate) fn change(&self, id: i64, balance: i64) {
        self.sql(&format!("UPDATE leads SET balance = {balance}, updated_at = now() WHERE id = {id};"));
    }

    /// Whether every lead's score is the one of what stands in its row now.
    pub(crate) fn all_scored(&self) -> bool {
        self.number(
            "SELECT count(*) FROM leads l WHERE score IS NULL OR score_band IS NULL OR scored_at IS NULL OR NOT EXISTS \
             (SELECT 1 FROM writes w WHERE w.lead = l.id AND w.balance = l.balance AND w.scored_at = l.scored_at);",
        ) == 0
    }

    /// Decisions whose write-back happened twice.
    pub(crate) fn doubled(&self) -> i64 {
        self.number(
            "SELECT count(*) FROM (SELECT 1 FROM writes GROUP BY lead, scored_at HAVING count(*) > 1) AS twice;",
        )
    }
}

/// A project with the usual CRM (integration `lead-score`) and the same question about the PostgreSQL's leads (integration
/// `remote`).
pub(crate) fn sandbox(crm: &PostgresCrm, local: i64, limits: &str) -> Sandbox {
    let sandbox = Sandbox::new(local);
    let text = include_str!("tendon.yaml").replace("models:\n", &format!("{}models:\n", crm.block(limits)));
    sandbox.write("tendon.yaml", &text);
    let remote = include_str!("lead-score.yaml")
        .replace("integration: lead-score", "integration: remote")
        .replace("crm.leads", "remote.leads")
        .replace("scored_at: now }", "scored_at: now }, poll: 200ms, sweep: 2s");
    sandbox.write("integrations/remote.yaml", &remote);
    sandbox
}

/// A number from `/metrics`, summed over all lines that begin so.
pub(crate) fn metric(running: &Running, begin: &str) -> f64 {
    let answer = running.request("GET", "/metrics", &[], "");
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(begin));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// Waits until nothing is left to do with the PostgreSQL's leads.
pub(crate) fn at_rest(running: &Running, crm: &PostgresCrm) {
    eventually("all is scored as it stands", || crm.all_scored());
    eventually("nothing waits", || {
        let outbox = running.part("outbox");
        outbox["detail"]["waiting"] == 0 && outbox["detail"]["more"] == false
    });
}
