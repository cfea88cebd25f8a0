//! `cache`: where answers are kept (project), and which may be reused (integration).

use std::{collections::BTreeSet, time::Duration};

use tendon_kernel::schema::Schema;

use super::{input::Candidates, integration::Work, lookups::keys};
use crate::{
    cache::{CachePlan, CacheStorePlan, KeyPart, PrecomputePlan, RedisPlan},
    expr::Parsed,
    finding::{Finding, Findings, plain},
    lookup::LookupsPlan,
    nearest::nearest,
    raw::{CacheStoreRaw, IntegrationRaw, PrecomputeRaw, RedisRaw, Size, Span},
    yaml::At,
};

/// Least memory of the cache: below, hardly an answer fits.
const LEAST: u64 = 64 << 10;

/// Reads the project's `cache`.
pub(super) fn store(raw: Option<&At<CacheStoreRaw>>, findings: &mut Findings) -> CacheStorePlan {
    let Some(raw) = raw else { return CacheStorePlan::default() };
    if let (Some(_), Some(redis)) = (&raw.value.memory, &raw.value.redis) {
        let message = "answers are kept in memory or in redis, not in both";
        findings.add(redis.mark, "two_caches", message, |finding| finding.allow("memory or redis"));
    }
    if let Some(redis) = &raw.value.redis {
        return self::redis(&redis.value, findings);
    }
    match &raw.value.memory {
        None => CacheStorePlan::default(),
        Some(At { value: Size(size), mark, .. }) => {
            if *size < LEAST {
                findings.add(*mark, "cache_too_small", "hardly an answer fits into this cache", |finding| {
                    finding.allow("64KiB or more")
                });
            }
            CacheStorePlan::Memory(*size)
        }
    }
}

fn redis(raw: &RedisRaw, findings: &mut Findings) -> CacheStorePlan {
    let text = |value: &Option<At<String>>| value.as_ref().map(|value| value.text().to_owned());
    if let Some(url) = &raw.url {
        let reference = url.text().contains("${");
        if !reference && !url.text().starts_with("redis://") && !url.text().starts_with("rediss://") {
            findings.add(url.mark, "bad_address", "this is no address of a Redis server", |finding| {
                finding.allow("redis://host:6379, rediss://host:6379 (TLS), ${env:NAME}")
            });
        }
        if !reference && url.text().contains('@') {
            findings.add(url.mark, "secret_in_clear", "the address holds a password in clear", |finding| {
                finding.allow("a reference").suggest(Some("password: ${env:REDIS_PASSWORD}"))
            });
        }
        if !reference && url.text().starts_with("redis://") && !local(url.text()) {
            let message =
                "the line to Redis is not encrypted: its password can be read on the way (what it keeps cannot)";
            findings.add(url.mark, "plain_redis", message, |finding| finding.warning().suggest(Some("rediss://…")));
        }
    }
    if let Some(password) = raw.password.as_ref().filter(|password| !password.text().contains("${")) {
        findings.add(password.mark, "secret_in_clear", "the password stands in the file in clear", |finding| {
            finding.allow("a reference").suggest(Some("${env:REDIS_PASSWORD}"))
        });
    }
    CacheStorePlan::Redis(RedisPlan {
        url: text(&raw.url).unwrap_or_default(),
        password: text(&raw.password),
        username: text(&raw.username),
        ca: text(&raw.ca),
        connect: raw.connect.map_or(Duration::from_secs(1), |Span(span)| span),
        timeout: raw.timeout.map_or(Duration::from_millis(50), |Span(span)| span),
    })
}

/// Adds the fields of the input by which rows are found: another key finds other rows, and they give another answer.
fn by_rows(raw: &IntegrationRaw, schema: &Schema, key: &mut Vec<String>, parts: &mut Vec<KeyPart>) {
    let expressions = keys(raw.input.as_ref().map(|input| &input.value));
    let names: BTreeSet<String> =
        expressions.filter_map(|cel| Parsed::new(cel.text()).ok()).flat_map(|parsed| parsed.fields()).collect();
    for name in names.into_iter().filter(|name| !key.contains(name)).collect::<Vec<_>>() {
        if let Some(position) = schema.position(&name) {
            parts.push(KeyPart::Field(position));
            key.push(name);
        }
    }
}

fn local(url: &str) -> bool {
    let host = url.trim_start_matches("redis://");
    ["127.", "localhost", "[::1]"].iter().any(|name| host.starts_with(name))
}

