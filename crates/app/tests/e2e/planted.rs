//! Secrets and personal data are planted wherever they can come in, every way to fail is taken, systems quote them in their errors;
//! then everything that the process said, answered and wrote is searched, in clear and as the usual codes write it. Only systems,
//! the project's own files and the sealed record may hold them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::json;

use crate::support::{
    Running, Sandbox, eventually, input,
    postgres::{PostgresCrm, sandbox},
    tendon,
};

const NAME: &str = "Erika-Mustermann";
const MAIL: &str = "erika.mustermann@example.org";
const SUBJECT: i64 = 77_344_911;
const BALANCE: i64 = 48_213_977;
const LITERAL: &str = "s3cret-in-the-wrong-place";

/// What is planted, in words, and every place that is searched: `cargo xtask docs` makes a part of a page of it.
const SEARCHED: &str = include_str!("planted.txt");

/// A text as it may hide in other texts: itself, in hexadecimal, in base64 at each of the three places that it can begin at.
pub(crate) fn forms(text: &str) -> Vec<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![text.as_bytes().to_vec(), hex.into_bytes()];
    for skip in 0..3 {
        // Whole groups of three bytes inside the text are the same whatever stands around it.
        let inside = &text.as_bytes()[skip..];
        let groups =
            inside.chunks_exact(3).map(|three| three.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)));
        forms.push(groups.flat_map(|bits| [18, 12, 6, 0].map(|shift| DIGITS[bits >> shift & 63])).collect());
    }
    forms
}

/// Whether any form of a text stands in these bytes.
fn holds(bytes: &[u8], text: &str) -> bool {
    forms(text).iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

/// The files below a folder that hold one of the texts.
pub(crate) fn files_with(folder: &Path, planted: &[&str]) -> Vec<String> {
    let (mut found, mut folders, mut searched) = (Vec::new(), vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                searched += 1;
                let all = planted.iter().filter(|text| holds(&bytes, text));
                found.extend(all.map(|text| format!("{text} in {}", path.display())));
            }
        }
    }
    assert!(searched > 5, "nothing was searched");
    found
}

/// The project, the databases with people in them, and all that was said.
struct World {
    sandbox: Sandbox,
    crm: PostgresCrm,
    url: String,
    said: Vec<(String, String)>,
}

impl World {
    fn new() -> Self {
        let crm = PostgresCrm::create("planted", 3);
        crm.sql(&format!(
            "INSERT INTO leads SELECT {SUBJECT} + n, 30, '{MAIL}', 'single', 'secondary', 'no', {BALANCE}, 'yes', 'no', 'cellular',
             5, 'may', 1, -1, 0, 'unknown' FROM generate_series(0, 2) AS n;
             CREATE UNIQUE INDEX once ON leads (job, (score IS NULL)) WHERE id > {SUBJECT} - 1 AND score IS NOT NULL;
             CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN RAISE EXCEPTION ''% owes % to {NAME}'', new.job, new.balance; END';
             CREATE TRIGGER refuse BEFORE UPDATE OF score ON leads FOR EACH ROW WHEN (new.id = {SUBJECT} + 2)
               EXECUTE FUNCTION refuse();"
        ));
        let sandbox = sandbox(&crm, 1, "");
        let text = fs::read_to_string(sandbox.path("tendon.yaml")).unwrap();
        let (before, rest) = text.split_once("url: \"postgres").unwrap();
        let (url, after) = rest.split_once('"').unwrap();
        sandbox.write("tendon.yaml", &format!("{before}url: \"${{env:PLANTED_URL}}\"{after}"));
        sandbox.crm.open().execute_batch(&format!("UPDATE leads SET age = '{NAME}', job = '{MAIL}'")).unwrap();
        let url = format!("postgres{url}");
        Self { sandbox, crm, url, said: Vec::new() }
    }

    /// A command with the secret in its environment; what it says on stdout, and on stderr.
    fn asked(&self, arguments: &[&str]) -> [String; 2] {
        let mut command = tendon(arguments);
        command.arg("--project").arg(self.sandbox.path("")).env("PLANTED_URL", &self.url);
        let output = command.output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same; what it says is searched.
    fn run(&mut self, arguments: &[&str]) -> String {
        let [told, more] = self.asked(arguments);
        self.said.push((arguments.join(" "), format!("{told}{more}")));
        told
    }

    /// What a command says on stdout, as JSON.
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let told = self.asked(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&told[0]).unwrap_or_else(|_| panic!("{arguments:?}: {told:?}"))
    }

