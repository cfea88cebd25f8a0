//! The parts of a lookup: its system, its fields, its key, its defaults, and what happens without a row.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::{
    Value,
    schema::{Field, Resource},
};

use super::{Work, input::default_value};
use crate::{
    finding::Mark,
    lookup::Without,
    nearest::nearest,
    raw::{Cel, Scalar, WithoutRaw},
    yaml::{At, Ordered},
};

impl Work<'_> {
    pub(super) fn can_look_up(&mut self, system: &str, mark: Mark) {
        let kind = self.project.systems.get(system).map(|system| Arc::clone(&system.kind));
        let kind = self.kinds.iter().find(|known| Some(known.name) == kind.as_deref());
        if let Some(kind) = kind.filter(|kind| !kind.capability.read_by_key) {
            self.say(mark, "kind_cannot_look_up", format!("systems of kind {} cannot be read by key", kind.name));
        }
    }

    /// A field that exists and may be read.
    pub(super) fn lookup_field<'f>(
        &mut self,
        name: &At<String>,
        system: &str,
        resource: &Resource,
        open: &'f [Field],
    ) -> Option<&'f Field> {
        let found = open.iter().find(|field| *field.name == *name.text());
        if found.is_none() {
            let whole = format!("{system}.{}", resource.name);
            if resource.schema.field(name.text()).is_some() {
                let message = format!("{whole} has a field {}, but it is not listed under read", name.text());
                let suggestion = Some(format!("systems.{system}.read.{}: [..., {}]", resource.name, name.text()));
                self.findings.add(name.mark, "field_not_readable", message, |finding| {
                    finding.allow(names_of(open)).suggest(suggestion)
                });
            } else {
                let suggestion = nearest(name.text(), open.iter().map(|field| field.name.as_ref()));
                let message = format!("{whole} has no field {}", name.text());
                self.findings.add(name.mark, "unknown_field", message, |finding| {
                    finding.allow(names_of(open)).suggest(suggestion)
                });
            }
        }
        found
    }

    /// The key: all fields of the resource's own, in its order; where it has none, those that are named.
    pub(super) fn lookup_key<'r>(
        &mut self,
        raw: &'r At<Ordered<At<Cel>>>,
        system: &str,
        resource: &Resource,
        readable: &[String],
    ) -> Option<Vec<(Field, &'r At<Cel>)>> {
        let open: Vec<Field> = resource
            .schema
            .fields
            .iter()
            .filter(|field| readable.iter().any(|name| *name == *field.name))
            .cloned()
            .collect();
        let mut key = Vec::new();
        for (name, cel) in raw.value.iter() {
            let field = self.lookup_field(name, system, resource, &open)?;
            key.push((field.clone(), cel));
        }
        let own = &resource.key;
        let named = |name: &String| key.iter().find(|(field, _)| *field.name == **name).cloned();
        if own.is_empty() && !key.is_empty() {
            return Some(key);
        }
        let ordered: Vec<_> = own.iter().filter_map(named).collect();
        if ordered.is_empty() || ordered.len() != own.len() || ordered.len() != key.len() {
            let message = format!("{system}.{} cannot be looked up by these fields", resource.name);
            let allowed = format!("its key: {}", own.join(", "));
            self.findings.add(raw.mark, "not_the_key", message, |finding| finding.allow(allowed));
            return None;
        }
        Some(ordered)
    }

    pub(super) fn lookup_defaults(
        &mut self,
        raw: &Ordered<At<Scalar>>,
        fields: &[Field],
        lookup: &str,
    ) -> Vec<(usize, Value)> {
        let mut defaults = BTreeMap::new();
        for (name, value) in raw.iter() {
            let Some(at) = fields.iter().position(|field| *field.name == *name.text()) else {
                let suggestion = nearest(name.text(), fields.iter().map(|field| field.name.as_ref()));
                let message = format!("the lookup {lookup} has no field {}", name.text());
                self.findings.add(name.mark, "unknown_field", message, |finding| {
                    finding.allow(names_of(fields)).suggest(suggestion)
                });
                continue;
            };
            let Some(field) = fields.get(at) else { continue };
            match default_value(&value.value, field) {
                Ok(value) => drop(defaults.insert(at, value)),
                Err(allowed) => {
                    let message = format!("the default of {} does not fit the field", name.text());
                    self.findings.add(value.mark, "bad_default", message, |finding| finding.allow(allowed));
                }
            }
        }
        defaults.into_iter().collect()
    }

    pub(super) fn without(&mut self, raw: Option<&At<WithoutRaw>>, ladder: bool) -> Without {
        let Some(raw) = raw else { return Without::Continue };
        match raw.value {
            WithoutRaw::Continue => Without::Continue,
            WithoutRaw::Reject => Without::Reject,
            WithoutRaw::Quarantine => Without::Quarantine,
            WithoutRaw::Fallback => {
                if !ladder {
                    let message = "the integration has no fallback that could answer";
                    self.findings.add(raw.mark, "no_fallback", message, |finding| {
                        finding.allow("fallback: { default: … }; or continue, reject, quarantine")
                    });
                }
                Without::Fallback
            }
        }
    }
}

/// Names in a row, for messages.
pub(super) fn names_of(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name.as_ref()).collect::<Vec<_>>().join(", ")
}
