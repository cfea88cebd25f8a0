//! The second wall, inside SQLite: it asks before it compiles a statement whether each table and column in it may be
//! touched (<https://www.sqlite.org/c3ref/set_authorizer.html>). So a mistake in our SQL, or a name that got around
//! its quotes, ends as a refused statement and not as a read of somebody's salary.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Name of the one SQL function our statements may call.
pub(super) const EXACT: &str = "tendon_exact";

/// What statements of one connection may touch, by table.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Columns that may be read.
    pub(super) read: BTreeMap<String, BTreeSet<String>>,
    /// Columns that may be written. Empty on a connection that only reads.
    pub(super) write: BTreeMap<String, BTreeSet<String>>,
    /// Names of the file's views and triggers, whose bodies are the owner's.
    pub(super) bodies: BTreeSet<String>,
    /// Whether the next statements are about a view.
    pub(super) view: bool,
}

/// The rules, shared with the hook: they grow as tables are met, because only the catalog knows their keys.
pub(super) type Shared = Arc<Mutex<Rules>>;

/// Answers one question of SQLite's.
pub(super) fn decide(rules: &Shared, question: &AuthContext<'_>) -> Authorization {
    // A poisoned lock means a panic inside this file; refuse.
    let Ok(rules) = rules.lock() else { return Authorization::Deny };
    // The accessor is set while SQLite compiles the body of a view or trigger (the owner's; only a table or view that
    // passed below at the top level leads there), but also of any other named subquery. So the name must be known; inside a
    // view, subqueries have names nobody can know.
    let inside = question.accessor.is_some_and(|name| rules.view || rules.bodies.contains(name));
    let writes = !rules.write.is_empty();
    let lists = |map: &BTreeMap<String, BTreeSet<String>>, table: &str, column: &str| {
        map.get(table).is_some_and(|columns| column.is_empty() || columns.contains(column))
    };
    let allowed = match question.action {
        AuthAction::Select | AuthAction::Transaction { .. } => true,
        AuthAction::Savepoint { .. } => writes,
        AuthAction::Function { function_name } => inside || function_name == EXACT,
        AuthAction::Read { table_name, column_name } => {
            // A table in a view from which no column is needed is asked for without a column, at the top level.
            inside
                || (rules.view && column_name.is_empty())
                || lists(&rules.read, table_name, column_name)
                || lists(&rules.write, table_name, column_name)
        }
        AuthAction::Update { table_name, column_name } => {
            writes && (inside || lists(&rules.write, table_name, column_name))
        }
        AuthAction::Insert { .. } | AuthAction::Delete { .. } => writes && inside,
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
