//! Decisions that look a row up in PostgreSQL: one by one, many at once, and as a batch, which asks for all its rows together.

use tendon_testkit::servers::{PASSWORD, Postgres};

use super::doors::{RECORDS, batch, block_on};
use crate::{
    Res, Setting,
    load::closed,
    project::{self, BOOKS, PEOPLE, Variant},
    table::Row,
};

const CONNECTIONS: usize = 64;

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let books = Postgres::start(&[]);
    books.try_sql("postgres", &people())?;
    let folder = setting.folder.join("lookedup");
    let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = format!("postgres://app:{password}@127.0.0.1:{}/postgres", books.port());
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join(BOOKS), url))
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let started = project::start(setting, Variant::LookedUp)?;
    let single = rate(&started, 1, setting)?;
    let many = rate(&started, CONNECTIONS, setting)?;
    let batch = block_on(batch(&started, RECORDS, PEOPLE, "\"state\":\"fresh\""))?;
    let name = |how: String| format!("a row of PostgreSQL looked up, {how}");
    rows.extend([
        Row::new("lookups", name("one by one, 1 connection".into()), single, "rows/s"),
        Row::new("lookups", name(format!("one by one, {CONNECTIONS} connections")), many, "rows/s")
            .against("1 connection", single),
        Row::new("lookups", name(format!("a batch of {RECORDS}, 1 connection")), batch, "rows/s")
            .against("one by one", single),
    ]);
    Ok(())
}

/// A row for each person that the requests are about.
fn people() -> String {
    format!(
        "CREATE TABLE people (id text PRIMARY KEY, f00 double precision NOT NULL); INSERT INTO people SELECT lpad(n::text, 12, \
         '0'), random() FROM generate_series(0, {}) AS n; ANALYZE people;",
        PEOPLE - 1
    )
}

fn rate(started: &project::Started, connections: usize, setting: &Setting) -> Res<f64> {
    let found = closed(&started.target, connections, setting.time)?;
    if found.refused > 0 {
        return Err(format!("{} answers had another status than 200", found.refused));
    }
    Ok(found.rate)
}
