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
}

/// The rules, shared with the hook: they grow as tables are met, because only the catalog knows their keys.
pub(super) type Shared = Arc<Mutex<Rules>>;

/// Answers one question of SQLite's.
pub(super) fn decide(rules: &Shared, question: &AuthContext<'_>) -> Authorization {
    // A poisoned lock means a panic inside this file; refuse.
    let Ok(rules) = rules.lock() else { return Authorization::Deny };
    // Set while SQLite compiles the body of a view or trigger. Those are the owner's, and only a table or view that
    // passed below at the top level can lead there.
    let inside = question.accessor.is_some();
    let writes = !rules.write.is_empty();
    let lists = |map: &BTreeMap<String, BTreeSet<String>>, table: &str, column: &str| {
        map.get(table).is_some_and(|columns| column.is_empty() || columns.contains(column))
    };
    let allowed = match question.action {
        AuthAction::Select | AuthAction::Transaction { .. } => true,
        AuthAction::Savepoint { .. } => writes,
        AuthAction::Function { function_name } => inside || function_name == EXACT,
        AuthAction::Read { table_name, column_name } => {
            inside || lists(&rules.read, table_name, column_name) || lists(&rules.write, table_name, column_name)
        }
        AuthAction::Update { table_name, column_name } => {
            writes && (inside || lists(&rules.write, table_name, column_name))
        }
        AuthAction::Insert { .. } | AuthAction::Delete { .. } => writes && inside,
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
