//! The catalog: tables, views, columns, keys, read with SQLite's own pragmas (<https://www.sqlite.org/pragma.html>).

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _};
use tendon_kernel::{
    Type,
    schema::{Catalog, Field, Resource, Schema},
};

use super::value;

/// A table or view, with what reading and writing need to know.
pub(super) struct Table {
    /// Name as the schema spells it.
    pub(super) name: String,
    /// Whether rows can be updated: a real table.
    pub(super) writable: bool,
    /// Whether it is a view.
    pub(super) view: bool,
    /// Columns with a kernel type, in the table's order.
    pub(super) columns: Vec<Column>,
    /// The primary key's columns; empty: none.
    pub(super) key: Vec<String>,
    /// Keys that tell rows apart: the primary key and unique indexes, each column with the collation it is compared by.
    uniques: Vec<Vec<(String, Option<String>)>>,
    /// The column that is the row's own number and always there (`INTEGER PRIMARY KEY`).
    row_id: Option<String>,
    /// Whether any column names a collation, so that comparisons must name theirs.
    collated: bool,
    /// Table and column pairs that foreign keys point to.
    pub(super) parents: Vec<(String, String)>,
}

/// A column.
pub(super) struct Column {
    /// Name.
    pub(super) name: String,
    /// Type.
    pub(super) kind: Type,
    required: bool,
    /// Computed by SQLite; cannot be written.
    pub(super) generated: bool,
}

/// A column of a key, as statements need it.
pub(super) struct KeyColumn {
    /// The quoted name, with its collation where it must be named.
    pub(super) sql: String,
    /// Type.
    pub(super) kind: Type,
    /// The quoted name when values in it may be such that they cannot be told exactly.
    pub(super) inexact: Option<String>,
}

impl Table {
    /// A column by name.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The collation of a comparison on a column outside any key, as SQL.
    pub(super) fn binary(&self) -> &'static str {
        if self.collated { " COLLATE BINARY" } else { "" }
    }

    /// The columns of a key, if it tells rows apart. For a view nobody can know; the plan is trusted.
    pub(super) fn key_columns(&self, key: &[String]) -> Option<Vec<KeyColumn>> {
        let unique = self.uniques.iter().find(|unique| unique.iter().all(|(name, _)| key.contains(name)));
        if self.writable && unique.is_none() {
            return None;
        }
        key.iter()
            .map(|name| {
                let kind = self.column(name)?.kind;
                let collation = unique.and_then(|unique| unique.iter().find(|(column, _)| column == name));
                let collation = match collation.and_then(|(_, collation)| collation.as_deref()) {
                    Some(collation) => format!(" COLLATE {}", value::quoted(collation)),
                    None => self.binary().to_owned(),
                };
                let quoted = value::quoted(name);
                Some(KeyColumn {
                    sql: format!("{quoted}{collation}"),
                    kind,
                    inexact: (self.row_id.as_ref() != Some(name)).then_some(quoted),
                })
            })
            .collect()
    }

    fn resource(&self) -> Resource {
        let field = |column: &Column| {
            let mut field = Field::new(&column.name, column.kind);
            field.required = column.required;
            if column.generated {
                field.about = Some("computed by the database".to_owned());
            }
            field
        };
        Resource {
            name: self.name.clone(),
            key: self.key.clone(),
            schema: Schema::new(self.columns.iter().map(field).collect()),
        }
    }
}

