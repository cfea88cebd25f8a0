//! One decision: what was asked, what was answered and why, what was written where, and whether the record proves it.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_engine::{Took, outbox::DeadLetter, stored};
use tendon_kernel::{
    Error, ErrorKind, Result,
    decision::{Decision, Explanation},
};

use super::{
    decisions::{band, outcome, table},
    written,
};
use crate::{
    console::{
        office::Order,
        page::{May, Page, Reply, View, Visit},
        parts::{
            Tone, badge,
            chart::{bar, spark},
            empty,
            figure::{NONE, moment, number},
            laps::laps,
        },
    },
    service::{Filter, Recorded, Row, Sight},
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/decisions/{id}",
    name: None,
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[],
};

/// Its proof, as a file that a stranger can verify.
pub(in crate::console) static PROOF: Page = Page {
    path: "/console/decisions/{id}/proof",
    name: None,
    may: May::View,
    show: |visit| async move { proof(&visit).await }.boxed(),
    changes: &[],
};

/// Other decisions about the same subject.
const OTHERS: usize = 20;

/// What the page shows.
struct Seen {
    decision: Decision,
    recorded: Recorded,
    /// How long its stages took; `None` for one that was recorded before that was kept.
    took: Option<Took>,
    /// Whether they may open a letter.
    operate: bool,
    /// The input, for those who may see it, and what was written.
    input: Option<Json>,
    /// Deliveries with their values, for the same.
    values: Vec<Json>,
    /// The letter of the record itself, while it waits for a person.
    letter: Option<DeadLetter>,
    others: Vec<Row>,
    replayed: Option<Result<Json>>,
    proved: Option<Result<Json>>,
}

async fn show(visit: &Visit) -> Result<Reply> {
    let seen = look(visit).await?;
    let id = seen.decision.id;
    let body = html! {
        div.head {
            p.crumb { a href="/console/decisions" { "Decisions" } " / " code { (id) } }
            h1 { (seen.decision.integration) @if let Some(subject) = &seen.decision.subject { " · " (subject) } }
            (outcome(seen.decision.outcome.name())) (band(seen.decision.band.as_deref()))
        }
        (checked(&seen))
        div.two { (answer(&seen)) (record(&seen, visit)) }
        div.two.lean.beside { (input(&seen)) (why(seen.recorded.explanation.as_ref(), seen.recorded.sight)) @if let Some(took) = &seen.took { (laps(took, &visit.api.engine)) } }
        (written::card(&seen.recorded.deliveries, &seen.values, seen.letter.as_ref(), seen.input.is_some(), seen.operate))
        (others(&seen))
    };
    Ok(View::reply(format!("Decision {id}"), body))
}

async fn look(visit: &Visit) -> Result<Seen> {
    let (api, known, id) = (&visit.api, visit.known()?, visit.part(0));
    let recorded = api.service.decision(known, id, true).await?;
    let decision = recorded.decision()?;
    // What a row holds beyond what was asked about is for those who work with it.
    let inside = known.operate || known.may_review(&decision.integration);
    let input = if inside { Some(api.engine.input_of(&recorded.entry).await?) } else { None };
    let values = if inside && !recorded.deliveries.is_empty() {
        visit.order(Order::Deliveries(id.to_owned())).await?.as_array().cloned().unwrap_or_default()
    } else {
        Vec::new()
    };
    let took = stored::took(&recorded.entry)?;
    // Only a record without an answer has a letter of its own.
    let letter = match decision.output {
        None if recorded.deliveries.is_empty() => api.service.record_letter(known, recorded.seq).await?,
        _ => None,
    };
    let asked = |name: &str| visit.query.text("check") == Some(name);
    let replayed = if asked("replay") { Some(visit.order(Order::Replay(id.to_owned())).await) } else { None };
    let proved = if asked("proof") { Some(visit.order(Order::Proof(id.to_owned())).await) } else { None };
    let others = match &decision.subject {
        Some(subject) => {
            let integration = Some(decision.integration.to_string());
            let filter =
                Filter { subject: Some(subject.to_string()), integration, limit: Some(OTHERS), ..Filter::default() };
            api.service.list(known, &filter).await?.decisions
        }
        None => Vec::new(),
    };
    let operate = known.operate;
    Ok(Seen { decision, recorded, took, operate, input, values, letter, others, replayed, proved })
}