    fn up(&self) -> Running {
        let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--project"]);
        command.arg(self.sandbox.path("")).env("TENDON_LOG", "trace").env("PLANTED_URL", &self.url);
        Running::of(&mut command)
    }

    /// A request that is refused, and must not be answered with what it said.
    fn refused(&mut self, running: &Running, key: &str, request: (&str, &str, &str), expected: &[u16]) {
        let (method, path, body) = request;
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", if path.ends_with("batches") { "application/x-ndjson" } else { "application/json" }),
            ("idempotency-key", MAIL),
            ("cookie", NAME),
            ("user-agent", MAIL),
            ("referer", MAIL),
            ("x-forwarded-for", MAIL),
            ("tracestate", "name=erika.mustermann"),
            ("accept", MAIL),
            ("if-none-match", MAIL),
        ];
        let answer = running.request(method, path, &headers, body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(expected.contains(&answer.status), "{method} {path}: {} {text}", answer.status);
        self.said.push((format!("the answer to {method} {path}"), format!("{}\n{text}", answer.head)));
    }
}

/// Everything that can be wrong with a request, with people in it.
fn be_refused(world: &mut World, running: &Running, key: &str) {
    let asks = "/v1/integrations/lead-score/decisions";
    let with = |field: &str, value: serde_json::Value| {
        let mut one = input(SUBJECT);
        one[field] = value;
        json!({ "input": one }).to_string()
    };
    let good = with("balance", BALANCE.into());
    let bad = with("age", MAIL.into());
    let deep = format!("{{\"input\":{}\"{MAIL}\"{}}}", "[".repeat(500), "]".repeat(500));
    let lines = format!("{}\n{{\"id\":{SUBJECT},\"age\":\"{MAIL}\"}}\n{{\"{NAME}\n{}\n", input(1), input(2));
    let graphql =
        |query: String| json!({ "query": query, "variables": { "mail": MAIL, "balance": BALANCE } }).to_string();
    for (method, path, body, expected) in [
        ("POST", asks, bad, &[422][..]),
        ("POST", asks, with("day", MAIL.into()), &[409, 422]),
        ("POST", asks, with("balance", json!({ MAIL: BALANCE })), &[409, 422]),
        ("POST", asks, with("balance", json!(f64::from(48_213_977_u32) + 0.5)), &[409, 422]),
        ("POST", asks, format!("{{\"input\": {{\"age\": \"{MAIL}"), &[400, 409, 422]),
        ("POST", asks, format!("{MAIL} {BALANCE}"), &[400]),
        ("POST", asks, deep, &[400, 409, 422]),
        ("POST", "/v1/integrations/nobody/decisions", good.clone(), &[404]),
        ("POST", "/v1/integrations/lead-score/batches", lines, &[200]),
        ("POST", "/graphql", graphql(format!("{{ decision(id: \"{MAIL}\") {{ id }} }}")), &[200]),
        (
            "POST",
            "/graphql",
            graphql(format!(
                "mutation {{ decide(integration: \"lead-score\", input: {{age: \"{MAIL}\"}}) {{ replayed }} }}"
            )),
            &[200],
        ),
        ("GET", "/v1/decisions?limit=erika.mustermann@example.org", String::new(), &[400]),
        ("GET", "/v1/decisions?cursor=erika.mustermann@example.org", String::new(), &[400]),
        ("GET", "/v1/decisions/erika.mustermann@example.org", String::new(), &[400, 404]),
        ("GET", "/v1/erika.mustermann@example.org", String::new(), &[404]),
    ] {
        world.refused(running, key, (method, path, &body), expected);
    }
}

/// What was planted and where it was looked for, a line each.
fn searched(planted: [&str; 8], said: &[(String, String)]) -> String {
    let places = said.iter().map(|(place, _)| if place.starts_with("letters show") { "letters show" } else { place });
    let places: BTreeSet<&str> = places.chain(["every file below .tendon, while it runs and at rest"]).collect();
    let lines = planted.iter().map(|what| format!("planted | {what}\n"));
    lines.chain(places.iter().map(|place| format!("searched | {place}\n"))).collect()
}

