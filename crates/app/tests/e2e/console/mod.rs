//! The console: who gets in and how far, what a stranger's page or row can do, what is kept, and every page in a real browser.

mod changes;
mod edits;
mod hostile;
mod live;
mod models;
mod objectives;
mod pages;
mod plan;
mod record;
mod rules;
mod search;
mod sessions;
mod tail;
mod trouble;

use crate::support::{Answer, Running, Sandbox, desk};

/// Somebody at a browser, without the browser.
pub(super) struct Visitor<'a> {
    running: &'a Running,
    /// What its cookies hold.
    pub(super) cookie: String,
    /// Whether it may only review.
    reviewer: bool,
}

impl<'a> Visitor<'a> {
    /// Nobody.
    pub(super) fn stranger(running: &'a Running) -> Self {
        Self { running, cookie: String::new(), reviewer: false }
    }

    /// Somebody who signed in with a key that may.
    pub(super) fn new(running: &'a Running, key: &str) -> Self {
        let answer = sign_in(running, key);
        assert_eq!(answer.status, 303, "{}", String::from_utf8_lossy(&answer.body));
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { running, cookie, reviewer: to(&answer) == "/console/reviews" }
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// The text of a page that must be there.
    pub(super) fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.head);
        String::from_utf8(answer.body).unwrap()
    }

    /// What forms of this session bring along.
    pub(super) fn token(&self) -> String {
        let page = self.get(if self.reviewer { "/console/reviews" } else { "/console" });
        let page = String::from_utf8(page.body).unwrap();
        let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form as the page itself would.
    pub(super) fn post(&self, path: &str, form: &str) -> Answer {
        self.ask("POST", path, &[("origin", "http://test")], form)
    }

    pub(super) fn ask(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let cookie = (!self.cookie.is_empty()).then_some(("cookie", self.cookie.as_str()));
        let headers: Vec<_> = more.iter().copied().chain(cookie).chain([form]).collect();
        let answer = self.running.try_request(method, path, &headers, body);
        answer.unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }
}

/// Sends the form of the door.
pub(super) fn sign_in(running: &Running, key: &str) -> Answer {
    Visitor::stranger(running).post("/console/sign-in", &format!("key={key}"))
}

/// How the record calls whoever changes something with a key.
pub(super) fn person(name: &str, key: &str) -> String {
    format!("{name} ({})", key.split('_').nth(1).unwrap())
}

/// Where an answer sends its reader.
pub(super) fn to(answer: &Answer) -> &str {
    answer.header("location").unwrap_or_default()
}

/// Adds an integration that holds each answer back until a person has looked at it.
fn hold_all(sandbox: &Sandbox) {
    let held = desk().replace("fallback: {", "review: { when: output < 2.0, hold: true }\nfallback: {");
    sandbox.write("integrations/desk.yaml", &held);
}