/// Names of tables and views with their kind (`table`, `view`, `virtual`), sorted; without SQLite's own.
pub(super) fn names(schema: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    schema
        .prepare_cached(
            "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Names of all views and triggers.
pub(super) fn bodies(schema: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    schema
        .prepare_cached("SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger')")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// All resources. A view that no longer compiles (its table has gone) is left out with a warning.
pub(super) fn all(schema: &Connection) -> rusqlite::Result<Catalog> {
    let mut resources = Vec::new();
    for (name, kind) in names(schema)? {
        match load(schema, &name, &kind) {
            Ok(table) => resources.push(table.resource()),
            Err(error) if kind == "view" && error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => {
                tracing::warn!(view = name, "left out of the catalog: the view does not compile");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Catalog { resources, ..Catalog::default() })
}

/// One table or view by its exact name.
pub(super) fn one(schema: &Connection, name: &str) -> rusqlite::Result<Option<Table>> {
    let found = names(schema)?.into_iter().find(|(found, _)| found == name);
    found.map(|(name, kind)| load(schema, &name, &kind)).transpose()
}

fn load(schema: &Connection, name: &str, kind: &str) -> rusqlite::Result<Table> {
    let mut columns = Vec::new();
    let mut key: Vec<(i64, String)> = Vec::new();
    let mut statement =
        schema.prepare_cached("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let (column, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (required, place, hidden): (bool, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        if place > 0 {
            key.push((place, column.clone()));
        }
        // Hidden columns of virtual tables (1) are arguments, not data.
        match value::kind(&declared) {
            Some(kind) if hidden != 1 => {
                columns.push(Column { name: column, kind, required, generated: hidden > 1 });
            }
            _ => tracing::debug!(table = name, column, "left out of the catalog: holds blobs or is hidden"),
        }
    }
    key.sort_unstable();
    let mut key: Vec<String> = key.into_iter().map(|(_, column)| column).collect();
    let (mut uniques, primary_has_index) = unique_indexes(schema, name)?;
    let without_row_id: bool = schema
        .prepare_cached("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?
        .unwrap_or(false);
    let row_id = (key.len() == 1 && !primary_has_index && !without_row_id).then(|| key[0].clone());
    if let Some(row_id) = &row_id {
        uniques.insert(0, vec![(row_id.clone(), None)]);
        columns.iter_mut().filter(|column| column.name == *row_id).for_each(|column| column.required = true);
    }
    if key.iter().any(|part| columns.iter().all(|column| column.name != *part)) {
        // A key with a blob in it cannot be told.
        key.clear();
    }
    let sql: Option<String> = schema
        .prepare_cached("SELECT sql FROM sqlite_schema WHERE name = ?1 AND type IN ('table', 'view')")?
        .query_row([name], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(Table {
        name: name.to_owned(),
        writable: kind == "table",
        view: kind == "view",
        columns,
        key,
        uniques,
        row_id,
        collated: kind == "view" || sql.is_some_and(|sql| sql.to_ascii_uppercase().contains("COLLATE")),
        parents: parents(schema, name)?,
    })
}

/// Unique indexes without a WHERE, as columns with collation, and whether one of them carries the primary key.
type Uniques = (Vec<Vec<(String, Option<String>)>>, bool);

fn unique_indexes(schema: &Connection, table: &str) -> rusqlite::Result<Uniques> {
    let mut indexes = schema.prepare_cached(
        "SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0 ORDER BY origin <> 'pk', seq",
    )?;
    let indexes: Vec<(String, String)> =
        indexes.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut uniques = Vec::new();
    let mut primary = false;
    for (index, origin) in indexes {
        primary |= origin == "pk";
        let mut parts =
            schema.prepare_cached("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?;
        let parts: Vec<(Option<String>, String)> =
            parts.query_map([index], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        // A part without a name is an expression.
        let named: Option<Vec<_>> = parts
            .into_iter()
            .map(|(name, collation)| Some((name?, (collation != "BINARY").then_some(collation))))
            .collect();
        uniques.extend(named);
    }
    Ok((uniques, primary))
}

/// Where foreign keys point. A key that names no column points to the parent's primary key.
fn parents(schema: &Connection, table: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = schema.prepare_cached("SELECT \"table\", \"to\" FROM pragma_foreign_key_list(?1)")?;
    let pairs: Vec<(String, Option<String>)> =
        statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for (parent, column) in pairs {
        if let Some(column) = column {
            found.push((parent, column));
        } else {
            let mut key = schema.prepare_cached("SELECT name FROM pragma_table_info(?1) WHERE pk > 0")?;
            for column in key.query_map([&parent], |row| row.get(0))? {
                found.push((parent.clone(), column?));
            }
        }
    }
    Ok(found)
}