impl Work<'_> {
    /// Checks and builds an integration's `cache`.
    pub(super) fn cache(
        &mut self,
        raw: &IntegrationRaw,
        candidates: &Candidates,
        schema: &Schema,
        mark: Option<&str>,
        lookups: &LookupsPlan,
    ) -> Option<CachePlan> {
        let cache = &raw.cache.as_ref()?.value;
        for name in cache.key.iter().filter(|name| candidates.schema.field(name.text()).is_none()) {
            self.no_field(name.mark, name.text(), candidates);
        }
        let mut parts = Vec::with_capacity(cache.key.len());
        for name in &cache.key {
            let part = match schema.position(name.text()) {
                Some(position) => KeyPart::Field(position),
                None if mark == Some(name.text()) => KeyPart::Mark,
                None => KeyPart::Unknown(name.text().into()),
            };
            let known = candidates.schema.field(name.text()).is_some();
            if known && matches!(part, KeyPart::Unknown(_)) {
                let message = format!(
                    "{} is no part of the input, so nobody who asks can give it: answers are reused for equal inputs only",
                    name.text()
                );
                self.findings.add(name.mark, "cache_key_unknown", message, Finding::info);
            }
            parts.push(part);
        }
        if raw.subject.is_none() {
            let message =
                "without a subject, reused answers cannot be erased one by one: they go when their time is over";
            self.findings.add(raw.cache.as_ref()?.mark, "cache_without_subject", message, Finding::info);
        }
        let mut key: Vec<String> = cache.key.iter().map(|name| name.text().to_owned()).collect();
        by_rows(raw, schema, &mut key, &mut parts);
        let stale = cache.stale.map_or(Duration::ZERO, |Span(stale)| stale);
        let Span(ttl) = cache.ttl?;
        if ttl.is_zero() {
            self.findings.add(raw.cache.as_ref()?.mark, "bad_ttl", "ttl must be above 0", plain);
        }
        let fresh = self.fresh_rows(raw, ttl, lookups);
        let ahead = cache.precompute.as_ref();
        let precompute = ahead.and_then(|ahead| self.precompute(ahead, candidates, schema, ttl.min(fresh)));
        Some(CachePlan { key, parts, ttl, stale, precompute })
    }

    /// How long all looked-up rows may be used again; without lookups, without end. No answer outlives the rows that it was
    /// made from, so each lookup must say for how long they may be used.
    fn fresh_rows(&mut self, raw: &IntegrationRaw, ttl: Duration, lookups: &LookupsPlan) -> Duration {
        let Some(cache) = &raw.cache else { return Duration::MAX };
        for lookup in lookups.list.iter().filter(|lookup| lookup.fresh.is_zero()) {
            let all = raw.input.iter().flat_map(|input| input.value.lookups.iter());
            let at = all.filter(|(name, _)| name.text() == &*lookup.name).map(|(name, _)| name.mark).next();
            let message = format!(
                "a row of {} is not used again without asking, so an answer made from it cannot be reused",
                lookup.name
            );
            self.findings.add(at.unwrap_or(cache.mark), "cache_without_fresh", message, |finding| {
                finding.allow("fresh: how long its rows may be used again; or no cache").suggest(Some("fresh: 1m"))
            });
        }
        let shortest = lookups.list.iter().min_by_key(|lookup| lookup.fresh);
        if let Some(lookup) = shortest.filter(|lookup| !lookup.fresh.is_zero() && lookup.fresh < ttl) {
            let message = format!(
                "answers are reused for {:?}, not for {ttl:?}: the rows of {} may not be used longer",
                lookup.fresh, lookup.name
            );
            self.findings.add(cache.mark, "cache_outlives_rows", message, Finding::info);
        }
        shortest.map_or(Duration::MAX, |lookup| lookup.fresh)
    }

    fn precompute(
        &mut self,
        raw: &At<PrecomputeRaw>,
        candidates: &Candidates,
        schema: &Schema,
        ttl: Duration,
    ) -> Option<PrecomputePlan> {
        let Some((system, resource)) = candidates.from.clone() else {
            self.findings.add(raw.mark, "precompute_without_from", "there are no rows to compute ahead", |finding| {
                finding.allow("an integration whose input is `from` a resource")
            });
            return None;
        };
        let catalog = self.facts.catalogs.get(&system);
        let key = catalog.and_then(|catalog| catalog.resource(&resource)).map(|found| found.key.clone())?;
        if key.is_empty() {
            let message = format!("{system}.{resource} has no key, so its rows cannot be gone through");
            self.findings.add(raw.mark, "no_key", message, plain);
            return None;
        }
        let order = raw.value.order.as_ref().and_then(|order| {
            let (name, largest) = order.text().strip_prefix('-').map_or((order.text(), false), |name| (name, true));
            let position = schema.position(name);
            if position.is_none() {
                let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_ref()).collect();
                let suggestion = nearest(name, names.iter().copied()).map(|name| format!("-{name}"));
                self.findings.add(order.mark, "unknown_field", format!("the input has no field {name}"), |finding| {
                    finding.allow(names.join(", ")).suggest(suggestion)
                });
            }
            position.map(|position| (position, largest))
        });
        Some(PrecomputePlan {
            system: system.into(),
            resource: resource.into(),
            key,
            fields: schema.fields.iter().map(|field| field.name.to_string()).collect(),
            order,
            limit: raw.value.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10_000),
            every: raw.value.every.map_or(ttl / 2, |Span(every)| every).max(Duration::from_secs(1)),
        })
    }
}