#[test]
fn what_is_planted_is_found_nowhere_in_clear() {
    let mut world = World::new();
    // The facts about both systems, then a key.
    world.run(&["systems", "catalog"]);
    let made = world.asked(&["keys", "create", "--name", "planted", "--scope", "admin"]);
    let key = made[0].trim().to_owned();
    assert!(key.starts_with("tdn_"), "{made:?}");
    let running = world.up();
    let mut good = input(SUBJECT);
    good["balance"] = BALANCE.into();
    good["job"] = MAIL.into();
    let good = json!({ "input": good }).to_string();
    let asked = running.decide(&key, &[("idempotency-key", NAME)], &good).unwrap();
    assert_eq!(asked.status, 200, "{}", asked.json());
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    be_refused(&mut world, &running, &key);
    // A wrong type in one system; the other quotes a name, a unique key and a row's values in what it refuses.
    eventually("everything that cannot go on is a letter", || {
        world.json(&["letters", "list"]).as_array().unwrap().len() >= 3
    });
    let letters = world.run(&["letters", "list", "--output", "json"]);
    for letter in serde_json::from_str::<serde_json::Value>(&letters).unwrap().as_array().unwrap() {
        world.run(&["letters", "show", letter["id"].as_str().unwrap()]);
    }
    for arguments in
        [&["systems", "test"][..], &["check"], &["deliveries", "list"], &["keys", "list"], &["models", "list"]]
    {
        world.run(arguments);
    }
    // A secret in clear where only a reference may stand, in a change that is refused.
    let text = fs::read_to_string(world.sandbox.path("tendon.yaml")).unwrap();
    world.sandbox.write(
        "tendon.yaml",
        &format!("{text}cache: {{ redis: {{ url: \"redis://app:{LITERAL}@127.0.0.1:1/0\" }} }}\n"),
    );
    let refused = running.wait_for_line("a change of the project is refused");
    world.said.push(("the refusal of a change".to_owned(), refused));
    world.run(&["check"]);
    world.sandbox.write("tendon.yaml", &text);
    // Systems that cannot be reached, by an address that holds the secret.
    let right =
        std::mem::replace(&mut world.url, "postgres://app:s3cret-in-the-wrong-place@127.0.0.1:1/none".to_owned());
    world.run(&["systems", "test"]);
    world.url = right;
    for accept in ["*/*", "application/openmetrics-text"] {
        let served = running.request("GET", "/metrics", &[("accept", accept)], "");
        world.said.push(("/metrics".to_owned(), String::from_utf8(served.body).unwrap()));
    }
    let ready = running.request("GET", "/readyz", &[], "");
    world.said.push(("/readyz".to_owned(), String::from_utf8(ready.body).unwrap()));
    let (subject, balance) = (SUBJECT.to_string(), BALANCE.to_string());
    let secret = key.rsplit('_').next().unwrap().to_owned();
    let (password, coded) = ("pass'word", world.url.split(['/', ':', '@']).nth(4).unwrap().to_owned());
    let named = [
        (NAME, "a person's name"),
        (MAIL, "a person's address"),
        (&*subject, "a subject's id"),
        (&*balance, "what somebody owes"),
        (&*secret, "the secret part of an API key"),
        (password, "the password of a database"),
        (&*coded, "the same password as an address writes it"),
        (LITERAL, "a password where only a reference may stand"),
    ];
    let planted = named.map(|(text, _)| text);
    let state = world.sandbox.path(".tendon");
    assert_eq!(files_with(&state, &planted), [""; 0], "while it runs");
    let log = running.finish().join("\n");
    assert!(log.contains("a request was answered"), "the log tells nothing");
    world.said.push(("the log".to_owned(), log));
    assert_eq!(files_with(&state, &planted), [""; 0], "at rest");
    for (place, text) in &world.said {
        let line = text.lines().find(|line| planted.iter().any(|planted| holds(line.as_bytes(), planted)));
        assert!(line.is_none(), "{place}: {}", line.unwrap_or_default());
    }
    let searched = searched(named.map(|(_, what)| what), &world.said);
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted.txt"), &searched).unwrap();
    assert_eq!(SEARCHED, searched, "copy it from the build's `tmp` folder and run `cargo xtask docs`");
    // It was all there to be found: the record knows it, and so does the search.
    let shown = world.json(&["decisions", "explain", &id]).to_string();
    assert!(holds(shown.as_bytes(), &balance), "{shown}");
    assert!(files_with(&world.sandbox.path(""), &[MAIL]).iter().any(|found| found.contains("crm.db")));
    assert!(world.crm.sql(&format!("SELECT job FROM leads WHERE id = {SUBJECT}")).contains(MAIL));
    let coded =
        ["YSBlcmlrYS5tdXN0ZXJtYW5uQGV4YW1wbGUub3Jn", "6572696b612e6d75737465726d616e6e406578616d706c652e6f7267"];
    assert!(coded.iter().all(|text| holds(text.as_bytes(), MAIL)), "the search knows base64 and hexadecimal");
}
