//! The input of an integration: its schema, defaults and features.

use std::collections::{BTreeMap, BTreeSet};

use tendon_kernel::{
    Type, Value,
    schema::{Field, Resource, Schema},
    sockets::model::{FeatureKind, Signature},
};

use super::Work;
use crate::{
    finding::{Mark, plain},
    nearest::nearest,
    raw::{FieldRaw, InputRaw, Scalar, SchemaRaw, TypeRaw},
    yaml::{At, Ordered},
};

/// The fields an integration may use, before it is known which it does use.
pub(super) struct Candidates {
    pub(super) schema: Schema,
    /// Fields that exist in the system but are not listed under `read`.
    pub(super) unreadable: Vec<String>,
    /// `system.resource` they come from.
    pub(super) from: Option<(String, String)>,
    /// Whether all of them belong to the input, used or not.
    all: bool,
}

impl Candidates {
    /// Names of all, for suggestions.
    pub(super) fn names(&self) -> Vec<String> {
        self.schema.fields.iter().map(|field| field.name.to_string()).collect()
    }

    /// The input's schema: what is used, in the order of the source.
    pub(super) fn used(&self, used: &BTreeSet<String>) -> Schema {
        let keep = |field: &&Field| self.all || used.contains(field.name.as_ref());
        Schema::new(self.schema.fields.iter().filter(keep).cloned().collect())
    }
}

