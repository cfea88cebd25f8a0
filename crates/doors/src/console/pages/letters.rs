//! Dead letters: what could not go on, by cause; each, or all of a cause, can be tried again.

use std::collections::BTreeMap;

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_engine::outbox::DeadLetter;
use tendon_kernel::{Result, Timestamp};

use crate::console::{
    layout,
    page::{Change, May, Page, Reply, View, Visit},
    parts::{
        empty,
        figure::{count, moment},
        pager,
    },
    session::Notice,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/letters",
    name: Some("Dead letters"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[Change {
        path: RETRY,
        may: May::Operate,
        carry_out: |visit| async move { retry(&visit).await }.boxed(),
    }],
};

/// Where a retry goes.
pub(super) const RETRY: &str = "/console/letters/retry";
/// Letters of a page; a cause's are tried again so many at a time.
const LISTED: usize = 500;
/// Letters of a cause that are shown one by one.
const SHOWN: usize = 20;

/// What letters of one cause have in common: integration, system, code.
type Cause = (String, String, String);

fn cause(letter: &DeadLetter) -> Cause {
    (letter.row.integration.to_string(), letter.row.system.to_string(), letter.row.code.clone())
}

async fn show(visit: &Visit) -> Result<Reply> {
    let page = visit.api.service.letters(visit.known()?, Some(LISTED), visit.query.text("cursor")).await?;
    let mut causes = BTreeMap::<Cause, Vec<&DeadLetter>>::new();
    for letter in &page.letters {
        causes.entry(cause(letter)).or_default().push(letter);
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, letters)| std::cmp::Reverse(letters.len()));
    let body = html! {
        div.head { h1 { "Dead letters" } p.soft { "Records and write-backs that could not go on, by cause. Nothing is lost: they wait for a person." } }
        @if causes.is_empty() {
            section.card aria-label="Dead letters" { (empty("None", "Everything that was recorded went on, or is still being tried.")) }
        }
        @for (cause, letters) in &causes { (group(visit, cause, letters)) }
        @if let Some(next) = &page.next {
            (pager(&format!("The first {} are shown.", count(LISTED as u64)), &format!("/console/letters?cursor={next}"), "Later ones"))
        }
    };
    Ok(View::reply("Dead letters", body))
}

fn group(visit: &Visit, (integration, system, code): &Cause, letters: &[&DeadLetter]) -> Markup {
    let operate = visit.who.as_ref().filter(|who| who.known.operate);
    let message = letters.first().map_or("", |letter| &letter.row.message);
    let newest = letters.iter().map(|letter| letter.row.at).max().unwrap_or(Timestamp(0));
    html! {
        section.card aria-label={ (code) " of " (integration) } {
            header {
                h2 { (integration) " · " @if system.is_empty() { "record" } @else { (system) } }
                code { (code) }
                span.soft { (count(letters.len() as u64)) @if letters.len() == 1 { " letter" } @else { " letters" } ", newest " (moment(newest)) }
                div.spacer {}
                @if let Some(who) = operate {
                    @let cause = [("integration", integration.as_str()), ("system", system), ("code", code)];
                    (layout::press(who, RETRY, &cause, &html! { button type="submit" { "Retry all " (letters.len()) } }))
                }
            }
            div.inner { p.text { (message) } }
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Letter" } th scope="col" { "Died" } th scope="col" { "Decision" } th scope="col" { span.hidden { "Retry" } } } }
                tbody {
                    @for letter in letters.iter().take(SHOWN) {
                        tr {
                            th scope="row" { @if operate.is_some() { a href={ "/console/letters/" (letter.id) } { (letter.id) } } @else { (letter.id) } @if letter.row.message != message { span.sub { (letter.row.message) } } }
                            td data-of="Died" { (moment(letter.row.at)) }
                            td data-of="Decision" { a href={ "/console/decisions/" (letter.row.decision) } { code { (letter.row.decision) } } }
                            td.number {
                                @if let Some(who) = operate {
                                    @let button = html! { button type="submit" aria-label={ "Retry letter " (letter.id) } { "Retry" } };
                                    (layout::press(who, RETRY, &[("letter", &letter.id)], &button))
                                }
                            }
                        }
                    }
                }
            } }
            @if letters.len() > SHOWN { p.pager.soft { "and " (count((letters.len() - SHOWN) as u64)) " more of this cause" } }
        }
    }
}

async fn retry(visit: &Visit) -> Result<Reply> {
    let (service, known) = (&visit.api.service, visit.known()?);
    let back = |text: String| Ok(Reply::Go("/console/letters".to_owned(), Some(Notice::Done(text))));
    if let Some(letter) = visit.form.text("letter") {
        let decision = service.retry_letter(known, letter).await?;
        return back(format!("Letter {letter} is tried again; its decision is {decision}."));
    }
    let wanted = |name: &str| visit.form.text(name).unwrap_or_default().to_owned();
    let wanted: Cause = (wanted("integration"), wanted("system"), wanted("code"));
    let page = service.letters(known, Some(LISTED), None).await?;
    let (mut tried, mut last) = (0_u64, None);
    for letter in page.letters.iter().filter(|letter| cause(letter) == wanted) {
        match service.retry_letter(known, &letter.id).await {
            Ok(_) => tried += 1,
            // One that was erased, or tried again meanwhile, keeps no other back.
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) if tried == 0 => Err(error),
        Some(error) => back(format!("{tried} letters are tried again; others could not be: {}.", error.message())),
        None => back(format!("{tried} letters are tried again.")),
    }
}
