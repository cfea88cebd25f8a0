//! Dead letters: what could not go on, by cause; each, or those of a cause that a page shows, can be tried again.

use std::collections::BTreeMap;

use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_engine::outbox::{DeadLetter, letter_place};
use tendon_kernel::{Error, ErrorKind, Result, Timestamp};

use crate::{
    api::query::encoded,
    console::{
        form::Form,
        layout,
        page::{Change, May, Page, Reply, View, Visit, Who},
        parts::{
            empty,
            figure::{count, moment},
            pager,
        },
        session::Notice,
    },
    service::LetterPage,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: PATH,
    name: Some("Dead letters"),
    may: May::View,
    show: |visit| async move { show(&visit).await }.boxed(),
    changes: &[Change {
        path: RETRY,
        may: May::Operate,
        carry_out: |visit| async move { retry(&visit).await }.boxed(),
    }],
};

const PATH: &str = "/console/letters";
/// Where a retry goes.
pub(super) const RETRY: &str = "/console/letters/retry";
/// Letters of a page of all causes.
const LISTED: usize = 500;
/// Letters of a cause that are shown one by one there.
const SHOWN: usize = 20;
/// Letters of a page of one cause.
const WHOLE: usize = 200;
/// Pages of all causes that are looked through for those of one.
const READS: usize = 8;

/// What letters of one cause have in common: integration, system, code.
type Cause = (String, String, String);

fn cause(letter: &DeadLetter) -> Cause {
    (letter.row.integration.to_string(), letter.row.system.to_string(), letter.row.code.clone())
}

/// Where somebody stands: behind which letter, and whether they look at one cause alone.
struct Place {
    cursor: Option<String>,
    only: Option<Cause>,
}

impl Place {
    /// What an address or a form says of it.
    fn of(form: &Form) -> Self {
        let only = form.text("only").is_some().then(|| named(form));
        Self { cursor: form.text("cursor").map(str::to_owned), only }
    }

    fn address(&self) -> String {
        let pairs: Vec<_> = self.fields().iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", pairs.join("&")) }
    }

    /// The same as the fields of a form.
    fn fields(&self) -> Vec<(&'static str, &str)> {
        let cursor = self.cursor.iter().map(|cursor| ("cursor", cursor.as_str()));
        let only = self.only.iter().flat_map(|cause| [("only", "cause")].into_iter().chain(names(cause)));
        only.chain(cursor).collect()
    }
}

fn named(form: &Form) -> Cause {
    let text = |name: &str| form.text(name).unwrap_or_default().to_owned();
    (text("integration"), text("system"), text("code"))
}