impl Work<'_> {
    /// Where the fields come from: a resource, an inline schema, or the model itself.
    pub(super) fn candidates(&mut self, raw: Option<&InputRaw>, signature: &Signature) -> Option<Candidates> {
        let from = raw.and_then(|raw| raw.from.as_ref());
        let inline = raw.and_then(|raw| raw.schema.as_ref());
        let mut candidates = match (from, inline) {
            (Some(from), None) => self.of_resource(from)?,
            (None, Some(schema)) => self.inline(&schema.value),
            (None, None) => of_signature(signature),
            (Some(from), Some(_)) => {
                let message = "input has both from and schema";
                self.findings.add(from.mark, "two_schemas", message, |finding| finding.allow("from or schema"));
                return None;
            }
        };
        for name in raw.iter().flat_map(|raw| &raw.personal) {
            match candidates.schema.fields.iter_mut().find(|field| field.name.as_ref() == name.text()) {
                Some(field) => field.personal = true,
                None => self.no_field(name.mark, name.text(), &candidates),
            }
        }
        if let Some(raw) = raw {
            self.ranges(&raw.ranges, &mut candidates);
        }
        Some(candidates)
    }

    /// Says that a field is not there, or not readable.
    pub(super) fn no_field(&mut self, mark: Mark, name: &str, candidates: &Candidates) {
        let names = candidates.names();
        if candidates.unreadable.iter().any(|hidden| hidden == name) {
            let (system, resource) = candidates.from.clone().unwrap_or_default();
            let message = format!("{system}.{resource} has a field {name}, but it is not listed under read");
            let suggestion = Some(format!("systems.{system}.read.{resource}: [..., {name}]"));
            self.findings.add(mark, "field_not_readable", message, |finding| {
                finding.allow(names.join(", ")).suggest(suggestion)
            });
            return;
        }
        let suggestion = nearest(name, names.iter().map(String::as_str));
        self.findings.add(mark, "unknown_field", format!("the input has no field {name}"), |finding| {
            finding.allow(names.join(", ")).suggest(suggestion)
        });
    }

    /// `system.resource` → the system's and the resource's names, if both are there and the resource is known.
    /// After a slip with one likely meaning, that one is taken, so that the rest is checked as well.
    pub(super) fn resource(&mut self, reference: &At<String>) -> Option<(String, Resource)> {
        let text = reference.text();
        let Some((system, name)) = text.split_once('.') else {
            let message = format!("{text} does not name a resource");
            self.findings.add(reference.mark, "bad_reference", message, |finding| finding.allow("system.resource"));
            return None;
        };
        let mut system = system;
        if !self.project.systems.contains_key(system) {
            let known: Vec<&str> = self.project.systems.keys().map(AsRef::as_ref).collect();
            let meant = nearest(system, known.iter().copied());
            let suggestion = meant.map(|known| format!("{known}.{name}"));
            let message = format!("there is no system {system}");
            self.findings.add(reference.mark, "unknown_system", message, |finding| {
                finding.allow(known.join(", ")).suggest(suggestion)
            });
            system = meant?;
        }
        // A system without a catalog was reported where it is declared.
        let catalog = self.facts.catalogs.get(system)?;
        let Some(resource) = catalog.resource(name) else {
            let known: Vec<&str> = catalog.resources.iter().map(|resource| resource.name.as_str()).collect();
            let meant = nearest(name, known.iter().copied());
            let suggestion = meant.map(|known| format!("{system}.{known}"));
            let mark = reference.inside(text.len() - name.len());
            let message = format!("system {system} has no resource {name}");
            self.findings
                .add(mark, "unknown_resource", message, |finding| finding.allow(known.join(", ")).suggest(suggestion));
            return meant
                .and_then(|meant| catalog.resource(meant))
                .map(|resource| (system.to_owned(), resource.clone()));
        };
        Some((system.to_owned(), resource.clone()))
    }

    /// Fields of a resource that may be read.
    pub(super) fn readable(&self, system: &str, resource: &str) -> Vec<String> {
        let system = self.project.systems.get(system);
        system.and_then(|system| system.allowed.read.get(resource)).cloned().unwrap_or_default()
    }

    fn of_resource(&mut self, from: &At<String>) -> Option<Candidates> {
        let (system, resource) = self.resource(from)?;
        let readable = self.readable(&system, &resource.name);
        if readable.is_empty() {
            let message = format!("no field of {system}.{} may be read", resource.name);
            let suggestion = Some(format!("systems.{system}.read.{}: [fields]", resource.name));
            self.findings.add(from.mark, "resource_not_readable", message, |finding| finding.suggest(suggestion));
            return None;
        }
        let (fields, hidden): (Vec<Field>, Vec<Field>) =
            resource.schema.fields.into_iter().partition(|field| readable.iter().any(|name| *name == *field.name));
        Some(Candidates {
            schema: Schema::new(fields),
            unreadable: hidden.iter().map(|field| field.name.to_string()).collect(),
            from: Some((system, resource.name)),
            all: false,
        })
    }

    fn inline(&mut self, raw: &SchemaRaw) -> Candidates {
        let fields = raw.fields.iter().map(|(name, field)| self.inline_field(name, field)).collect();
        Candidates { schema: Schema::new(fields), unreadable: Vec::new(), from: None, all: true }
    }

    fn inline_field(&mut self, name: &At<String>, raw: &FieldRaw) -> Field {
        let kind = match raw.kind {
            Some(TypeRaw::Bool) => Type::Bool,
            Some(TypeRaw::Int) => Type::Int,
            Some(TypeRaw::Time) => Type::Time,
            Some(TypeRaw::Text) => Type::Text,
            Some(TypeRaw::Float) | None => Type::Float,
        };
        let text = kind == Type::Text;
        if !text && (!raw.values.is_empty() || raw.pattern.is_some() || raw.max_length.is_some()) {
            let message =
                format!("{}: values, pattern and max_length are rules for a text, not for a {kind}", name.text());
            self.findings.add(name.mark, "rule_does_not_fit", message, plain);
        }
        if let Some(range) = raw.range.as_ref().filter(|_| !matches!(kind, Type::Int | Type::Float)) {
            let message = format!("{}: range is a rule for numbers, not for a {kind}", name.text());
            self.findings.add(range.mark, "rule_does_not_fit", message, plain);
        }
        if let Some(pattern) = &raw.pattern
            && regex::RegexBuilder::new(pattern.text()).size_limit(1 << 20).build().is_err()
        {
            let message = format!("{}: the pattern cannot be read", name.text());
            self.findings
                .add(pattern.mark, "bad_pattern", message, |finding| finding.allow("a regular expression (RE2)"));
        }
        Field {
            required: raw.required,
            range: raw.range.as_ref().and_then(|range| self.range(range)),
            values: raw.values.iter().map(|value| value.as_str().into()).collect(),
            pattern: raw.pattern.as_ref().map(|pattern| pattern.text().to_owned()),
            max_length: raw.max_length.and_then(|length| usize::try_from(length).ok()),
            unit: raw.unit.clone(),
            personal: raw.personal,
            about: raw.about.clone(),
            ..Field::new(name.text(), kind)
        }
    }

    /// `[least, most]`.
    pub(super) fn range(&mut self, raw: &At<Vec<f64>>) -> Option<(f64, f64)> {
        match raw.value.as_slice() {
            [least, most] if least <= most => Some((*least, *most)),
            _ => {
                let message = "a range is two numbers, the smaller one first";
                self.findings.add(raw.mark, "bad_range", message, |finding| finding.allow("[least, most]"));
                None
            }
        }
    }

    /// Values in place of missing ones, by the field's position.
    pub(super) fn defaults(
        &mut self,
        raw: &Ordered<At<Scalar>>,
        schema: &Schema,
        candidates: &Candidates,
    ) -> Vec<(usize, Value)> {
        let mut defaults = BTreeMap::new();
        for (name, value) in raw.iter() {
            let found = schema.position(name.text()).and_then(|at| schema.fields.get(at).map(|field| (at, field)));
            let Some((position, field)) = found else {
                self.no_field(name.mark, name.text(), candidates);
                continue;
            };
            match default_value(&value.value, field) {
                Ok(value) => {
                    defaults.insert(position, value);
                }
                Err(allowed) => {
                    let message = format!("the default of {} does not fit the field", name.text());
                    self.findings.add(value.mark, "bad_default", message, |finding| finding.allow(allowed));
                }
            }
        }
        defaults.into_iter().collect()
    }
}

