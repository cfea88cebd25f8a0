//! Lookups: where they read, by which key, in which order, and which of their fields can be null where.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tendon_kernel::{
    Value,
    schema::{Field, Resource, Schema},
};

use super::{
    Work,
    integration::{Moment, Names},
    lookup_parts::names_of,
};
use crate::{
    expr::{Looked, Parsed},
    finding::{Mark, plain},
    lookup::{KeyPart, LookupPlan, LookupsPlan, Without},
    plan::QualityRule,
    raw::{Cel, InputRaw, IntegrationRaw, LookupRaw, QualityRaw, Span},
    yaml::At,
};

/// Longest wait for a source that names none.
const DEADLINE: Duration = Duration::from_secs(1);

/// Words that mean something else in an expression.
const TAKEN: [&str; 36] = [
    "as",
    "band",
    "bool",
    "break",
    "bytes",
    "const",
    "continue",
    "decision",
    "double",
    "duration",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "input",
    "int",
    "let",
    "list",
    "loop",
    "lookups",
    "map",
    "namespace",
    "now",
    "null",
    "output",
    "package",
    "return",
    "string",
    "timestamp",
    "true",
    "type",
    "uint",
    "var",
];

/// One lookup, as far as it is known before the expressions are compiled.
pub(super) struct Found<'r> {
    name: &'r At<String>,
    raw: &'r LookupRaw,
    system: String,
    resource: Resource,
    /// Key fields in the resource's order, with their expressions.
    key: Vec<(Field, &'r At<Cel>)>,
    fields: Vec<Field>,
    others: Vec<String>,
    hidden: Vec<String>,
    first: usize,
    wave: usize,
    missing: Without,
    failed: Without,
    defaults: Vec<(usize, Value)>,
}

impl Found<'_> {
    /// As expressions see it. `ladder`: also where the fallback has answered.
    fn looked(&self, ladder: Option<usize>) -> Looked {
        let stops = |without| match without {
            Without::Continue => false,
            Without::Fallback => ladder.is_none(),
            Without::Reject | Without::Quarantine => true,
        };
        // A lookup behind one that sends to the ladder may not have been asked at all.
        let asked = ladder.is_none_or(|wave| self.wave <= wave);
        let sure = asked && stops(self.missing) && stops(self.failed);
        let field = |(at, field): (usize, &Field)| {
            let filled = self.defaults.iter().any(|(filled, _)| *filled == at);
            Field { required: filled || (sure && field.required), ..field.clone() }
        };
        Looked {
            name: self.name.text().to_owned(),
            fields: Schema::new(self.fields.iter().enumerate().map(field).collect()),
            first: self.first,
            others: self.others.clone(),
            hidden: self.hidden.clone(),
        }
    }
}

/// The expressions of all keys.
pub(super) fn keys(input: Option<&InputRaw>) -> impl Iterator<Item = &At<Cel>> {
    let lookups = input.into_iter().flat_map(|input| input.lookups.iter());
    lookups.filter_map(|(_, raw)| raw.value.key.as_ref()).flat_map(|key| key.value.iter().map(|(_, cel)| cel))
}

/// Whether a lookup's field is used by a rule: then it runs after the lookups.
pub(super) fn is_late(cel: &At<Cel>, names: &Names) -> bool {
    let used = Parsed::new(cel.text()).map(|parsed| parsed.selected()).unwrap_or_default();
    used.iter().any(|(root, _)| names.later.iter().any(|name| name == root))
}

/// Which fields of which lookup the file uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn uses<'a>(expressions: impl Iterator<Item = &'a At<Cel>>) -> Uses {
    let mut uses = Uses::new();
    for cel in expressions {
        for (root, field) in Parsed::new(cel.text()).map(|parsed| parsed.selected()).unwrap_or_default() {
            uses.entry(root).or_default().insert(field);
        }
    }
    uses
}

