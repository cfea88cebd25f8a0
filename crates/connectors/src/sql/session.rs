//! A session: a connection that is opened when needed, and opened anew when it was lost; what is known about tables; and
//! what the database's failures mean to those who call.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::{Error, ErrorKind, Result, schema::Catalog};

use super::{Cause, Dialect, Driver, Fault, config::Endpoint, table::Table};
use crate::{guard::Guard, settings};

/// How often a batch is written anew at once when a conflict ended it.
const CONFLICTS: u32 = 2;

/// What a worker owns.
pub(crate) struct Session {
    guard: Arc<Guard>,
    endpoint: Arc<Endpoint>,
    dialect: &'static dyn Dialect,
    open: Option<Open>,
}

/// An open connection.
pub(crate) struct Open {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) guard: Arc<Guard>,
    schema: Option<String>,
    /// How far times without a zone are ahead of UTC.
    ahead: i64,
    tables: BTreeMap<String, Arc<Table>>,
}

/// A failure inside a session: of the database, or of the request.
pub(crate) enum Failure {
    Fault(Fault),
    Request(Error),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl Session {
    pub(crate) fn new(guard: Arc<Guard>, endpoint: Arc<Endpoint>, dialect: &'static dyn Dialect) -> Self {
        Self { guard, endpoint, dialect, open: None }
    }

    /// Reads. When a connection that stood open turns out to be gone or out of date, once more on a new one.
    pub(crate) fn reading<T>(
        &mut self,
        attempt: &'static str,
        mut job: impl FnMut(&mut Open) -> Result<T, Failure>,
    ) -> Result<T> {
        let stale = self.open.is_some();
        match self.once(&mut job) {
            Err(Failure::Fault(fault)) if stale && matches!(fault.cause, Cause::Lost | Cause::Changed) => {
                self.open = None;
                self.once(&mut job)
            }
            other => other,
        }
        .map_err(|failure| self.error(attempt, failure))
    }

    /// Writes. A batch whose connection is lost is not repeated here: whether it was committed is unknown, and the next
    /// attempt's read-back decides. Only a connection that was lost before it was used is replaced first.
    pub(crate) fn writing<T>(&mut self, mut job: impl FnMut(&mut Open) -> Result<T, Failure>) -> Result<T> {
        let attempt = "writing back";
        let stale = self.open.as_mut().is_some_and(|open| open.driver.execute("SELECT 1").is_err());
        if stale {
            self.open = None;
        }
        let mut left = CONFLICTS;
        loop {
            match self.once(&mut job) {
                // Nothing was done yet: the statement did not fit the table any more.
                Err(Failure::Fault(fault)) if left > 0 && fault.cause == Cause::Changed => self.open = None,
                // Nothing stands of what was done.
                Err(Failure::Fault(fault)) if left > 0 && fault.cause == Cause::Conflict => {}
                other => return other.map_err(|failure| self.error(attempt, failure)),
            }
            left -= 1;
        }
    }

    fn once<T>(&mut self, job: &mut impl FnMut(&mut Open) -> Result<T, Failure>) -> Result<T, Failure> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open {
                driver: self.dialect.connect(&self.endpoint)?,
                dialect: self.dialect,
                guard: Arc::clone(&self.guard),
                schema: self.endpoint.schema.clone(),
                ahead: self.endpoint.ahead,
                tables: BTreeMap::new(),
            }),
        };
        let result = job(open);
        if let Err(Failure::Fault(fault)) = &result
            && matches!(fault.cause, Cause::Lost | Cause::Slow | Cause::Statement)
        {
            self.open = None;
        }
        result
    }

    /// All resources, and what the login may do with them where it can be asked.
    pub(crate) fn catalog(open: &mut Open) -> Result<Catalog, Failure> {
        let schema = open.schema.clone();
        let tables = open.dialect.tables(open.driver.as_mut(), schema.as_deref(), None)?;
        let mut catalog = Catalog::default();
        for table in tables {
            if !table.refused.is_empty() {
                catalog.refused.insert(table.name.clone(), table.refused.clone());
            }
            catalog.resources.push(table.resource());
        }
        catalog.resources.sort_by(|one, two| one.name.cmp(&two.name));
        catalog.privileges = open.dialect.privileges(open.driver.as_mut(), schema.as_deref())?;
        Ok(catalog)
    }

    fn error(&self, attempt: &'static str, failure: Failure) -> Error {
        let fault = match failure {
            Failure::Request(error) => return error,
            Failure::Fault(fault) => fault,
        };
        let (kind, code, hint) = match fault.cause {
            Cause::Lost => (
                ErrorKind::Unavailable,
                "system_unreachable",
                "look whether the database runs and is reachable at the address; it is tried again",
            ),
            Cause::Slow => {
                (ErrorKind::Timeout, "system_slow", "the database did not answer in time; it is tried again")
            }
            Cause::Locked | Cause::Conflict => {
                (ErrorKind::Unavailable, "system_locked", "another program holds the rows' lock; it is tried again")
            }
            Cause::Login => (
                ErrorKind::Unavailable,
                "system_refused_login",
                "look at user, password and the database's rules for logins",
            ),
            Cause::Denied => (
                ErrorKind::Forbidden,
                "system_denied",
                "`tendon systems access` prints the GRANT statements that the login needs",
            ),
            Cause::ReadOnly => {
                (ErrorKind::Unavailable, "system_read_only", "the database takes no writes now; it is tried again")
            }
            Cause::Row(_) | Cause::Changed | Cause::Statement => {
                (ErrorKind::Internal, "statement_failed", "the database did not accept the statement; this is a defect")
            }
        };
        Error::new(kind, code, format!("{attempt} failed"))
            .with("system", &self.guard.system)
            .hint(hint)
            .private(fault.detail)
    }
}

impl Open {
    /// What is known about a table, asking the database the first time.
    pub(crate) fn table(&mut self, name: &str) -> Result<Arc<Table>, Failure> {
        if let Some(table) = self.tables.get(name) {
            return Ok(Arc::clone(table));
        }
        let schema = self.schema.clone();
        let found = self.dialect.tables(self.driver.as_mut(), schema.as_deref(), Some(name))?;
        let Some(mut table) = found.into_iter().find(|table| table.name == name) else {
            let all = self.dialect.tables(self.driver.as_mut(), schema.as_deref(), None)?;
            let names: Vec<&str> =
                all.iter().map(|table| table.name.as_str()).filter(|name| self.guard.knows(name)).collect();
            return Err(Error::new(ErrorKind::NotFound, "resource_unknown", "the system has no such table or view")
                .with("system", &self.guard.system)
                .with("resource", name)
                .hint(settings::suggestion(name, &names))
                .into());
        };
        for ahead in table.columns.iter_mut().filter_map(|column| column.ahead.as_mut()) {
            *ahead = self.ahead;
        }
        let table = Arc::new(table);
        self.tables.insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    /// An error about a resource.
    pub(crate) fn wrong(&self, kind: ErrorKind, code: &'static str, message: &'static str, resource: &str) -> Error {
        Error::new(kind, code, message).with("system", &self.guard.system).with("resource", resource)
    }
}
