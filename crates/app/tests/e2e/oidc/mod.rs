//! Signing in to the console with a real identity provider: the way there and back, what can be done to it on the way, and all of it
//! in a real browser. The configuration is the one that `docs/console.md` shows.

mod attacks;
mod browser;
mod flow;
mod walker;

use crate::{
    support::{Answer, Running, Sandbox, eventually, tendon},
    tokens::Issuer,
};
use walker::Walker;

/// What the provider knows the console by: what forms and headers have to encode is in it.
const SECRET: &str = "secret+of the/console%";

/// A company: its provider, its project, its console.
struct Company {
    issuer: Issuer,
    sandbox: Sandbox,
    running: Running,
    /// Where the console is.
    home: String,
}

impl Company {
    fn new() -> Self {
        Self::with(SECRET, |text| text)
    }

    /// One whose secret is another, or whose configuration says something else than the page shows.
    fn with(secret: &str, other: impl Fn(String) -> String) -> Self {
        // Both have to know the other's address: the console has its own before anybody is told of it.
        let sandbox = Sandbox::new(2);
        let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
        let running = Running::of(command.arg(sandbox.path("")).env("OIDC_SECRET", secret));
        let home = format!("http://{}", running.address);
        let issuer = Issuer::of_people(0, &home);
        let project = std::fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
        sandbox.write("tendon.yaml", &format!("{project}{}", other(shown(&issuer, &home))));
        running.signal("-HUP");
        eventually("the provider is offered", || {
            let door = running.request("GET", "/console/sign-in", &[], "");
            String::from_utf8_lossy(&door.body).contains("Sign in with Acme")
        });
        Self { issuer, sandbox, running, home }
    }

    /// Lets the provider's ID tokens lie from now on.
    fn spoil(&self, how: &str) {
        self.issuer.ask("GET", &format!("/test/spoil/{}", how.replace(' ', "%20")), "");
    }

    /// Somebody's browser.
    fn walker(&self) -> Walker {
        Walker::new(&self.home)
    }

    /// A browser in which somebody has signed in, and the page that met it.
    fn signed_in(&self, who: &str) -> (Walker, Answer) {
        let mut walker = self.walker();
        let back = walker.there_and_back(who, "/console");
        let met = walker.come(&back);
        (walker, met)
    }
}

/// What the page about the console shows, with this provider and this address.
fn shown(issuer: &Issuer, home: &str) -> String {
    let page = include_str!("../../../../../docs/console.md");
    let (_, rest) = page.split_once("```yaml\nauth:\n").unwrap();
    let text = rest.split_once("```").unwrap().0;
    let issuer = format!("http://localhost:{}", issuer.address.port());
    let text = text.replace("https://login.acme.example", &issuer).replace("https://tendon.acme.example", home);
    assert!(text.contains(&issuer) && text.contains(home), "{text}");
    format!("auth:\n{text}")
}

/// What a page tells in its alert.
fn told(answer: &Answer) -> String {
    let page = String::from_utf8_lossy(&answer.body).into_owned();
    page.split_once("role=\"alert\"").map(|(_, rest)| rest.split("</div>").next().unwrap().to_owned()).unwrap_or(page)
}
