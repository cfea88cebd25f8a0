//! The fake system of the simulation under the contract of the real ones: what passes in simulation must hold outside.
//! It does not imitate: rows without a watermark (it leaves them out of a watch), the resource's own key beside the listed
//! fields, keys asked for twice, suggestions for unknown names, numbers that are not finite, the error codes of an outage,
//! and recognising its own values when the condition would let a write through again.

use std::{any::Any, cell::RefCell, sync::Arc, time::Duration};

use tendon_kernel::{
    Value,
    schema::Resource,
    sockets::connector::{Allowed, Capability, Connector},
};
use tendon_testkit::{FakeSystem, Sim};

use crate::fixture::Fixture;

/// Name of the kind.
pub(crate) const KIND: &str = "fake";

/// See the module.
pub(crate) struct FakeFixture {
    system: FakeSystem,
    people: RefCell<u64>,
}

impl FakeFixture {
    /// A system without tables.
    pub(crate) fn new() -> Self {
        let system = FakeSystem::new(Sim::new(1).context(), 1, Allowed::default());
        Self { system, people: RefCell::default() }
    }

    fn plant(&self, resource: &Resource, key: &[(&str, Value)], field: &str, value: &Value) {
        let value = value.clone();
        match key {
            [one] => self.system.plant(&resource.name, [one.clone(), (field, value)]),
            [one, two] => self.system.plant(&resource.name, [one.clone(), two.clone(), (field, value)]),
            _ => panic!("keys of one or two fields only"),
        }
    }
}

struct Unlock(FakeSystem);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.locked(false);
    }
}

struct Up(FakeSystem);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.up();
    }
}

impl Fixture for FakeFixture {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn capability(&self) -> Capability {
        self.system.capability()
    }

    fn create(&self, resource: &Resource, rows: &[Vec<Value>]) {
        let key: Vec<&str> = resource.key.iter().map(String::as_str).collect();
        self.system.table(&resource.name, &key, resource.schema.clone(), None);
        for row in rows {
            let of = |name: &str| row[resource.schema.position(name).unwrap()].clone();
            let key: Vec<(&str, Value)> = key.iter().map(|name| (*name, of(name))).collect();
            for (field, value) in resource.schema.fields.iter().zip(row) {
                self.plant(resource, &key, &field.name, value);
            }
        }
    }

    fn dump(&self, resource: &Resource) -> Vec<Vec<Value>> {
        let rows = self.system.rows(&resource.name).into_iter();
        let fields = &resource.schema.fields;
        rows.map(|row| fields.iter().map(|field| row.get(field.name.as_ref()).cloned().unwrap_or_default()).collect())
            .collect()
    }

    fn change(&self, resource: &Resource, key: &Value, field: &str, value: &Value) {
        self.plant(resource, &[(resource.key[0].as_str(), key.clone())], field, value);
        *self.people.borrow_mut() += 1;
    }

    fn refuse(&self, resource: &Resource, key: &Value) {
        self.system.refuse(&resource.name, std::slice::from_ref(key), true);
    }

    fn lock(&self) -> Box<dyn Any> {
        self.system.locked(true);
        Box::new(Unlock(self.system.clone()))
    }

    fn vanish(&self) -> Box<dyn Any> {
        self.system.down_for(Duration::from_secs(3600));
        Box::new(Up(self.system.clone()))
    }

    fn updates(&self, _: &Resource) -> u64 {
        self.system.all_writes() + *self.people.borrow()
    }

    fn tells_required(&self) -> bool {
        true
    }

    fn tested(&self) -> Option<String> {
        None
    }

    fn connect(&self, allowed: Allowed) -> Arc<dyn Connector> {
        Arc::new(self.system.login(allowed))
    }
}
