//! From a changed row to its score in the row, in a real PostgreSQL, beside what that server does alone: the same values
//! written by `psql`, row by row in transactions as large as ours, and all of them in one statement. The server stands on the
//! core of the load generator in all three.

use std::time::Instant;

use tendon_testkit::servers::Postgres;

use super::watch::follow;
use crate::{
    Res, Setting,
    project::{self, Variant},
    request::FEATURES,
    table::Row,
};

const ROWS: i64 = 50_000;
/// Statements of one transaction when `psql` writes row by row.
const TRANSACTION: i64 = 500;
/// Login of the measured project.
const LOGIN: &str = "CREATE ROLE bench LOGIN PASSWORD 'bench';\
    GRANT SELECT ON leads TO bench; GRANT UPDATE (score, score_band, scored_at) ON leads TO bench;\
    GRANT pg_read_all_stats TO bench;";

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let server = Postgres::start(&[]);
    server.try_sql("postgres", &table())?;
    let single = timed(&server, &one_by_one())?;
    server.try_sql("postgres", "VACUUM FULL ANALYZE leads")?;
    let whole = timed(&server, "UPDATE leads SET score = random(), score_band = 'green', scored_at = now();")?;
    server.try_sql("postgres", "UPDATE leads SET score = NULL, score_band = NULL, scored_at = NULL")?;
    server.try_sql("postgres", "VACUUM FULL ANALYZE leads")?;
    server.try_sql("postgres", LOGIN)?;
    let started = project::start(setting, Variant::Postgres(server.port()))?;
    let found = follow(&started.server, ROWS, || count(&server))?;
    let name = |what: &str| format!("{what}, {ROWS} rows");
    let database = "UPDATE one by one";
    rows.extend([
        Row::new("postgres", name(&format!("{database} by psql, {TRANSACTION} in a transaction")), single, "rows/s"),
        Row::new("postgres", name("one UPDATE of all rows by psql"), whole, "rows/s").against(database, single),
        Row::new("postgres", name("watch to write-back"), found.rate, "rows/s").against(database, single),
    ]);
    Ok(())
}

fn table() -> String {
    let columns: Vec<String> =
        (0..FEATURES).map(|feature| format!("f{feature:02} double precision NOT NULL")).collect();
    let random = vec!["random()"; FEATURES].join(", ");
    format!(
        "CREATE TABLE leads (id bigint PRIMARY KEY, {}, updated_at timestamptz NOT NULL, score double precision, score_band \
         text, scored_at timestamptz); CREATE INDEX leads_updated ON leads (updated_at, id); INSERT INTO leads SELECT n, {random}, \
         to_timestamp(1700000000 + n), NULL, NULL, NULL FROM generate_series(1, {ROWS}) AS n; VACUUM ANALYZE leads;",
        columns.join(", ")
    )
}

/// What a careful script would send.
fn one_by_one() -> String {
    let mut sql = String::new();
    for first in (1..=ROWS).step_by(usize::try_from(TRANSACTION).unwrap_or(1)) {
        sql.push_str("BEGIN;\n");
        for id in first..(first + TRANSACTION).min(ROWS + 1) {
            let score = id as f64 / ROWS as f64;
            sql.push_str(&format!(
                "UPDATE leads SET score = {score}, score_band = 'green', scored_at = now() WHERE id = {id};\n"
            ));
        }
        sql.push_str("COMMIT;\n");
    }
    sql
}

fn timed(server: &Postgres, sql: &str) -> Res<f64> {
    let begun = Instant::now();
    server.try_sql("postgres", sql)?;
    Ok(ROWS as f64 / begun.elapsed().as_secs_f64())
}

fn count(server: &Postgres) -> Res<i64> {
    let found = server.try_sql("postgres", "SELECT count(*) FROM leads WHERE scored_at IS NOT NULL")?;
    found.trim().parse().map_err(|_| format!("the scored rows could not be counted: psql printed {found:?}"))
}