async fn proof(visit: &Visit) -> Result<Reply> {
    let id = visit.part(0);
    // Who may not see the decision gets no proof of it.
    visit.api.service.find(visit.known()?, id).await?;
    let made = visit.order(Order::Proof(id.to_owned())).await?;
    let text = made
        .get("proof")
        .and_then(Json::as_str)
        .ok_or_else(|| Error::new(ErrorKind::Internal, "no_proof", "the ledger made no proof of the decision"))?;
    Ok(Reply::File(format!("{id}.tlog-proof"), "text/plain; charset=utf-8", text.to_owned()))
}

/// What a check found that was asked for just now.
fn checked(seen: &Seen) -> Markup {
    html! {
        @match &seen.replayed {
            None => {}
            Some(Err(error)) => (failed("The decision could not be replayed", error)),
            Some(Ok(found)) => (replay(found)),
        }
        @match &seen.proved {
            None => {}
            Some(Err(error)) => (failed("The proof does not hold", error)),
            Some(Ok(found)) => {
                p.notice role="status" {
                    b { "Proved." } " Entry " (found["seq"]) " is in the signed tree of " (found["size"])
                    " entries: nobody has changed it since. Verified here with the log's public key "
                    code.small { (found["key"].as_str().unwrap_or_default()) }
                }
            }
        }
    }
}

fn failed(what: &str, error: &Error) -> Markup {
    html! { div.notice.bad role="alert" { b { (what) ". " } (error.message()) "." @if let Some(hint) = error.hint_text() { " " (hint) "." } } }
}

