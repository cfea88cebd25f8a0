//! Table of contents of the HTTP interface: every address with its methods, who may use each, and what answers.

use std::sync::Arc;

use axum::{
    Router,
    http::Method,
    middleware,
    routing::{MethodRouter, get, post},
};

use super::{
    Api, answer, batch, decide, decisions, docs,
    gate::{self, Rule, Watch},
    graphql, health, integrations, lists, observe, openapi, reviews, status,
};
use crate::{console, embed};

/// Every route, and what answers where there is none.
pub(super) fn router(api: Arc<Api>) -> Router {
    let Routes { router, table } = routes();
    let watch = Watch { api: api.clone(), table: Arc::new(table) };
    let guarded = router.route_layer(middleware::from_fn_with_state(watch, gate::pass)).fallback(answer::no_route);
    // The console asks for its own credentials: sessions, not keys.
    let all = guarded.merge(console::router());
    all.layer(middleware::from_fn_with_state(api.clone(), observe::pass)).with_state(api)
}

fn routes() -> Routes {
    Routes::default()
        .at("/v1/integrations/{name}/decisions", &[(Method::POST, Rule::Decide)], post(decide::post))
        .at("/v1/integrations/{name}/batches", &[(Method::POST, Rule::Decide)], post(batch::post))
        .at("/v1/decisions", &[(Method::GET, Rule::Read)], get(decisions::list))
        .at("/v1/decisions/{id}", &[(Method::GET, Rule::Known)], get(decisions::get))
        .at("/v1/decisions/{id}/explanation", &[(Method::GET, Rule::Known)], get(decisions::explanation))
        .at("/v1/integrations", &[(Method::GET, Rule::Known)], get(integrations::list))
        .at("/v1/letters", &[(Method::GET, Rule::Read)], get(lists::letters))
        .at("/v1/letters/{id}/retry", &[(Method::POST, Rule::Operate)], post(lists::retry))
        .at("/v1/models", &[(Method::GET, Rule::Read)], get(lists::models))
        .at("/v1/reviews", &[(Method::GET, Rule::Review)], get(reviews::list))
        .at("/v1/reviews/{id}", &[(Method::GET, Rule::Review)], get(reviews::get))
        .at("/v1/reviews/{id}/approve", &[(Method::POST, Rule::Review)], post(reviews::approve))
        .at("/v1/reviews/{id}/override", &[(Method::POST, Rule::Review)], post(reviews::give))
        .at("/v1/reviews/{id}/reject", &[(Method::POST, Rule::Review)], post(reviews::reject))
        .at("/v1/status", &[(Method::GET, Rule::Read)], get(status::get))
        .at("/v1/systems", &[(Method::GET, Rule::Read)], get(lists::systems))
        .at(
            "/graphql",
            &[(Method::GET, Rule::Known), (Method::POST, Rule::Known)],
            get(graphql::get).post(graphql::post),
        )
        .at("/embed/badge.js", &[(Method::GET, Rule::Open)], get(embed::script))
        .at("/embed/frame", &[(Method::GET, Rule::Open)], get(embed::frame))
        .at("/embed/frame.js", &[(Method::GET, Rule::Open)], get(embed::frame_script))
        .at("/embed/integrations/{name}/score", &[(Method::GET, Rule::Holder)], get(embed::score))
        .at("/embed/integrations/{name}/breakdown", &[(Method::GET, Rule::Holder)], get(embed::breakdown))
        .at("/openapi.json", &[(Method::GET, Rule::Open)], get(openapi::get))
        .at("/docs", &[(Method::GET, Rule::Open)], get(docs::page))
        .at("/docs/style.css", &[(Method::GET, Rule::Open)], get(docs::style))
        .at("/docs/script.js", &[(Method::GET, Rule::Open)], get(docs::script))
        .at("/metrics", &[(Method::GET, Rule::Open)], get(health::metrics))
        .at("/livez", &[(Method::GET, Rule::Open)], get(health::live))
        .at("/readyz", &[(Method::GET, Rule::Open)], get(health::ready))
}

/// A router that takes no address without a rule for each of its methods.
#[derive(Default)]
struct Routes {
    router: Router<Arc<Api>>,
    table: Table,
}

impl Routes {
    fn at(mut self, path: &'static str, rules: &[(Method, Rule)], handler: MethodRouter<Arc<Api>>) -> Self {
        self.router = self.router.route(path, handler);
        self.table.0.extend(rules.iter().map(|(method, rule)| (path, method.clone(), *rule)));
        self
    }
}

/// Who may use which method of which address.
#[derive(Default)]
pub(super) struct Table(Vec<(&'static str, Method, Rule)>);

impl Table {
    /// The rule; without one nobody may.
    pub(super) fn rule(&self, path: &str, method: &Method) -> Option<Rule> {
        self.0.iter().find(|(known, verb, _)| *known == path && verb == method).map(|(_, _, rule)| *rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may use what, as a reviewer reads it; `tests/e2e/rules.rs` asks each line of the running process.
    const RULES: &str = include_str!("rules.txt");

    #[test]
    fn every_address_has_its_rule_in_the_list() {
        let Routes { table, .. } = routes();
        let lines = table
            .0
            .iter()
            .map(|(path, method, rule)| format!("{method} {path} {}\n", format!("{rule:?}").to_lowercase()));
        assert_eq!(lines.collect::<String>(), RULES, "write the new line into rules.txt");
    }
}
