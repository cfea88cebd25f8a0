//! How everything does, as text for a window: the figures of the console's overview, in its words.

use serde_json::Value as Json;
use tendon_doors::{
    figure::{NONE, ago, burn, count, lasting, left, number, portion, seconds, share, used},
    overview::{Doing, Health, words},
};
use tendon_kernel::Timestamp;

use crate::{
    output::cell,
    screen::Screen,
    table::{Cell, Column, Tone, cut, harmless, table},
};

/// All of it.
pub(crate) fn whole(document: &Json, screen: Screen) -> String {
    let mut parts = vec![summary(document, screen), trouble(document, screen)];
    parts.push(integrations(document, screen));
    parts.push(objectives(document, screen));
    parts.push(systems(document, screen));
    parts.push(models(document, screen));
    parts.push(errors(document, screen));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// The lines at the top: what it is, whether it is well, what it does.
fn summary(document: &Json, screen: Screen) -> String {
    let minute = &document["minute"];
    let (tone, state) = health(document);
    let all = whole_number(minute, "decisions");
    let rate = minute["per_second"].as_f64().map_or_else(|| NONE.to_owned(), |rate| format!("{} /s", number(rate)));
    let part = |name: &str| share(whole_number(minute, name), all);
    let up =
        Timestamp(i64::try_from(whole_number(document, "up_seconds")).unwrap_or_default().saturating_mul(1_000_000));
    let letters = match document["letters"]["count"].as_u64() {
        Some(letters) => format!("{letters}{}", more(&document["letters"])),
        None => "not counted".to_owned(),
    };
    let lines = [
        vec![
            Cell::new(cell(document, "project"), Tone::Head),
            Cell::new(state, tone),
            format!("up {}", ago(Timestamp(0), up)).into(),
            ready(document).into(),
            Cell::new(format!("tendon {}", cell(document, "version")), Tone::Soft),
        ],
        vec![
            format!("decisions {rate}").into(),
            format!("p50 {}", time(minute, "p50")).into(),
            format!("p95 {}", time(minute, "p95")).into(),
            format!("p99 {}", time(minute, "p99")).into(),
        ],
        vec![
            Cell::new(format!("failed {}", part("failed")), bad_if(whole_number(minute, "failed") > 0)),
            format!("fallback {}", part("fallback")).into(),
            format!("refused {}", part("refused")).into(),
            format!("cache {}", part("cached")).into(),
        ],
        vec![
            format!("outbox {}{}", count(whole_number(&document["outbox"], "waiting")), more(&document["outbox"]))
                .into(),
            Cell::new(format!("dead letters {letters}"), warn_if(letters != "0")),
        ],
    ];
    lines.iter().map(|cells| line(cells, screen)).collect()
}

/// The share of time that it was ready: of no longer a time than it has been watched.
fn ready(document: &Json) -> String {
    let [week, month] = ["uptime_7d", "uptime_30d"].map(|name| portion(document[name].as_f64()));
    let [at, since] = ["at", "uptime_since"].map(|name| Timestamp::parse(&cell(document, name)));
    match (at, since) {
        (Ok(at), Ok(since)) if at.0.saturating_sub(since.0) < 7 * 86_400_000_000 => {
            format!("ready {week} of {}", ago(since, at))
        }
        _ => format!("ready {week} of 7 d, {month} of 30 d"),
    }
}

/// Cells one after the other, as many as the window has room for.
fn line(cells: &[Cell], screen: Screen) -> String {
    let columns: Vec<_> = (0..cells.len()).map(|at| Column::text("", u8::try_from(at).unwrap_or(u8::MAX))).collect();
    // The table's own line without a head.
    table(&columns, &[cells.to_vec()], screen).lines().skip(1).map(|line| format!("{line}\n")).collect()
}

fn trouble(document: &Json, screen: Screen) -> String {
    let one = |one: &Json| {
        let tone = if one["vital"] == true { Tone::Bad } else { Tone::Warn };
        let text = harmless(&format!("! {}: {}", cell(one, "part"), cell(one, "why")));
        let text = screen.width.map_or(text.clone(), |width| cut(&text, width));
        format!("{}\n", tone.paint(&text, screen))
    };
    list(&document["trouble"]).map(one).collect()
}

fn integrations(document: &Json, screen: Screen) -> String {
    let columns = [
        Column::text("INTEGRATION", 0),
        Column::text("STATE", 1),
        Column::number("PER S", 2),
        Column::number("P50", 8),
        Column::number("P95", 5),
        Column::number("P99", 9),
        Column::number("FAILED", 3),
        Column::number("FALLBACK", 7),
        Column::number("CACHE", 10),
        Column::number("WATCH", 6),
        Column::number("LETTERS", 4),
        Column::number("OUTBOX", 12),
        Column::text("MODEL", 11),
    ];
    let now = Timestamp::parse(&cell(document, "at")).unwrap_or(Timestamp(0));
    let row = |one: &Json| {
        let figures = &one["figures"];
        let part = |name: &str| share(whole_number(figures, name), whole_number(figures, "decisions"));
        let (tone, state) = doing(one);
        let letters = whole_number(one, "letters");
        vec![
            cell(one, "name").into(),
            Cell::new(state, tone),
            one["minute"]["per_second"].as_f64().map_or_else(|| NONE.to_owned(), number).into(),
            time(figures, "p50").into(),
            time(figures, "p95").into(),
            time(figures, "p99").into(),
            Cell::new(part("failed"), bad_if(whole_number(figures, "failed") > 0)),
            part("fallback").into(),
            part("cached").into(),
            freshness(&one["watch"], now).into(),
            Cell::new(format!("{}{}", count(letters), more(&document["letters"])), warn_if(letters > 0)),
            format!("{}{}", count(whole_number(one, "outbox")), more(&document["outbox"])).into(),
            format!("{} {}", cell(one, "model"), cell(one, "version")).into(),
        ]
    };
    listed(&columns, list(&document["integrations"]).map(row).collect(), screen)
}

/// What integrations are to reach, where they say so.
fn objectives(document: &Json, screen: Screen) -> String {
    let columns = [
        Column::text("OBJECTIVE", 0),
        Column::text("OF", 1),
        Column::number("REACHED", 3),
        Column::number("BUDGET LEFT", 2),
        Column::number("BURN 1H", 4),
        Column::number("BURN 24H", 5),
        Column::number("OVER", 6),
    ];
    let row = |of: &Json, one: &Json| {
        let target = one["target"].as_f64().unwrap_or_default();
        let wanted = words::objective(&cell(one, "objective"), target, one["within"].as_f64());
        let tone = if one["spent"] == true { Tone::Warn } else { Tone::Plain };
        vec![
            wanted.into(),
            cell(of, "name").into(),
            portion(one["reached"].as_f64()).into(),
            Cell::new(left(one["left"].as_f64()), tone),
            burn(one["burn_1h"].as_f64()).into(),
            burn(one["burn_24h"].as_f64()).into(),
            lasting(whole_number(one, "window")).into(),
        ]
    };
    let all = list(&document["integrations"]);
    let rows = all.flat_map(|of| list(&of["objectives"]).map(move |one| row(of, one)));
    listed(&columns, rows.collect(), screen)
}

fn systems(document: &Json, screen: Screen) -> String {
    let columns = [
        Column::text("SYSTEM", 0),
        Column::text("STATE", 1),
        Column::number("UNDER WAY", 3),
        Column::number("QUEUED", 4),
        Column::number("WAITING", 2),
        Column::number("OLDEST", 5),
        Column::number("RATE", 8),
        Column::text("KIND", 7),
        Column::text("LAST FAILURE", 6),
    ];
    let now = Timestamp::parse(&cell(document, "at")).unwrap_or(Timestamp(0));
    let row = |one: &Json| {
        let (tone, state) = system(one);
        let oldest = Timestamp::parse(&cell(one, "oldest")).ok();
        let under_way = match (one["under_way"].as_u64(), one["concurrency"].as_u64()) {
            (Some(under_way), Some(most)) => format!("{under_way} of {most}"),
            _ => NONE.to_owned(),
        };
        vec![
            cell(one, "name").into(),
            Cell::new(state, tone),
            under_way.into(),
            one["queued"].as_u64().map_or_else(|| NONE.to_owned(), count).into(),
            format!("{}{}", count(whole_number(one, "waiting")), more(one)).into(),
            oldest.map_or_else(|| NONE.to_owned(), |oldest| ago(oldest, now)).into(),
            used(one["rate_used"].as_f64(), one["rate"].as_f64()).into(),
            cell(one, "kind").into(),
            cell(one, "last_failure").into(),
        ]
    };
    listed(&columns, list(&document["systems"]).map(row).collect(), screen)
}

fn models(document: &Json, screen: Screen) -> String {
    let columns = [Column::text("MODEL", 0), Column::text("VERSIONS", 1), Column::text("ALIASES", 2)];
    let row = |one: &Json| {
        let versions: Vec<String> = list(&one["versions"]).map(|version| cell(version, "version")).collect();
        let aliases = one["aliases"].as_object().into_iter().flatten();
        let aliases: Vec<String> =
            aliases.map(|(alias, version)| format!("{alias}={}", version.as_str().unwrap_or_default())).collect();
        let loaded = if versions.is_empty() { Cell::new("none loaded", Tone::Bad) } else { versions.join(", ").into() };
        vec![cell(one, "name").into(), loaded, aliases.join(", ").into()]
    };
    listed(&columns, list(&document["models"]).map(row).collect(), screen)
}

fn errors(document: &Json, screen: Screen) -> String {
    let columns = [Column::text("WHAT WENT WRONG", 0), Column::number("TIMES", 1), Column::text("WHERE", 2)];
    let row = |name: Json, times: &Json, more: &str, place: &str| {
        vec![
            Cell::from(name.as_str().unwrap_or_default()),
            format!("{}{more}", count(times.as_u64().unwrap_or_default())).into(),
            place.into(),
        ]
    };
    let more = more(&document["letters"]);
    let causes = list(&document["letters"]["causes"])
        .map(|cause| row(cause["code"].clone(), &cause["times"], more, "dead letters (`tendon letters list`)"));
    let unanswered = list(&document["unanswered"]).map(|one| {
        let place = format!(
            "{}: the model did not answer itself, since the start",
            one["integration"].as_str().unwrap_or_default()
        );
        row(one["reason"].clone(), &one["times"], "", &place)
    });
    let refused = list(&document["refusals"])
        .map(|refusal| row(refusal["reason"].clone(), &refusal["times"], "", "requests refused since the start"));
    listed(&columns, causes.chain(unanswered).chain(refused).collect(), screen)
}

/// A table, or nothing where there are no rows.
fn listed(columns: &[Column], rows: Vec<Vec<Cell>>, screen: Screen) -> String {
    if rows.is_empty() { String::new() } else { table(columns, &rows, screen) }
}

/// The state of the whole, in the words of the page; one that this version does not know, as it is called.
fn health(document: &Json) -> (Tone, String) {
    told(&document["state"], |health: Health| health.told())
}

fn doing(one: &Json) -> (Tone, String) {
    told(&one["state"], |doing: Doing| doing.told())
}

fn system(one: &Json) -> (Tone, String) {
    told(&one["breaker"], |breaker| words::system(breaker, one["last_failure"].is_string()))
}

/// A state in words.
fn told<T: serde::de::DeserializeOwned>(
    state: &Json,
    words: impl FnOnce(T) -> (words::Tone, &'static str),
) -> (Tone, String) {
    let Ok(known) = serde_json::from_value(state.clone()) else {
        return (Tone::Warn, state.as_str().unwrap_or(NONE).replace('_', " "));
    };
    let (tone, word) = words(known);
    let tone = match tone {
        words::Tone::Good => Tone::Good,
        words::Tone::Warn => Tone::Warn,
        words::Tone::Bad => Tone::Bad,
        words::Tone::Calm => Tone::Plain,
    };
    (tone, word.to_lowercase())
}

/// How long ago the watch had seen everything.
fn freshness(watch: &Json, now: Timestamp) -> String {
    if watch.is_null() {
        return "none".to_owned();
    }
    Timestamp::parse(&cell(watch, "up_to_date_at")).map_or_else(|_| "not yet".to_owned(), |at| ago(at, now))
}

fn list(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

fn whole_number(of: &Json, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_default()
}

fn time(of: &Json, name: &str) -> String {
    seconds(of[name].as_f64())
}

fn more(of: &Json) -> &'static str {
    if of["more"] == true { "+" } else { "" }
}

fn bad_if(bad: bool) -> Tone {
    if bad { Tone::Bad } else { Tone::Plain }
}

fn warn_if(warn: bool) -> Tone {
    if warn { Tone::Warn } else { Tone::Plain }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_narrow_window_keeps_what_asks_for_somebody() {
        let figures = json!({ "decisions": 1200, "failed": 3, "fallback": 1, "cached": 0, "p50": 0.0004, "p95": 0.0021, "p99": 0.0051 });
        let one = json!({ "name": "lead-score", "state": "deciding", "figures": figures, "minute": { "per_second": 20.5 },
            "letters": 12, "watch": { "up_to_date_at": "2026-05-17T10:00:00Z" }, "model": "lead-score", "version": "v1" });
        let document = json!({ "at": "2026-05-17T10:00:02Z", "integrations": [one], "letters": { "more": false } });
        let heads = |width: usize| -> Vec<String> {
            let text = integrations(&document, Screen { width: Some(width), ..Screen::default() });
            text.lines()
                .next()
                .unwrap()
                .split("  ")
                .map(str::trim)
                .filter(|head| !head.is_empty())
                .map(str::to_owned)
                .collect()
        };
        for head in ["INTEGRATION", "STATE", "PER S", "FAILED", "LETTERS"] {
            assert!(heads(60).iter().any(|shown| shown == head), "{head}: {:?}", heads(60));
        }
        assert_eq!(heads(40), ["INTEGRATION", "STATE", "PER S", "FAILED"]);
        assert_eq!(heads(200).len(), 13);
        for width in 30..200 {
            assert!(heads(width).iter().all(|head| !head.contains('…')), "{width}: {:?}", heads(width));
        }
    }
}
