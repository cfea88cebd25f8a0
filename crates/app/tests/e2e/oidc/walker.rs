//! A browser without a screen: it keeps cookies by host, keeps strict ones back where another site sent it, and follows redirects one
//! by one, so that a test can stop in between.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::support::{Answer, exchange};

/// A cookie.
struct Cookie {
    value: String,
    path: String,
    strict: bool,
}

/// Somebody's browser.
pub(super) struct Walker {
    /// Where the console is.
    home: String,
    cookies: BTreeMap<(String, String), Cookie>,
}

impl Walker {
    pub(super) fn new(home: &str) -> Self {
        Self { home: home.to_owned(), cookies: BTreeMap::new() }
    }

    /// Opens an address as a link of its own site would.
    pub(super) fn get(&mut self, url: &str) -> Answer {
        self.ask("GET", url, &[], "", false)
    }

    /// Opens an address of the console.
    pub(super) fn page(&mut self, path: &str) -> Answer {
        self.get(&format!("{}{path}", self.home))
    }

    /// Sends a form of the console.
    pub(super) fn post(&mut self, path: &str, form: &str) -> Answer {
        let (url, home) = (format!("{}{path}", self.home), self.home.clone());
        self.ask("POST", &url, &[("origin", &home)], form, false)
    }

    /// What forms of this session bring along.
    pub(super) fn token(&mut self) -> String {
        let page = String::from_utf8(self.page("/console").body).unwrap();
        page.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
    }

    /// Leaves for the provider; gives the address there.
    pub(super) fn leave(&mut self, next: &str) -> String {
        let answer = self.page(&format!("/console/oidc/start?with=acme&next={next}"));
        assert_eq!(answer.status, 303, "{}", String::from_utf8_lossy(&answer.body));
        answer.header("location").unwrap().to_owned()
    }

    /// Leaves, signs in at the provider, and gives the address that it sends the browser back to.
    pub(super) fn there_and_back(&mut self, who: &str, next: &str) -> String {
        let there = self.leave(next);
        self.follow(&there, who)
    }

    /// Follows the provider's pages as somebody, until they lead to the console.
    pub(super) fn follow(&mut self, there: &str, who: &str) -> String {
        let issuer = there.split('/').take(3).collect::<Vec<_>>().join("/");
        let absolute = |to: &str| if to.starts_with('/') { format!("{issuer}{to}") } else { to.to_owned() };
        let mut answer = self.get(there);
        for _ in 0..20 {
            if let Some(to) = answer.header("location") {
                let to = absolute(to);
                if to.starts_with(&self.home) {
                    return to;
                }
                answer = self.get(&to);
                continue;
            }
            let page = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(answer.status, 200, "{page}");
            let part = |from: &str| page.split_once(from).map(|(_, rest)| rest.split('"').next().unwrap().to_owned());
            let to = absolute(&part("action=\"").unwrap_or_else(|| panic!("{page}")));
            let form = match (part("name=\"prompt\" value=\""), part("name=\"xsrf\" value=\"")) {
                (Some(prompt), _) => format!("prompt={prompt}&login={who}&password=any"),
                (_, Some(xsrf)) => format!("xsrf={xsrf}&logout=yes"),
                _ => panic!("{page}"),
            };
            answer = self.ask("POST", &to, &[], &form, false);
        }
        panic!("the provider leads nowhere");
    }

    /// Comes back, as the provider's redirect leads it: from another site.
    pub(super) fn come(&mut self, back: &str) -> Answer {
        self.ask("GET", back, &[("sec-fetch-site", "cross-site")], "", true)
    }

    /// Every cookie of the console, as `name=value`.
    pub(super) fn shown(&self) -> Vec<String> {
        let own = self.cookies.iter().filter(|((host, _), _)| *host == host_of(&self.home));
        own.map(|((_, name), cookie)| format!("{name}={}", cookie.value)).collect()
    }

    /// Sends a request; `foreign`: another site made the browser send it.
    pub(super) fn ask(&mut self, method: &str, url: &str, more: &[(&str, &str)], body: &str, foreign: bool) -> Answer {
        let rest = url.strip_prefix("http://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = authority.rsplit_once(':').unwrap().1.parse().unwrap();
        let path = format!("/{path}");
        let host = host_of(url);
        let sent = self
            .cookies
            .iter()
            .filter(|((of, _), cookie)| *of == host && path.starts_with(&cookie.path) && !(foreign && cookie.strict));
        let cookies = sent.map(|((_, name), cookie)| format!("{name}={}", cookie.value)).collect::<Vec<_>>().join("; ");
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncookie: {cookies}\r\n");
        for (name, value) in more {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let form = "content-type: application/x-www-form-urlencoded";
        head.push_str(&format!("{form}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let answer = exchange(SocketAddr::from(([127, 0, 0, 1], port)), head.as_bytes()).unwrap();
        let set = answer.head.lines().filter_map(|line| line.split_once(": "));
        for (_, line) in set.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            self.keep(&host, line);
        }
        answer
    }

    fn keep(&mut self, host: &str, line: &str) {
        let mut parts = line.split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let rules: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        let rule = |name: &str| rules.iter().find_map(|rule| rule.strip_prefix(name)).map(str::to_owned);
        let gone =
            rule("max-age=").is_some_and(|age| age == "0") || rule("expires=").is_some_and(|at| at.contains(" 1970 "));
        let key = (host.to_owned(), name.to_owned());
        if gone {
            self.cookies.remove(&key);
            return;
        }
        let path = line.split("; ").find_map(|rule| rule.strip_prefix("path=").or(rule.strip_prefix("Path=")));
        let strict = rule("samesite=").is_some_and(|same| same == "strict");
        self.cookies.insert(key, Cookie { value: value.to_owned(), path: path.unwrap_or("/").to_owned(), strict });
    }
}

/// The host of an address: cookies know no port.
fn host_of(url: &str) -> String {
    url.split('/').nth(2).unwrap().split(':').next().unwrap().to_owned()
}
