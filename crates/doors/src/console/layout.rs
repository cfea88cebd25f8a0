//! The frame around every page: head, navigation, who is signed in, how it looks; and the page that tells of an error.

use axum::http::{StatusCode, Uri};
use maud::{DOCTYPE, Markup, html};
use tendon_kernel::Error;

use super::{
    cookies::Theme,
    page::{View, Visit, Who},
    pages::sign_in::inside,
    routes::PAGES,
    session::{Notice, Whose},
};
use crate::api::problem;

/// What all pages of one request have around them.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) who: Option<Who>,
    project: String,
    theme: Theme,
    path: String,
    /// The same with what stands behind the `?`, as far as a form may send it back.
    place: String,
    notice: Option<Notice>,
}

impl Frame {
    /// Of a request, before it is known whose it is.
    pub(super) fn of(visit: &Visit) -> Self {
        let project = visit.api.engine.runtime().plan().project.to_string();
        let (id, theme) = (visit.id.clone(), visit.theme);
        Self { id, who: None, project, theme, path: String::new(), place: String::new(), notice: None }
    }

    /// With who it is, and where.
    pub(super) fn entered(mut self, visit: &Visit, uri: &Uri) -> Self {
        self.who.clone_from(&visit.who);
        uri.path().clone_into(&mut self.path);
        self.place = place(uri);
        self.notice = self.who.as_ref().and_then(|who| visit.api.console.sessions.told(&who.open));
        self
    }

    /// A whole page.
    pub(super) fn page(&self, view: &View) -> String {
        self.document(&view.title, &view.body, view.onward.as_deref()).into_string()
    }

    /// A whole page for nobody: who comes is not signed in yet, who goes is not any more.
    pub(super) fn apart(&self, view: &View) -> String {
        Self { who: None, notice: None, ..self.clone() }.page(view)
    }

    /// The page of an error.
    pub(super) fn error(&self, status: StatusCode, error: &Error) -> String {
        let title = problem::title(status);
        let body = html! {
            div.empty {
                p.code { (status.as_u16()) }
                h1 { (title) }
                p.sentence { (error.message()) "." }
                @if let Some(hint) = error.hint_text() { p.soft.sentence { (hint) "." } }
                @if error.retryable() { p.soft { "Trying again may help." } }
                p.soft.small { "Code " code { (error.code()) } " · request " code { (self.id) } }
                p { a.button href="/console" { "To the overview" } }
            }
        };
        self.document(title, &body, None).into_string()
    }

