//! The events door: the watched resource, and where the answer is written.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{
    Type,
    schema::{Field, Resource},
};

use super::{
    Work,
    input::Candidates,
    integration::{Moment, Names},
};
use crate::{
    expr::Program,
    finding::{Finding, Mark},
    nearest::nearest,
    plan::{EventsPlan, TargetPlan},
    raw::{Cel, ChangeRaw, EventsRaw, Span},
    yaml::{At, Ordered},
};

/// Names that a watermark usually has.
const WATERMARKS: [&str; 8] =
    ["updated_at", "modified_at", "changed_at", "last_modified", "last_updated", "updated", "modified", "updated_on"];

/// The input that events bring.
pub(super) struct Watched<'a> {
    pub(super) candidates: &'a Candidates,
    pub(super) names: &'a Names,
}

impl Work<'_> {
    /// Checks the door.
    pub(super) fn events(&mut self, raw: &At<EventsRaw>, watched: &Watched<'_>) -> Option<EventsPlan> {
        let (mark, raw) = (raw.mark, &raw.value);
        self.changes(raw);
        let (system, resource) = self.watched(mark, raw, watched)?;
        self.can_watch(&system, raw.from.as_ref().map_or(mark, |from| from.mark));
        let key = self.key(mark, raw, &system, &resource);
        let watermark = self.watermark(mark, raw, &system, &resource);
        let target = self.target(mark, raw, (&system, &resource), watched, key.as_deref());
        self.settled(mark, watermark.as_deref(), target.as_ref(), watched);
        let pick = |span: Option<Span>, default: Duration| span.map_or(default, |Span(span)| span);
        let watermark = watermark?;
        Some(EventsPlan {
            key: key?,
            watermark_type: resource.schema.field(&watermark).map_or(Type::Time, |field| field.kind),
            watermark,
            fields: watched.names.schema.fields.iter().map(|field| field.name.to_string()).collect(),
            system: system.into(),
            resource: resource.name.as_str().into(),
            poll: pick(raw.poll, Duration::from_secs(1)),
            overlap: pick(raw.overlap, Duration::from_secs(5)),
            sweep: pick(raw.sweep, Duration::from_secs(600)),
            target,
        })
    }

    /// Our own write, or a trigger, moves the watermark of the row it touches. If the input held it, each write-back
    /// would look like a change by a person, and be asked again.
    fn settled(&mut self, mark: Mark, watermark: Option<&str>, target: Option<&TargetPlan>, watched: &Watched<'_>) {
        let Some(watermark) = watermark.filter(|name| watched.names.schema.field(name).is_some()) else { return };
        if target.is_some_and(|target| target.same_row) {
            let message =
                format!("{watermark} is the watermark, part of the input, and moved by the write-back itself");
            self.findings.add(mark, "watermark_in_input", message, |finding| {
                finding.allow("an input without the watermark; or another field that grows as watermark")
            });
        }
    }

    /// A watermark cannot tell a new row from a changed one.
    fn changes(&mut self, raw: &EventsRaw) {
        let Some(on) = &raw.on else { return };
        let has = |change| on.value.contains(&change);
        if !(has(ChangeRaw::Insert) && has(ChangeRaw::Update)) {
            let message = "a watched table does not tell new rows from changed ones";
            self.findings
                .add(on.mark, "changes_not_told_apart", message, |finding| finding.allow("on: [insert, update]"));
        }
    }

    fn watched(&mut self, mark: Mark, raw: &EventsRaw, watched: &Watched<'_>) -> Option<(String, Resource)> {
        let input = watched.candidates.from.as_ref().map(|(system, resource)| format!("{system}.{resource}"));
        let Some(input) = input else {
            let message = "events need an input that comes from a system";
            self.findings.add(mark, "events_without_system", message, |finding| {
                finding.allow("input: { from: system.resource }")
            });
            return None;
        };
        let from = match &raw.from {
            Some(from) => from.clone(),
            None => At { value: input.clone(), mark, lead: None },
        };
        let found = self.resource(&from)?;
        if from.text() != input {
            let message = format!("events come from {}, but the input is made of {input}", from.text());
            self.findings
                .add(from.mark, "events_elsewhere", message, |finding| finding.allow(&*input).suggest(Some(&*input)));
            return None;
        }
        Some(found)
    }

    fn can_watch(&mut self, system: &str, mark: Mark) {
        let kind = self.project.systems.get(system).map(|system| Arc::clone(&system.kind));
        let kind = self.kinds.iter().find(|known| Some(known.name) == kind.as_deref());
        if let Some(kind) = kind.filter(|kind| !kind.capability.watch) {
            self.say(mark, "kind_cannot_watch", format!("systems of kind {} cannot be watched", kind.name));
        }
    }

    /// A field of the watched resource that must exist and be readable.
    fn watched_field<'r>(&mut self, mark: Mark, name: &str, system: &str, resource: &'r Resource) -> Option<&'r Field> {
        let Some(field) = resource.schema.field(name) else {
            let names: Vec<&str> = resource.schema.fields.iter().map(|field| field.name.as_ref()).collect();
            let suggestion = nearest(name, names.iter().copied());
            let message = format!("{system}.{} has no field {name}", resource.name);
            self.findings
                .add(mark, "unknown_field", message, |finding| finding.allow(names.join(", ")).suggest(suggestion));
            return None;
        };
        if !self.readable(system, &resource.name).iter().any(|readable| readable == name) {
            let message = format!("events need {system}.{}.{name}, which is not listed under read", resource.name);
            let suggestion = Some(format!("systems.{system}.read.{}: [..., {name}]", resource.name));
            self.findings.add(mark, "field_not_readable", message, |finding| finding.suggest(suggestion));
            return None;
        }
        Some(field)
    }

    fn key(&mut self, mark: Mark, raw: &EventsRaw, system: &str, resource: &Resource) -> Option<Vec<String>> {
        if raw.key.is_empty() {
            if resource.key.is_empty() {
                let message = format!("{system}.{} has no key of its own", resource.name);
                self.findings.add(mark, "no_key", message, |finding| finding.allow("key: [fields that name one row]"));
                return None;
            }
            let known = resource.key.iter().filter_map(|name| self.watched_field(mark, name, system, resource)).count();
            return (known == resource.key.len()).then(|| resource.key.clone());
        }
        let known =
            raw.key.iter().filter_map(|name| self.watched_field(name.mark, name.text(), system, resource)).count();
        (known == raw.key.len()).then(|| raw.key.iter().map(|name| name.text().to_owned()).collect())
    }

    fn watermark(&mut self, mark: Mark, raw: &EventsRaw, system: &str, resource: &Resource) -> Option<String> {
        let grows = |field: &Field| matches!(field.kind, Type::Time | Type::Int);
        if let Some(name) = &raw.watermark {
            let field = self.watched_field(name.mark, name.text(), system, resource)?;
            if !grows(field) {
                let message = format!("the watermark {} is a {}", name.text(), field.kind);
                self.findings
                    .add(name.mark, "watermark_type", message, |finding| finding.allow("a time or an int that grows"));
                return None;
            }
            return Some(name.text().to_owned());
        }
        let usual = WATERMARKS.iter().find(|name| resource.schema.field(name).is_some_and(grows));
        let Some(name) = usual else {
            let fields: Vec<&str> =
                resource.schema.fields.iter().filter(|field| grows(field)).map(|field| field.name.as_ref()).collect();
            let message = format!("{system}.{} has no field that looks like a watermark", resource.name);
            let allowed = format!("watermark: one of {}", fields.join(", "));
            self.findings.add(mark, "no_watermark", message, |finding| finding.allow(allowed));
            return None;
        };
        self.watched_field(mark, name, system, resource).map(|field| field.name.to_string())
    }

    fn target(
        &mut self,
        mark: Mark,
        raw: &EventsRaw,
        (system, resource): (&str, &Resource),
        watched: &Watched<'_>,
        key: Option<&[String]>,
    ) -> Option<TargetPlan> {
        let Some(set) = &raw.set else {
            if let Some(to) = &raw.to {
                let message = "to names where to write, but nothing is set";
                self.findings.add(to.mark, "nothing_set", message, |finding| finding.allow("set: { field: output }"));
            }
            return None;
        };
        let (to_system, to) = match &raw.to {
            Some(to) => self.resource(to)?,
            None => (system.to_owned(), resource.clone()),
        };
        let same_row = to_system == system && to.name == resource.name;
        let to_key = if same_row { key.unwrap_or_default().to_vec() } else { to.key.clone() };
        if !same_row && key.is_some_and(|key| key.len() != to.key.len()) {
            let message =
                format!("the keys of {system}.{} and {to_system}.{} differ in length", resource.name, to.name);
            self.say(raw.to.as_ref().map_or(mark, |to| to.mark), "key_mismatch", message);
        }
        let written = self.set(&set.value, &to_system, &to, watched, same_row);
        let known = |(name, _): &(String, Program)| to.schema.field(name).cloned();
        let fields = written.iter().filter_map(known).collect();
        let is_now = |(_, cel): &&(At<String>, At<Cel>)| cel.text().trim() == "now";
        let stamp = set.value.iter().find(is_now).map(|(name, _)| name.text().to_owned());
        if stamp.is_none() {
            let message = "no field is set to now: a late decision could overwrite a newer one";
            let soften = if same_row { Finding::warning } else { crate::finding::plain };
            self.findings
                .add(set.mark, "no_stamp", message, |finding| soften(finding).allow("a time field set to now"));
        }
        Some(TargetPlan {
            system: to_system.into(),
            resource: to.name.as_str().into(),
            key: to_key,
            set: written,
            fields,
            stamp,
            same_row,
        })
    }

    fn set(
        &mut self,
        set: &Ordered<At<Cel>>,
        system: &str,
        resource: &Resource,
        watched: &Watched<'_>,
        same_row: bool,
    ) -> Vec<(String, Program)> {
        let allowed =
            self.project.systems.get(system).and_then(|system| system.allowed.write.get(&resource.name)).cloned();
        let allowed = allowed.unwrap_or_default();
        let mut fields = Vec::new();
        for (name, cel) in set.iter() {
            let Some(field) = self.writable(name, system, resource, &allowed) else {
                // The expression is checked all the same: all findings at once.
                self.compile(cel, &watched.names.env(Moment::After));
                continue;
            };
            if same_row && watched.names.schema.field(name.text()).is_some() {
                let message = format!("{} is part of the input: writing it would ask again, and again", name.text());
                self.say(name.mark, "write_feeds_input", message);
            }
            let program = self.value_for(cel, &watched.names.env(Moment::After), field);
            fields.extend(program.map(|program| (name.text().to_owned(), program)));
        }
        fields
    }

    fn writable<'r>(
        &mut self,
        name: &At<String>,
        system: &str,
        resource: &'r Resource,
        allowed: &[String],
    ) -> Option<&'r Field> {
        let field = resource.schema.field(name.text());
        if field.is_some() && allowed.iter().any(|field| field == name.text()) {
            return field;
        }
        if field.is_some() {
            let message = format!("{system}.{}.{} is not listed under write", resource.name, name.text());
            let suggestion = Some(format!("systems.{system}.write.{}: [..., {}]", resource.name, name.text()));
            self.findings.add(name.mark, "field_not_writable", message, |finding| {
                finding.allow(allowed.join(", ")).suggest(suggestion)
            });
        } else {
            let suggestion = nearest(name.text(), allowed.iter().map(String::as_str));
            let message = format!("{system}.{} has no field {}", resource.name, name.text());
            self.findings.add(name.mark, "unknown_field", message, |finding| {
                finding.allow(allowed.join(", ")).suggest(suggestion)
            });
        }
        None
    }
}