impl Work<'_> {
    /// Where everything is looked up; the names learn of it.
    pub(super) fn find_lookups<'r>(&mut self, raw: &'r IntegrationRaw, names: &mut Names) -> Vec<Found<'r>> {
        let input = raw.input.as_ref().map(|input| &input.value);
        let lookups: Vec<_> = input.into_iter().flat_map(|input| input.lookups.iter()).collect();
        let uses = uses(super::integration::expressions(raw).into_iter());
        let ladder = raw.fallback.is_some();
        names.later = lookups.iter().map(|(name, _)| name.text().to_owned()).collect();
        let mut found: Vec<Found<'r>> = Vec::new();
        for (name, raw) in lookups {
            let good = self.lookup_name(name);
            let used = uses.get(name.text()).cloned().unwrap_or_default();
            let one = self.find_lookup(name, raw.mark, &raw.value, &used, ladder);
            found.extend(one.filter(|_| good));
        }
        self.in_waves(&mut found);
        let mut first = names.schema.fields.len();
        for lookup in &mut found {
            lookup.first = first;
            first += lookup.fields.len();
        }
        let sent = |lookup: &&Found<'_>| [lookup.missing, lookup.failed].contains(&Without::Fallback);
        let ladder = found.iter().filter(sent).map(|lookup| lookup.wave).min().unwrap_or(usize::MAX);
        names.lookups = found.iter().map(|lookup| lookup.looked(None)).collect();
        names.after_ladder = found.iter().map(|lookup| lookup.looked(Some(ladder))).collect();
        found
    }

    fn lookup_name(&mut self, name: &At<String>) -> bool {
        let text = name.text();
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let identifier = starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let good = identifier && !TAKEN.contains(&text);
        if !good {
            let message = format!("{text} cannot be the name of a lookup");
            self.findings.add(name.mark, "bad_lookup_name", message, |finding| {
                finding.allow("letters, digits and _, no word of the expression language")
            });
        }
        good
    }

    fn find_lookup<'r>(
        &mut self,
        name: &'r At<String>,
        mark: Mark,
        raw: &'r LookupRaw,
        used: &BTreeSet<String>,
        ladder: bool,
    ) -> Option<Found<'r>> {
        let from = raw.from.as_ref()?;
        let (system, resource) = self.resource(from)?;
        self.can_look_up(&system, from.mark);
        let readable = self.readable(&system, &resource.name);
        let (open, hidden): (Vec<Field>, Vec<Field>) =
            resource.schema.fields.iter().cloned().partition(|field| readable.iter().any(|name| *name == *field.name));
        let key = self.lookup_key(raw.key.as_ref()?, &system, &resource, &readable);
        let mut fields = Vec::new();
        for wanted in &raw.fields {
            fields.extend(self.lookup_field(wanted, &system, &resource, &open).cloned());
        }
        if raw.fields.is_empty() {
            let defaults: Vec<&str> = raw.defaults.iter().map(|(name, _)| name.text()).collect();
            let wanted = |field: &&Field| used.contains(&*field.name) || defaults.contains(&&*field.name);
            fields.extend(open.iter().filter(wanted).cloned());
            if used.is_empty() {
                let message = format!("no field of {} is used", name.text());
                let allowed = format!("fields: [{}]", names_of(&open));
                self.findings.add(mark, "nothing_looked_up", message, |finding| finding.allow(allowed));
            }
        }
        let defaults = self.lookup_defaults(&raw.defaults, &fields, name.text());
        let missing = self.without(raw.missing.as_ref(), ladder);
        let failed = raw.failed.as_ref().map(|failed| self.without(Some(failed), ladder));
        let others = open.iter().map(|field| field.name.to_string());
        Some(Found {
            name,
            raw,
            others: others.filter(|_| raw.fields.is_empty()).collect(),
            hidden: hidden.iter().map(|field| field.name.to_string()).collect(),
            key: key.unwrap_or_default(),
            system,
            resource,
            fields,
            defaults,
            missing,
            failed: failed.unwrap_or(missing),
            first: 0,
            wave: 0,
        })
    }

    /// Puts each lookup behind those that its key needs.
    fn in_waves(&mut self, found: &mut [Found<'_>]) {
        let names: Vec<String> = found.iter().map(|lookup| lookup.name.text().to_owned()).collect();
        let needs = |lookup: &Found<'_>| {
            let used = uses(lookup.key.iter().map(|(_, cel)| *cel));
            names.iter().enumerate().filter(|(_, name)| used.contains_key(*name)).map(|(at, _)| at).collect()
        };
        let needs: Vec<Vec<usize>> = found.iter().map(needs).collect();
        let mut waves: Vec<Option<usize>> = vec![None; found.len()];
        for _ in 0..found.len() {
            for at in 0..found.len() {
                let before: Option<Vec<usize>> = needs[at].iter().map(|&need| waves[need]).collect();
                waves[at] = before.map(|before| before.into_iter().map(|wave| wave + 1).max().unwrap_or(0));
            }
        }
        let circle: Vec<&str> =
            names.iter().zip(&waves).filter(|(_, wave)| wave.is_none()).map(|(name, _)| &**name).collect();
        if let Some(at) = waves.iter().position(Option::is_none) {
            let message = format!("the keys of these lookups need each other: {}", circle.join(", "));
            self.findings.add(found[at].name.mark, "lookup_cycle", message, plain);
        }
        found.iter_mut().zip(&waves).for_each(|(lookup, wave)| lookup.wave = wave.unwrap_or(0));
        found.sort_by_key(|lookup| lookup.wave);
    }

    /// The lookups with their keys compiled, and the quality rules that name them.
    pub(super) fn lookups(
        &mut self,
        found: Vec<Found<'_>>,
        quality: Option<&QualityRaw>,
        names: &Names,
    ) -> LookupsPlan {
        let mut fields = names.schema.fields.clone();
        for lookup in &found {
            let whole = |field: &Field| Field {
                name: format!("{}.{}", lookup.name.text(), field.name).into(),
                ..field.clone()
            };
            fields.extend(lookup.fields.iter().map(whole));
        }
        let list = found.iter().map(|lookup| self.lookup(lookup, &found, names)).collect();
        let mut late = |rules: Option<&Vec<crate::raw::RuleRaw>>| -> Vec<QualityRule> {
            let late = |rule: &&crate::raw::RuleRaw| rule.when.as_ref().is_some_and(|when| is_late(when, names));
            let rules: Vec<_> = rules.into_iter().flatten().filter(late).cloned().collect();
            self.quality(&rules, &names.env(Moment::Ladder))
        };
        let reject = late(quality.map(|quality| &quality.reject));
        let quarantine = late(quality.map(|quality| &quality.quarantine));
        let schema = if found.is_empty() { Schema::default() } else { Schema::new(fields) };
        LookupsPlan { list, schema: Arc::new(schema), reject, quarantine }
    }

    fn lookup(&mut self, lookup: &Found<'_>, all: &[Found<'_>], names: &Names) -> LookupPlan {
        let before = all.iter().filter(|other| other.wave < lookup.wave).map(|other| other.looked(None));
        let before: Vec<Looked> = before.collect();
        let mut env = names.env(Moment::Before);
        env.lookups = &before;
        let mut key = Vec::new();
        for (field, cel) in &lookup.key {
            // Null finds no row, so a key may be null.
            let open = Field { required: false, ..field.clone() };
            let program = self.value_for(cel, &env, &open);
            key.extend(program.map(|program| KeyPart { field: field.name.to_string(), kind: field.kind, program }));
        }
        let pick = |span: &Option<At<Span>>, default: Duration| span.as_ref().map_or(default, |span| span.value.0);
        let fresh = pick(&lookup.raw.fresh, Duration::ZERO);
        let stale = pick(&lookup.raw.stale, fresh);
        if let Some(at) = lookup.raw.stale.as_ref().filter(|_| stale < fresh) {
            let message = "a row may be used again longer than it may be kept";
            self.findings
                .add(at.mark, "stale_before_fresh", message, |finding| finding.allow("stale of at least fresh"));
        }
        LookupPlan {
            name: lookup.name.text().into(),
            system: lookup.system.as_str().into(),
            resource: lookup.resource.name.as_str().into(),
            key,
            fields: lookup.fields.iter().map(|field| field.name.to_string()).collect(),
            first: lookup.first,
            wave: lookup.wave,
            defaults: lookup.defaults.clone(),
            deadline: pick(&lookup.raw.deadline, DEADLINE),
            fresh,
            stale,
            missing: lookup.missing,
            failed: lookup.failed,
        }
    }
}