    fn document(&self, title: &str, body: &Markup, onward: Option<&str>) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" data-theme=(self.theme.name()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if let Some(onward) = onward { meta http-equiv="refresh" content={ "0;url=" (onward) }; }
                    title { (title) " · " (self.project) " · Tendon" }
                    link rel="icon" href="/console/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/console/style.css";
                    script src="/console/script.js" defer {}
                }
                body.framed[self.who.is_some()] {
                    a.skip href="#main" { "Skip to the content" }
                    @if let Some(who) = &self.who { (self.top(who)) (self.navigation(who)) }
                    main id="main" tabindex="-1" {
                        @match &self.notice {
                            Some(Notice::Done(text)) => p.notice role="status" { (text) },
                            Some(Notice::Warned(text)) => p.notice.warn role="status" { (text) },
                            None => {}
                        }
                        (body)
                    }
                    @if self.who.is_none() { footer.plain { (self.look()) } }
                }
            }
        }
    }

    fn top(&self, who: &Who) -> Markup {
        let known = &who.known;
        let role = match (known.admin, known.operate, known.read) {
            (true, ..) => "admin",
            (_, true, _) => "operator",
            (.., true) => "viewer",
            _ => "reviewer",
        };
        let name = match &who.open.whose {
            Whose::Person(person) => person.name.as_deref().unwrap_or(&person.id),
            Whose::Key(_) => &known.caller.scope,
        };
        html! {
            header.top {
                a.brand href="/console" { (mark()) span { "Tendon" } }
                span.project { (self.project) }
                div.spacer {}
                (self.look())
                details.menu {
                    summary { span.who { (name) } " " span.role { (role) } }
                    div.sheet {
                        @match &who.open.whose {
                            Whose::Key(id) => p.soft.small { "Signed in with the key " code { (id) } },
                            Whose::Person(person) => {
                                p.soft.small { "Signed in with " (person.title) ". The record calls you " code { (person.id) } }
                            }
                        }
                        (press(who, "/console/sign-out", &[], &html! { button type="submit" { "Sign out" } }))
                    }
                }
            }
        }
    }

    fn navigation(&self, who: &Who) -> Markup {
        let may = |page: &&&super::page::Page| page.may.hold(&who.known).is_ok();
        html! {
            nav.side aria-label="Console" {
                ul {
                    @for page in PAGES.iter().filter(may) {
                        @if let Some(name) = page.name {
                            @let here = self.path == page.path
                                || (page.path != "/console" && self.path.starts_with(&format!("{}/", page.path)));
                            li { a href=(page.path) aria-current=[here.then_some("page")] { (name) } }
                        }
                    }
                }
            }
        }
    }

    /// How pages are to look: each press is the next one of three.
    fn look(&self) -> Markup {
        let at = Theme::ALL.iter().position(|theme| *theme == self.theme).unwrap_or_default();
        let next = Theme::ALL.get((at + 1) % Theme::ALL.len()).copied().unwrap_or_default();
        html! {
            form.look method="post" action="/console/theme" {
                input type="hidden" name="theme" value=(next.name());
                input type="hidden" name="next" value=(self.place);
                button.quiet type="submit" aria-label={ "Colours: " (self.theme.name()) ". Change to " (next.name()) } {
                    span aria-hidden="true" {
                        @match self.theme { Theme::Auto => "◐ Auto", Theme::Light => "○ Light", Theme::Dark => "● Dark" }
                    }
                }
            }
        }
    }
}

/// Where one is, to come back to: the whole search, where that is a place of the console; else the page alone. What a provider sent
/// along is good once, and goes nowhere else.
fn place(uri: &Uri) -> String {
    let whole = uri.path_and_query().map(|whole| whole.as_str());
    let whole = whole.filter(|whole| !uri.path().starts_with("/console/oidc/") && inside(Some(whole)) == *whole);
    whole.unwrap_or(uri.path()).to_owned()
}

/// What every form that changes something brings along.
pub(super) fn token(who: &Who) -> Markup {
    html! { input type="hidden" name="token" value=(who.open.token); }
}

/// A form of one button: where it goes, what it names, and the button.
pub(super) fn press(who: &Who, to: &str, named: &[(&str, &str)], button: &Markup) -> Markup {
    html! {
        form method="post" action=(to) {
            (token(who))
            @for (name, value) in named { input type="hidden" name=(name) value=(value); }
            (button)
        }
    }
}

/// The mark: two ends, joined.
pub(super) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            path d="M4 5h4a8 8 0 0 1 8 8v6" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round" {}
            circle cx="4" cy="5" r="2.6" fill="currentColor" {}
            circle cx="16" cy="19" r="2.6" fill="currentColor" {}
            path d="M11 4.5h3.5a6 6 0 0 1 6 6V13" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round" opacity=".45" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_back_to_the_whole_search_or_to_the_page() {
        let at = |uri: &str| place(&uri.parse().unwrap());
        for whole in [
            "/console",
            "/console?span=7d",
            "/console/decisions?subject=a%26b&since=2026-05-17T10%3A00",
            "/console/sign-in?next=%2Fconsole",
        ] {
            assert_eq!(at(whole), whole);
        }
        assert_eq!(at(&format!("/console/decisions?subject={}", "x".repeat(2040))), "/console/decisions");
        assert_eq!(at("/console/oidc/return?code=secret&state=s"), "/console/oidc/return");
    }
}
