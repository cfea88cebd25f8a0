//! What SQLite's errors mean to those who call: worth a retry, our defect, or the row's own fault.

use rusqlite::ErrorCode;
use tendon_kernel::{Error, ErrorKind};

/// Code of an error that says: the file cannot be used, open it anew next time.
pub(super) const UNREACHABLE: &str = "system_unreachable";
/// Code of an error that says: somebody holds the lock.
pub(super) const LOCKED: &str = "system_locked";

/// An error of a whole attempt. SQLite's own text (it names tables and columns) goes into the private half.
pub(super) fn of(system: &str, attempt: &'static str, error: &rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let (kind, name, hint) = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Unavailable, LOCKED, "another program holds the database's lock; it is tried again")
        }
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::SystemIoFailure
            | ErrorCode::DiskFull
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::SchemaChanged,
        ) => (ErrorKind::Unavailable, UNREACHABLE, "look whether the file is there, whole, and may be opened"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (ErrorKind::Forbidden, "system_read_only", "let Tendon's user write the file and its folder")
        }
        Some(ErrorCode::AuthorizationForStatementDenied) => (
            ErrorKind::Forbidden,
            "field_not_allowed",
            "the statement would touch a field that is not listed under the system",
        ),
        Some(ErrorCode::OutOfMemory) => (ErrorKind::Overloaded, "out_of_memory", "SQLite got no memory"),
        _ => (ErrorKind::Internal, "statement_failed", "SQLite did not accept the statement; this is a defect"),
    };
    Error::new(kind, name, format!("{attempt} failed")).with("system", system).hint(hint).private(error)
}

/// The error of one row that the system refused (constraint, trigger, type of a strict table); `None` when it is not the
/// row's own fault.
pub(super) fn of_row(system: &str, resource: &str, error: &rusqlite::Error) -> Option<Error> {
    let what = match error.sqlite_error_code()? {
        ErrorCode::ConstraintViolation => constraint(error.sqlite_error()?.extended_code),
        ErrorCode::TypeMismatch => "the value's type",
        ErrorCode::TooBig => "the value's size",
        _ => return None,
    };
    Some(
        Error::new(ErrorKind::Invalid, "write_refused", format!("the system refused the row: {what}"))
            .with("system", system)
            .with("resource", resource)
            .hint("change the row or the rule in the system, then retry")
            .private(error),
    )
}

fn constraint(extended: std::ffi::c_int) -> &'static str {
    use rusqlite::ffi;
    match extended {
        ffi::SQLITE_CONSTRAINT_CHECK => "a CHECK constraint",
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => "a FOREIGN KEY constraint",
        ffi::SQLITE_CONSTRAINT_NOTNULL => "a NOT NULL constraint",
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => "a UNIQUE constraint",
        ffi::SQLITE_CONSTRAINT_TRIGGER => "a trigger",
        ffi::SQLITE_CONSTRAINT_DATATYPE => "a column's type",
        _ => "a constraint",
    }
}
