//! Table of contents of the console: every page with its changes. There is no other way in, and each line says who may.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawPathParams, Request, State},
    routing::{MethodRouter, get, post},
};

use super::{
    answer::{self, Wanted},
    page::Page,
    pages,
};
use crate::api::Api;

/// All pages; the order of those with a name is that of the navigation.
pub(super) static PAGES: &[&Page] = &[
    &pages::overview::PAGE,
    &pages::map::PAGE,
    &pages::decisions::PAGE,
    &pages::decision::PAGE,
    &pages::decision::PROOF,
    &pages::reviews::PAGE,
    &pages::reviews::ONE,
    &pages::deliveries::PAGE,
    &pages::letters::PAGE,
    &pages::letter::PAGE,
    &pages::models::PAGE,
    &pages::systems::PAGE,
    &pages::configuration::PAGE,
    &pages::ledger::PAGE,
    &pages::keys::PAGE,
    &pages::sign_in::PAGE,
    &pages::oidc::START,
    &pages::oidc::RETURN,
    &pages::assets::STYLE,
    &pages::assets::SCRIPT,
    &pages::assets::ICON,
    &pages::missing::ROOT,
    &pages::missing::PAGE,
];

/// The routes of all pages and changes.
pub(crate) fn router() -> Router<Arc<Api>> {
    let mut router = Router::new();
    for page in PAGES {
        // An address that is both, a page and a change, is one route.
        let own = page.changes.iter().find(|change| change.path == page.path);
        let mut route = shown(page);
        if let Some(change) = own {
            route = route.post(handler(Wanted::Change(change)));
        }
        router = router.route(page.path, route.fallback(handler(Wanted::Nothing)));
        for change in page.changes.iter().filter(|change| change.path != page.path) {
            let route = post(handler(Wanted::Change(change)));
            router = router.route(change.path, route.fallback(handler(Wanted::Nothing)));
        }
    }
    router
}

fn shown(page: &'static Page) -> MethodRouter<Arc<Api>> {
    get(handler(Wanted::Page(page)))
}

/// Answers requests for one thing.
fn handler(
    wanted: Wanted,
) -> impl Fn(State<Arc<Api>>, RawPathParams, Request) -> futures_util::future::BoxFuture<'static, axum::response::Response>
+ Clone
+ Send
+ Sync
+ 'static {
    move |State(api), parts, request| Box::pin(answer::answer(api, wanted, parts, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may see and change what, as a reviewer reads it; `tests/e2e/console` asks each line of the running process.
    const RULES: &str = include_str!("rules.txt");

    #[test]
    fn every_page_and_every_change_has_its_rule_in_the_list() {
        let line = |method: &str, path: &str, may: super::super::page::May| {
            format!("{method} {path} {}\n", format!("{may:?}").to_lowercase())
        };
        let of = |page: &&&Page| {
            let changes: String = page.changes.iter().map(|one| line("POST", one.path, one.may)).collect();
            line("GET", page.path, page.may) + &changes
        };
        assert_eq!(PAGES.iter().map(|page| of(&page)).collect::<String>(), RULES, "write the new line into rules.txt");
    }
}
