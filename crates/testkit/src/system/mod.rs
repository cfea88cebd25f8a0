//! A business system in memory: tables with keys and a trigger that moves `updated_at`, people who edit rows, transactions
//! that commit late, and the faults of a network. Keeps the semantics of the kernel's `Connector` to the letter, so that
//! code above can be tested against it, and real connectors beside it.

mod connector;
mod faults;
mod table;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tendon_kernel::{context::Context, schema::Schema, sockets::connector::Allowed, time::Timestamp, value::Value};

pub use faults::Faults;
pub use table::Mark;

use crate::{Rng, lock};
use faults::Weather;
use table::{Key, Table};

/// A row as fields and values.
pub type Fields = BTreeMap<String, Value>;

struct State {
    tables: BTreeMap<String, Table>,
    weather: Weather,
    rng: Rng,
}

/// See the module's head. Cheap to clone; clones are the same system.
#[derive(Clone)]
pub struct FakeSystem {
    context: Context,
    allowed: Arc<Allowed>,
    state: Arc<Mutex<State>>,
}

/// A change that was made and is not visible yet. Dropped without [`Pending::commit`], it never happened.
#[must_use = "a change that is not committed never happens"]
pub struct Pending {
    system: FakeSystem,
    resource: String,
    fields: Fields,
}

impl Pending {
    /// Makes it visible, with the watermark it got when it began.
    pub fn commit(self) {
        self.system.with(&self.resource, |table| table.store(self.fields));
    }
}

impl FakeSystem {
    /// A system without tables. Time and latency come from the context, chances from the seed.
    pub fn new(context: Context, seed: u64, allowed: Allowed) -> Self {
        let rng = Rng::stream(seed, "fake system");
        let state = State { tables: BTreeMap::new(), weather: Weather::default(), rng };
        Self { context, allowed: Arc::new(allowed), state: Arc::new(Mutex::new(state)) }
    }

    /// The same system as a login with other rights sees it.
    #[must_use]
    pub fn login(&self, allowed: Allowed) -> Self {
        Self { allowed: Arc::new(allowed), ..self.clone() }
    }

    /// Adds a table. `mark`: the field that a trigger sets on every write, and how.
    pub fn table(&self, name: &str, key: &[&str], schema: Schema, mark: Option<Mark>) {
        let key = key.iter().map(|&field| field.to_owned()).collect();
        lock(&self.state).tables.insert(name.to_owned(), Table::new(key, schema, mark));
    }

    fn with<T>(&self, resource: &str, run: impl FnOnce(&mut Table) -> T) -> T {
        let mut state = lock(&self.state);
        let Some(table) = state.tables.get_mut(resource) else { panic!("the fake system has no table {resource}") };
        run(table)
    }

    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Somebody writes a row, whole or in part: fields not named keep their values. The trigger moves the mark.
    pub fn edit<const N: usize>(&self, resource: &str, fields: [(&str, Value); N]) {
        self.begin(resource, fields).commit();
    }

    /// Somebody writes a row in a transaction: the mark is taken now, and the row visible at [`Pending::commit`].
    pub fn begin<const N: usize>(&self, resource: &str, fields: [(&str, Value); N]) -> Pending {
        let now = self.now();
        let mut fields: Fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
        self.with(resource, |table| table.touch(&mut fields, now));
        Pending { system: self.clone(), resource: resource.to_owned(), fields }
    }

    /// Somebody writes a row without the trigger: its mark is what the fields say, or stays.
    pub fn plant<const N: usize>(&self, resource: &str, fields: [(&str, Value); N]) {
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
        self.with(resource, |table| table.store(fields));
    }

    /// Somebody removes a row.
    pub fn remove(&self, resource: &str, key: &[Value]) {
        self.with(resource, |table| table.rows.remove(&Key(key.to_vec())));
    }

    /// A row with all its fields.
    pub fn row(&self, resource: &str, key: &[Value]) -> Option<Fields> {
        self.with(resource, |table| table.rows.get(&Key(key.to_vec())).map(|row| row.fields.clone()))
    }

    /// All rows in key order.
    pub fn rows(&self, resource: &str) -> Vec<Fields> {
        self.with(resource, |table| table.rows.values().map(|row| row.fields.clone()).collect())
    }

    /// How often the connector (not [`FakeSystem::edit`]) has changed this row: what a trigger counted.
    pub fn writes(&self, resource: &str, key: &[Value]) -> u64 {
        self.with(resource, |table| table.written.get(&Key(key.to_vec())).copied().unwrap_or(0))
    }

    /// Every row that the connector changed, whole, as it stood right after the change, in order.
    pub fn history(&self, resource: &str) -> Vec<Fields> {
        self.with(resource, |table| table.history.clone())
    }

    /// How often the connector has changed any row.
    pub fn all_writes(&self) -> u64 {
        lock(&self.state).tables.values().flat_map(|table| table.written.values()).sum()
    }

    /// The system refuses writes to this row from now on (a constraint, a lock by a colleague), or takes them again.
    pub fn refuse(&self, resource: &str, key: &[Value], refuse: bool) {
        let key = Key(key.to_vec());
        self.with(resource, |table| if refuse { table.refused.insert(key) } else { table.refused.remove(&key) });
    }

    /// What goes wrong from now on, by chance.
    pub fn faults(&self, faults: Faults) {
        lock(&self.state).weather.faults = faults;
    }

    /// Does not answer for a while, from now.
    pub fn down_for(&self, duration: std::time::Duration) {
        let until = self.context.clock.monotonic().saturating_add(duration);
        lock(&self.state).weather.down_until = Some(until);
    }

    /// Answers again.
    pub fn up(&self) {
        lock(&self.state).weather.down_until = None;
    }

    /// The next `count` writes happen, but their answers are lost.
    pub fn lose_answers(&self, count: u32) {
        lock(&self.state).weather.losing = count;
    }

    /// The next `count` calls fail before anything happens.
    pub fn fail_calls(&self, count: u32) {
        lock(&self.state).weather.failing = count;
    }

    /// Writes find the system locked from now on, or no longer. Reading goes on.
    pub fn locked(&self, locked: bool) {
        lock(&self.state).weather.locked = locked;
    }

    /// How many calls arrived, failed ones too.
    pub fn calls(&self) -> u64 {
        lock(&self.state).weather.calls
    }

    /// How many of them repeated one that had failed: the same rows to write, the same read.
    pub fn repeats(&self) -> u64 {
        lock(&self.state).weather.repeats
    }

    /// Most calls that were under way at the same time.
    pub fn most_at_once(&self) -> u32 {
        lock(&self.state).weather.most_at_once
    }
}