fn replay(found: &Json) -> Markup {
    let differences = found["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let other = found["other_plan"].is_string();
    html! {
        @if found["same"] == true {
            p.notice role="status" { b { "The same, bit for bit." } " Decided again from the record, with the model and the plan that made it." }
        } @else {
            div.notice.bad role="alert" {
                p { b { "It comes out otherwise." } @if other { " The plan in force is another one." } }
                ul {
                    @for one in differences {
                        li { (one["what"].as_str().unwrap_or_default()) ": recorded " code { (one["recorded"].as_str().unwrap_or_default()) }
                            ", replayed " code { (one["replayed"].as_str().unwrap_or_default()) } }
                    }
                }
            }
        }
    }
}

fn answer(seen: &Seen) -> Markup {
    let decision = &seen.decision;
    html! {
        section.card aria-labelledby="the-answer" {
            header { h2 id="the-answer" { "Answer" } }
            dl.facts {
                dt { "Output" } dd { b { (decision.output.map_or_else(|| NONE.to_owned(), |output| output.to_string())) } }
                dt { "Band" } dd { (band(decision.band.as_deref())) }
                dt { "Decided" } dd { (moment(decision.at)) }
                dt { "Model" } dd {
                    @match &decision.model {
                        Some(model) => { (model.name) "@" (model.version) " " code.small.soft title=(model.digest) { (model.digest.get(..12).unwrap_or_default()) } }
                        None => span.soft { "none was asked" },
                    }
                }
                dt { "Route" } dd { (decision.route) @if let Some(rung) = decision.degraded { " · rung " (format!("{rung:?}").to_lowercase()) } }
                @if let Some(recalled) = &decision.recalled {
                    dt { "From cache" } dd { a href={ "/console/decisions/" (recalled.from) } { (moment(recalled.at)) } " · " (recalled.age_ms) " ms old" @if recalled.stale { " · stale" } }
                }
                @if !decision.repaired.is_empty() {
                    dt { "Repaired" } dd { @for one in &decision.repaired { span { (one.field) " (" (one.how) ") " } } }
                }
                @for one in &decision.lookups {
                    dt { "Lookup " (one.name) } dd { (format!("{:?}", one.state).to_lowercase()) @if let Some(why) = &one.why { " · " (why) } }
                }
                @if let Some(review) = &seen.recorded.review { dt { "Review" } dd { (badge(Tone::Calm, review.state.name())) " due " (moment(review.due)) } }
                @if let Some(error) = &decision.error {
                    dt { "Error" } dd { code { (error.code) } " " (error.message) @if let Some(pointer) = &error.pointer { " at " code { (pointer) } } @if let Some(hint) = &error.hint { span.soft { " (" (hint) ")" } } }
                }
            }
        }
    }
}

fn record(seen: &Seen, visit: &Visit) -> Markup {
    let (decision, facts) = (&seen.decision, &seen.recorded.entry.facts);
    let check = |name: &str| format!("{}?check={name}", visit_path(&decision.id));
    html! {
        section.card aria-labelledby="the-record" {
            header { h2 id="the-record" { "Record" } }
            dl.facts {
                dt { "Entry" } dd { (seen.recorded.seq) @if !decision.durable { " · answered before it was durable" } }
                dt { "Asked by" } dd { code { (facts.caller) } " through " (decision.door.name()) }
                dt { "Plan" } dd { code.small title=(facts.plan) { (facts.plan.get(..12).unwrap_or(&facts.plan)) } }
                dt { "Retention" } dd { (facts.retention) @if !facts.region.is_empty() { " · " (facts.region) } }
                dt { "Check" } dd {
                    div.row {
                        a.button href=(check("replay")) { "Replay" }
                        a.button href=(check("proof")) { "Verify" }
                        a href={ (visit_path(&decision.id)) "/proof" } download { "Download proof" }
                    }
                    p.soft.small { "Whoever has the file and Tendon checks it, without this service: " code { "tendon ledger verify --proof " (decision.id) ".tlog-proof --key '" (visit.api.console.office.log_key()) "'" } }
                    @if visit.query.text("check").is_none() { p.soft.small { "Replay decides again and compares bit for bit. Verify proves that the entry stands in the signed tree." } }
                }
            }
        }
    }
}

fn visit_path(id: &tendon_kernel::Id) -> String {
    format!("/console/decisions/{id}")
}

fn input(seen: &Seen) -> Markup {
    html! {
        section.card aria-labelledby="the-input" {
            header { h2 id="the-input" { "Input" } }
            @match &seen.input {
                None => (empty("Not shown", "The whole input is shown to operators, and to those who review this integration.")),
                Some(input) => (fields(input)),
            }
        }
    }
}

/// An input, field by field; what is no row, as it was sent.
pub(super) fn fields(input: &Json) -> Markup {
    html! {
        @match input {
            Json::Object(fields) => div.scroll { table {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Value" } } }
                tbody { @for (name, value) in fields { tr { th scope="row" { (name) } td { (shown(value)) } } } }
            } },
            other => pre tabindex="0" { (serde_json::to_string_pretty(other).unwrap_or_default()) },
        }
    }
}

/// A value of a row: a text as it is, anything else as JSON writes it.
pub(super) fn shown(value: &Json) -> Markup {
    html! {
        @match value {
            Json::Null => span.soft { "missing" },
            Json::String(text) => span.text { (text) },
            Json::Number(number) => @match number.as_f64().filter(|_| number.is_f64()) { Some(double) => (double), None => (number) },
            other => (other),
        }
    }
}

/// Contributions, the largest first, as bars and in words; the values that they are about, for those who see them.
fn why(explanation: Option<&Explanation>, sight: Sight) -> Markup {
    html! {
        section.card aria-labelledby="the-reasons" {
            header { h2 id="the-reasons" { "Why" } @if let Some(found) = explanation { span.soft.small { (found.method) " · base " (number(found.base)) " · margin " (number(found.margin)) } } }
            @match explanation {
                None => (empty("Nothing to explain", "This decision has no output.")),
                Some(found) if found.reasons.is_empty() => (empty("No contributions", "It was answered without looking at features.")),
                Some(found) => {
                    @let largest = found.reasons.iter().map(|one| one.contribution.abs()).fold(0.0, f64::max);
                    div.scroll { table.stack {
                        thead { tr { th scope="col" { "Feature" } th.number scope="col" { "Contribution" } th scope="col" { "Lowers – raises" } th scope="col" { "In words" } } }
                        tbody {
                            @for one in &found.reasons {
                                tr {
                                    th scope="row" { (one.feature) @if sight == Sight::Whole { span.sub { (shown(&one.value)) } } }
                                    td.number data-of="Contribution" { (format!("{:+.4}", one.contribution)) }
                                    td { (bar(one.contribution, largest)) }
                                    td.whole { (one.text) }
                                }
                            }
                        }
                    } }
                }
            }
        }
    }
}

fn others(seen: &Seen) -> Markup {
    let output = |row: &Row| {
        let told: Option<Json> = row.decision.as_ref().and_then(|text| serde_json::from_str(text.get()).ok());
        told.and_then(|told| told["output"].as_f64())
    };
    let values: Vec<_> = seen.others.iter().rev().map(output).collect();
    html! {
        @if seen.others.len() > 1 {
            section.card aria-labelledby="the-others" {
                header { h2 id="the-others" { "This subject, lately" } (spark(&values)) }
                (table(&seen.others))
            }
        }
    }
}
