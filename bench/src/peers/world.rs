//! What all services are measured in: one PostgreSQL with the CRM and the databases of the services, a folder for each.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tendon_testkit::servers::Postgres;

use crate::{Res, Setting, parts::watch::follow, process::Server, request::FEATURES};

/// Leads in the CRM; every request is about one of them.
pub(super) const LEADS: i64 = 50_000;
/// Databases of the services that record or write back: each has its own, so that none finds another's rows.
const DATABASES: [&str; 4] = ["tendon_crm", "audit", "audit_back", "careful_crm"];
/// The key of the caller of every service that checks one, but Tendon, which makes its own.
pub(super) const KEY: &str = "a-key-that-is-long-enough-for-a-measurement";

/// The surroundings of all services.
pub(super) struct World<'a> {
    pub(super) setting: &'a Setting,
    folder: PathBuf,
    postgres: Postgres,
}

impl<'a> World<'a> {
    /// Starts the database and fills the CRMs.
    pub(super) fn new(setting: &'a Setting) -> Res<Self> {
        let folder =
            fs::canonicalize(&setting.folder).map_err(|error| format!("{}: {error}", setting.folder.display()))?;
        let world = Self { setting, folder: folder.join("peers"), postgres: Postgres::start(&[]) };
        let schema = fs::read_to_string("bench/peers/careful/schema.sql").map_err(|error| error.to_string())?;
        world.sql("postgres", "CREATE ROLE bench LOGIN PASSWORD 'bench'; GRANT pg_read_all_stats TO bench;")?;
        for database in DATABASES {
            world.sql("postgres", &format!("CREATE DATABASE {database}"))?;
            if database.ends_with("_crm") {
                world.sql(database, &leads())?;
                world.sql(database, "VACUUM ANALYZE leads")?;
            } else {
                world.sql(database, &schema)?;
                world.sql(database, &format!("INSERT INTO callers VALUES ('bench', sha256('{KEY}'))"))?;
                world.sql(database, "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO bench")?;
            }
        }
        Ok(world)
    }

    /// Address of a database. Without TLS: it stands on the same machine, and nobody shall pay for that.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://bench:bench@127.0.0.1:{}/{database}?sslmode=disable", self.postgres.port())
    }

    /// Runs SQL as the administrator.
    pub(super) fn sql(&self, database: &str, sql: &str) -> Res<String> {
        self.postgres.try_sql(database, sql)
    }

    /// A count that SQL gives.
    pub(super) fn count(&self, database: &str, sql: &str) -> Res<i64> {
        let found = self.sql(database, sql)?;
        found.trim().parse().map_err(|_| format!("`{sql}` gave {found:?}, which is no number"))
    }

    /// Rows per second that a watch scores and writes back until none is left.
    pub(super) fn followed(&self, server: &Server) -> Res<f64> {
        let scored = || self.count("tendon_crm", "SELECT count(*) FROM leads WHERE scored_at IS NOT NULL");
        Ok(follow(server, LEADS, scored)?.rate)
    }

    /// Waits until SQL counts nothing any more.
    pub(super) fn until_none(&self, database: &str, sql: &str) -> Res<()> {
        let begun = Instant::now();
        loop {
            match self.count(database, sql)? {
                0 => return Ok(()),
                left if begun.elapsed() > Duration::from_secs(120) => {
                    return Err(format!("{left} were left after two minutes: {sql}"));
                }
                _ => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// The folder in which a service runs: a copy of its sources with the model, made once.
    pub(super) fn folder(&self, service: &str, sources: &str, model: &str) -> Res<PathBuf> {
        let folder = self.folder.join(service);
        if !folder.exists() {
            let failed = |error: std::io::Error| format!("{} could not be filled: {error}", folder.display());
            copy(&Path::new("bench/peers").join(sources), &folder).map_err(failed)?;
            let model = folder.join(model);
            fs::create_dir_all(model.parent().unwrap_or(&folder)).map_err(failed)?;
            fs::copy(&self.setting.model, model).map_err(failed)?;
        }
        Ok(folder)
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn leads() -> String {
    let columns: Vec<String> =
        (0..FEATURES).map(|feature| format!("f{feature:02} double precision NOT NULL")).collect();
    let random = vec!["random()"; FEATURES].join(", ");
    format!(
        "CREATE TABLE leads (id text PRIMARY KEY, {}, updated_at timestamptz NOT NULL, score double precision, score_band text, \
         scored_at timestamptz); CREATE INDEX leads_updated ON leads (updated_at, id); INSERT INTO leads SELECT \
         lpad(n::text, 12, '0'), {random}, to_timestamp(1700000000 + n), NULL, NULL, NULL FROM generate_series(0, {LEADS} - 1) AS n; \
         GRANT SELECT ON leads TO bench; GRANT UPDATE (score, score_band, scored_at) ON leads TO bench;",
        columns.join(", ")
    )
}