/// A default as a value of its field, or what is allowed.
pub(super) fn default_value(raw: &Scalar, field: &Field) -> Result<Value, String> {
    let value = match (raw, field.kind) {
        (Scalar::Bool(value), Type::Bool) => Value::Bool(*value),
        (Scalar::Int(value), Type::Int) => Value::Int(*value),
        #[expect(clippy::cast_precision_loss, reason = "a configured constant for a float field")]
        (Scalar::Int(value), Type::Float) => Value::Float(*value as f64),
        (Scalar::Float(value), Type::Float) => Value::Float(*value),
        (Scalar::Text(text), Type::Text) => Value::text(text),
        (Scalar::Text(text), Type::Time) => {
            Value::Time(tendon_kernel::Timestamp::parse(text).map_err(|_| "a time in RFC 3339".to_owned())?)
        }
        _ => return Err(format!("a {}", field.kind)),
    };
    if let (Some((least, most)), Some(number)) = (field.range, value.number())
        && !(least..=most).contains(&number)
    {
        return Err(format!("{least} to {most}"));
    }
    if let Some(text) = value.as_text().filter(|_| !field.values.is_empty())
        && !field.values.iter().any(|known| known.as_ref() == text)
    {
        return Err(field.values.join(", "));
    }
    Ok(value)
}

/// The model's own features as input fields.
fn of_signature(signature: &Signature) -> Candidates {
    let fields = signature.features.iter().map(|feature| match &feature.kind {
        FeatureKind::Number => Field::new(&feature.name, Type::Float),
        FeatureKind::Category { values } => Field {
            values: values.iter().map(|value| value.as_str().into()).collect(),
            ..Field::new(&feature.name, Type::Text)
        },
        FeatureKind::CategoryCode => Field::new(&feature.name, Type::Int),
    });
    Candidates { schema: Schema::new(fields.collect()), unreadable: Vec::new(), from: None, all: true }
}
