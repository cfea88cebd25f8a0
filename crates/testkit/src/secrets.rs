//! Keys and secrets for tests: made from a seed or given as a list, never on a disk.

use std::{collections::BTreeMap, sync::Mutex};

use tendon_kernel::{
    error::{Error, ErrorKind, Result},
    sockets::secrets::{Key, Keys, Secret, Secrets},
};

use crate::{lock, rng::Rng};

/// Keys that follow from a seed and their name: the same after a crash, as keys in a durable store are.
pub struct TestKeys {
    seed: u64,
    broken: Mutex<bool>,
}

impl TestKeys {
    /// Keys for a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, broken: Mutex::new(false) }
    }

    /// Whether asking for a key fails from now on (`Unavailable`).
    pub fn broken(&self, broken: bool) {
        *lock(&self.broken) = broken;
    }
}

impl Keys for TestKeys {
    fn key(&self, name: &str) -> Result<Key> {
        if *lock(&self.broken) {
            return Err(
                Error::new(ErrorKind::Unavailable, "key_unavailable", "reading a key failed as told").with("key", name)
            );
        }
        let mut key = [0; 32];
        Rng::stream(self.seed, &format!("key {name}")).fill(&mut key);
        Ok(Key(key))
    }
}

/// Secrets from a list; `${env:NAME}` and `${file:NAME}` both find `NAME`.
#[derive(Default)]
pub struct TestSecrets {
    values: BTreeMap<String, String>,
}

impl TestSecrets {
    /// Secrets with these names and values.
    pub fn new<const N: usize>(values: [(&str, &str); N]) -> Self {
        Self { values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
    }
}

impl Secrets for TestSecrets {
    fn resolve(&self, text: &str) -> Result<Secret> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            resolved.push_str(before);
            let (reference, after) = after.split_once('}').unwrap_or((after, ""));
            let name = reference.split_once(':').map_or(reference, |(_, name)| name);
            let Some(value) = self.values.get(name) else {
                return Err(Error::new(ErrorKind::Config, "secret_missing", "a secret has no value")
                    .with("reference", format!("${{{reference}}}")));
            };
            resolved.push_str(value);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(Secret::new(resolved))
    }
}