fn names((integration, system, code): &Cause) -> [(&'static str, &str); 3] {
    [("integration", integration), ("system", system), ("code", code)]
}

/// The letters that stand there.
async fn look(visit: &Visit, place: &Place) -> Result<LetterPage> {
    match &place.only {
        Some(only) => of_cause(visit, place, only, WHOLE, None).await,
        None => visit.api.service.letters(visit.known()?, Some(LISTED), place.cursor.as_deref()).await,
    }
}

/// The letters of one cause from a place on: at most so many, up to the last that is wanted.
async fn of_cause(
    visit: &Visit,
    from: &Place,
    wanted: &Cause,
    most: usize,
    last: Option<(u64, u16)>,
) -> Result<LetterPage> {
    let (service, known) = (&visit.api.service, visit.known()?);
    let (mut letters, mut next) = (Vec::new(), from.cursor.clone());
    for _ in 0..READS {
        let page = service.letters(known, Some(LISTED), next.as_deref()).await?;
        for letter in page.letters {
            if let Some(last) = last
                && letter_place(&letter.id)? > last
            {
                return Ok(LetterPage { letters, next: None });
            }
            if cause(&letter) != *wanted {
                continue;
            }
            if letters.len() == most {
                let next = letters.last().map(|last| service.letter_cursor(last));
                return Ok(LetterPage { letters, next });
            }
            letters.push(letter);
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(LetterPage { letters, next })
}

async fn show(visit: &Visit) -> Result<Reply> {
    let place = Place::of(&visit.query);
    let page = look(visit, &place).await?;
    let mut causes = BTreeMap::<Cause, Vec<&DeadLetter>>::new();
    for letter in &page.letters {
        causes.entry(cause(letter)).or_default().push(letter);
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, letters)| std::cmp::Reverse(letters.len()));
    // What is counted here is all that there is only where nothing stands before or behind it.
    let all = place.cursor.is_none() && page.next.is_none();
    let body = html! {
        div.head {
            @if place.cursor.is_some() || place.only.is_some() {
                p.crumb { a href=(PATH) { "Dead letters" } " / " @if place.only.is_some() { "of one cause" } @else { "later ones" } }
            }
            h1 { "Dead letters" } p.soft { "Records and write-backs that could not go on, by cause. Nothing is lost: they wait for a person." }
        }
        @if causes.is_empty() { section.card aria-label="Dead letters" { (none(&place, page.next.is_some())) } }
        @for (cause, letters) in &causes { (group(visit, &place, all, cause, letters)) }
        @if let Some(next) = page.next {
            @let these = if place.cursor.is_none() { "The first" } else { "Another" };
            @let shown = format!("{these} {} are shown, oldest first.", count(page.letters.len() as u64));
            (pager(&shown, &Place { cursor: Some(next), ..place }.address(), "Later ones"))
        }
    };
    Ok(View::reply("Dead letters", body))
}

fn none(place: &Place, more: bool) -> Markup {
    match (place.cursor.is_some() || place.only.is_some(), more) {
        (_, true) => empty("None here", "None of those looked through is of this cause; later ones may be."),
        (true, _) => empty(
            "None here",
            "None is left from this place on; earlier ones, and other causes, are on the first page.",
        ),
        _ => empty("None", "Everything that was recorded went on, or is still being tried."),
    }
}

fn group(visit: &Visit, place: &Place, all: bool, cause: &Cause, letters: &[&DeadLetter]) -> Markup {
    let (integration, system, code) = cause;
    let operate = visit.who.as_ref().filter(|who| who.known.operate);
    let message = letters.first().map_or("", |letter| &letter.row.message);
    let newest = letters.iter().map(|letter| letter.row.at).max().unwrap_or(Timestamp(0));
    let shown = if place.only.is_some() { letters.len() } else { SHOWN };
    html! {
        section.card aria-label={ (code) " of " (integration) } {
            header {
                h2 { (integration) " · " @if system.is_empty() { "record" } @else { (system) } }
                code { (code) }
                span.soft {
                    (count(letters.len() as u64)) @if letters.len() == 1 { " letter" } @else { " letters" }
                    @if !all { " on this page" } ", newest " (moment(newest))
                }
                div.spacer {}
                @if let Some(who) = operate.filter(|_| letters.len() > 1) { (retry_all(who, place, all, cause, letters)) }
            }
            div.inner { p.text { (message) } }
            div.scroll { table.stack {
                thead { tr { th scope="col" { "Letter" } th scope="col" { "Died" } th scope="col" { "Decision" } th scope="col" { span.hidden { "Retry" } } } }
                tbody { @for letter in letters.iter().take(shown) { (row(operate, place, message, letter)) } }
            } }
            @if letters.len() > shown {
                @let whole = Place { cursor: place.cursor.clone(), only: Some(cause.clone()) };
                p.pager { a href=(whole.address()) { "and " (count((letters.len() - shown) as u64)) " more of this cause" } }
            }
        }
    }
}

/// The button that has all of a group tried again: those that stand on the page, up to the last of them.
fn retry_all(who: &Who, place: &Place, all: bool, cause: &Cause, letters: &[&DeadLetter]) -> Markup {
    let last = letters.last().map_or("", |letter| &letter.id);
    let mut fields = place.fields();
    if place.only.is_none() {
        fields.extend(names(cause));
    }
    fields.push(("last", last));
    let word = if all { "Retry all " } else { "Retry these " };
    layout::press(who, RETRY, &fields, &html! { button type="submit" { (word) (letters.len()) } })
}

fn row(operate: Option<&Who>, place: &Place, message: &str, letter: &DeadLetter) -> Markup {
    html! {
        tr {
            th scope="row" { @if operate.is_some() { a href={ "/console/letters/" (letter.id) } { (letter.id) } } @else { (letter.id) } @if letter.row.message != message { span.sub { (letter.row.message) } } }
            td data-of="Died" { (moment(letter.row.at)) }
            td data-of="Decision" { a href={ "/console/decisions/" (letter.row.decision) } { code { (letter.row.decision) } } }
            td.number {
                @if let Some(who) = operate {
                    @let button = html! { button type="submit" aria-label={ "Retry letter " (letter.id) } { "Retry" } };
                    @let fields: Vec<_> = place.fields().into_iter().chain([("letter", letter.id.as_str())]).collect();
                    (layout::press(who, RETRY, &fields, &button))
                }
            }
        }
    }
}

async fn retry(visit: &Visit) -> Result<Reply> {
    let place = Place::of(&visit.form);
    let back = |notice: Notice| Ok(Reply::Go(place.address(), Some(notice)));
    if let Some(letter) = visit.form.text("letter") {
        let decision = visit.api.service.retry_letter(visit.known()?, letter).await?;
        return back(Notice::Done(format!("Letter {letter} is tried again; its decision is {decision}.")));
    }
    let (tried, failed) = retry_group(visit, &place, &named(&visit.form)).await?;
    let letters = if tried == 1 { "1 letter is".to_owned() } else { format!("{} letters are", count(tried)) };
    match failed {
        Some(error) if tried == 0 => Err(error),
        Some(error) => {
            back(Notice::Warned(format!("{letters} tried again; others could not be: {}.", error.message())))
        }
        None if tried == 0 => back(Notice::Warned(
            "No letter is tried again: none of that group is left here. Somebody may have been quicker.".to_owned(),
        )),
        None => back(Notice::Done(format!("{letters} tried again."))),
    }
}

/// Has the letters of a cause tried again that a page has shown, up to its last one; how many, and why another could not be.
async fn retry_group(visit: &Visit, place: &Place, wanted: &Cause) -> Result<(u64, Option<Error>)> {
    let last = visit.form.text("last").ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "form_incomplete", "the form does not say which letters it was made for")
            .hint("open the dead letters anew and send their form as it is")
    })?;
    // A page of all causes has no more of one than it has letters.
    let shown = of_cause(visit, place, wanted, LISTED, Some(letter_place(last)?)).await?;
    let (mut tried, mut failed) = (0, None);
    for letter in &shown.letters {
        match visit.api.service.retry_letter(visit.known()?, &letter.id).await {
            Ok(_) => tried += 1,
            // One that was erased, or tried again meanwhile, keeps no other back.
            Err(error) => failed = Some(error),
        }
    }
    Ok((tried, failed))
}
