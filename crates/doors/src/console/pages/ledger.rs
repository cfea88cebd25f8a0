//! The ledger: how large it is, what was signed and where that is known, a verification, and who was erased when.

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use serde_json::Value as Json;
use tendon_kernel::Result;

use crate::console::{
    layout,
    page::{Change, May, Page, Reply, View, Visit},
    parts::{
        Tone, badge, empty,
        figure::{NONE, ago, bytes, count, moment, seconds, share},
        live,
        noted::{by, older},
        tile,
    },
    record::{Chapter, Checkpoint, LedgerView, Noted, Published, Verdict, Verification},
    session::Notice,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/ledger",
    name: Some("Ledger"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[Change {
        path: VERIFY,
        may: May::Operate,
        carry_out: |visit| async move { verify(&visit).await }.boxed(),
    }],
};

/// Where a verification is begun.
const VERIFY: &str = "/console/ledger/verify";
/// Erasures of a page.
const LISTED: usize = 50;

async fn show(visit: &Visit) -> Result<Reply> {
    let office = &visit.api.console.office;
    let view = office.ledger().await;
    let before = visit.before()?;
    // A ledger in trouble is what this page has to tell of: it is shown without what cannot be read.
    let erasures = office.chapter(Chapter::Erasures, before, LISTED).await;
    let body = html! {
        div.head {
            h1 { "Ledger" }
            p.soft { "Every decision leaves one entry; no byte of it can change without being seen." }
            div.spacer {}
            (live())
        }
        div id="size" data-live="" {
            @if let Some(why) = &view.state.stopped { p.notice.bad role="alert" { "Nothing can be recorded now: " (why) } }
            (tiles(visit, &view))
        }
        div.two {
            section.card aria-labelledby="of-checkpoint" {
                header { h2 id="of-checkpoint" { "Last checkpoint" } }
                div id="checkpoint" data-live="" { (checkpoint(view.checkpoint.as_ref())) }
            }
            div {
                section.card aria-labelledby="of-verification" {
                    header { h2 id="of-verification" { "Verification" } }
                    div id="verification" data-live="" { (verification(visit, &view)) }
                }
                section.card aria-labelledby="of-publishing" {
                    header { h2 id="of-publishing" { "Published" } }
                    div id="publishing" data-live="" { (published(visit, &view)) }
                }
            }
        }
        section.card aria-labelledby="of-erasures" {
            header {
                h2 id="of-erasures" { "Erasures" }
                span.soft { "Who was erased is not kept: the entry names the decisions that cannot be opened any more." }
            }
            div id="erasures" data-live="" {
                @match &erasures {
                    Ok(erasures) => (erased(erasures, before.is_some())),
                    Err(error) => div.inner { p.notice.bad { "They cannot be read: " (error.message()) ". Verify the ledger." } },
                }
            }
        }
    };
    Ok(View::reply("Ledger", body))
}

fn tiles(visit: &Visit, view: &LedgerView) -> Markup {
    let state = &view.state;
    let behind = state.size.saturating_sub(state.projected);
    let open = state.size.saturating_sub(state.checkpoint);
    let (size, segments) = view.files.map_or_else(
        || (NONE.to_owned(), "the folder cannot be read".to_owned()),
        |files| {
            let plural = if files.segments == 1 { "segment" } else { "segments" };
            (bytes(files.bytes), format!("{} {plural}, with room made ahead", count(files.segments)))
        },
    );
    let signed = view.checkpoint.as_ref().and_then(|checkpoint| checkpoint.at);
    let signed = signed.map_or_else(|| "none yet".to_owned(), |at| format!("{} ago", ago(at, visit.now())));
    html! {
        div.tiles {
            (tile("Entries", &count(state.size), &if behind == 0 { "all can be searched".to_owned() } else { format!("{} cannot be searched yet", count(behind)) }))
            (tile("On disk", &size, &segments))
            (tile("Under the checkpoint", &count(state.checkpoint), &if open == 0 { "all of them".to_owned() } else { format!("{} wait for the next one", count(open)) }))
            (tile("Last checkpoint", &signed, "signed within a second of an entry"))
        }
    }
}

fn checkpoint(checkpoint: Option<&Checkpoint>) -> Markup {
    let Some(one) = checkpoint else {
        return empty("None yet", "The first entry is signed within a second.");
    };
    // `origin+id+key`: the middle is what signed notes call the key's id. An origin has no plus, a key may have some.
    let id = one.key.split('+').nth(1).unwrap_or_default();
    html! {
        dl.facts {
            dt { "Tree size" } dd { (count(one.size)) " entries" }
            dt { "Root hash" } dd { code { (one.root) } }
            dt { "Signed" } dd { @match one.at { Some(at) => (moment(at)), None => (NONE) } }
            dt { "Key id" } dd { code { (id) } }
            dt { "Public key" } dd { code { (one.key) } }
            dt { "Log" } dd { code { (one.origin) } }
        }
        div.inner {
            details {
                summary { "The signed text" }
                pre tabindex="0" { (one.text) }
                p.soft.small { "Keep it elsewhere: " code { "tendon ledger verify --since FILE" } " proves that this ledger has only grown since." }
            }
        }
    }
}

fn published(visit: &Visit, view: &LedgerView) -> Markup {
    let Some(published) = &view.published else {
        return empty(
            "Nowhere",
            "Name a file or an address as checkpoint under ledger in tendon.yaml. Who holds the signing key could rewrite a ledger that nobody else knows of.",
        );
    };
    let Published { to, every, entries, at, failure } = published;
    let behind = view.state.checkpoint.saturating_sub(*entries);
    let (tone, word) = match (failure, at) {
        (Some(_), _) => (Tone::Bad, "Failing"),
        (None, Some(_)) => (Tone::Good, "Published"),
        (None, None) => (Tone::Calm, "Not yet"),
    };
    html! {
        dl.facts {
            dt { "State" } dd { (badge(tone, word)) @if let Some(failure) = failure { " " span.bad-ink { (failure) } } }
            dt { "To" } dd { code { (to) } }
            dt { "Up to" } dd { (count(*entries)) " entries" @if behind > 0 { ", " (count(behind)) " behind the last checkpoint" } }
            dt { "When" } dd { @match at { Some(at) => { (moment(*at)) " · " (ago(*at, visit.now())) " ago" } None => "not since the start" } }
            dt { "Every" } dd { (seconds(Some(every.as_secs_f64()))) }
        }
    }
}

fn verification(visit: &Visit, view: &LedgerView) -> Markup {
    let under_way = view.verification.as_ref().is_some_and(|one| one.ended.is_none());
    let too_large = view.files.is_some_and(|files| files.bytes > view.most);
    html! {
        div.inner {
            @match &view.verification {
                Some(one) => (told(one)),
                None => p { "Nobody asked for one here since the start." },
            }
        }
        div.inner.row.ruled {
            @if too_large {
                p.soft { "This ledger is larger than " (bytes(view.most)) ": it is verified on the machine, by " code { "tendon ledger verify" } ", beside the running process." }
            } @else if let Some(who) = visit.who.as_ref().filter(|who| who.known.operate && !under_way) {
                (layout::press(who, VERIFY, &[], &html! { button type="submit" { "Verify now" } }))
                span.soft.small { "reads every byte under the last checkpoint, aside from the decisions" }
            } @else if !under_way {
                p.soft.small { "An operator can have every byte under the last checkpoint read and compared; up to " (bytes(view.most)) " of entries." }
            } @else {
                p.soft.small { "One at a time. It goes on when you leave this page." }
            }
        }
    }
}

fn told(one: &Verification) -> Markup {
    let (read, all) = one.read;
    html! {
        @match &one.ended {
            None => {
                p role="status" { (badge(Tone::Warn, "Under way")) " " (bytes(read)) " of " (bytes(all)) " read (" (share(read, all)) ")" }
            }
            Some((_, Verdict::Good { entries, erased })) => {
                p role="status" { (badge(Tone::Good, "All is well")) " " (count(*entries)) " entries, " (bytes(all)) ", " (count(*erased)) " erased keys" }
            }
            Some((_, Verdict::Wrong(findings))) => {
                p role="status" { (badge(Tone::Bad, "Does not verify")) " " (count(findings.len() as u64)) " findings" }
                ul.findings { @for finding in findings { li { (finding) } } }
            }
            Some((_, Verdict::Failed(why))) => { p role="status" { (badge(Tone::Bad, "Not carried out")) " " (why) } }
        }
        p.soft.small {
            "Begun " (moment(one.began)) " by " (one.by)
            @if let Some((at, _)) = &one.ended { ", ended " (moment(*at)) }
        }
    }
}

fn erased(erasures: &[Noted], further: bool) -> Markup {
    if erasures.is_empty() {
        let title = if further { "No older one" } else { "None" };
        return empty(title, "`tendon ledger erase --subject …` forgets a subject; every proof still verifies.");
    }
    let length = |more: &Json, name: &str| more[name].as_array().map_or(0, Vec::len) as u64;
    html! {
        div.scroll { table.stack {
            thead { tr { th scope="col" { "Entry" } th scope="col" { "When" } th scope="col" { "By" } th.number scope="col" { "Decisions" } th.number scope="col" { "Keys" } } }
            tbody {
                @for one in erasures {
                    tr {
                        th scope="row" { (count(one.seq)) }
                        td data-of="When" { (moment(one.at)) }
                        td data-of="By" { (by(&one.by)) }
                        td.number data-of="Decisions" { (count(length(&one.more, "decisions"))) }
                        td.number data-of="Keys" { (count(length(&one.more, "slots"))) }
                    }
                }
            }
        } }
        (older("/console/ledger", erasures, LISTED))
    }
}

async fn verify(visit: &Visit) -> Result<Reply> {
    visit.api.console.office.verify(&visit.known()?.person()).await?;
    let done = Notice::Done("The ledger is being verified.".to_owned());
    Ok(Reply::Go("/console/ledger".to_owned(), Some(done)))
}
