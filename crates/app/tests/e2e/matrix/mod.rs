//! The authorisation matrix: every operation of every door × every kind of credentials, asked of the running process over TLS by
//! clients that we did not write. Operations come from the lists that the doors' own tests hold against their routes, schema and
//! descriptor; an operation without a question here fails. What came out is compared with `answers.txt` and `fields.txt`, of which
//! `cargo xtask docs` makes a page, and with the rules, which do not know these files.

mod callers;
mod cases;
mod described;
mod owner;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value as Json, json};

use callers::{Caller, Expected};
use cases::{Case, World};

use crate::{planted::files_with, support::PYTHON};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/matrix_client.py");
/// What each caller is told at each operation.
const ANSWERS: &str = include_str!("answers.txt");
/// Which members of an answer each caller sees.
const FIELDS: &str = include_str!("fields.txt");

/// Members that the OpenAPI document describes and no caller was shown.
const UNSEEN: &str = include_str!("unseen.txt");

/// An answer, as the client tells it.
struct Told {
    status: String,
    code: String,
    body: String,
}

impl Told {
    fn of(value: &Json) -> Self {
        let status = value["status"].as_str().map_or_else(|| value["status"].to_string(), str::to_owned);
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self { status, code: text("code"), body: text("body") }
    }

    /// Status and code in one word.
    fn short(&self) -> String {
        if self.code.is_empty() { self.status.clone() } else { format!("{}:{}", self.status, self.code) }
    }

    fn good(&self) -> bool {
        self.code.is_empty() && (self.status == "OK" || self.status.starts_with('2'))
    }
}

/// Every answer: callers, each with one per case.
fn ask(world: &World, callers: &[Caller], cases: &[Case]) -> Vec<Vec<Told>> {
    let told = json!({
        "http": world.http, "grpc": world.grpc, "ca": world.ca,
        "callers": callers.iter().map(|caller| &caller.told).collect::<Vec<_>>(),
        "cases": cases.iter().map(|case| &case.question).collect::<Vec<_>>(),
    });
    let mut client = Command::new(PYTHON);
    let mut client = client.arg(CLIENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "the client failed; what it said stands above");
    let all: Vec<Vec<Json>> = serde_json::from_slice(&output.stdout).unwrap();
    all.iter().map(|of_one| of_one.iter().map(Told::of).collect()).collect()
}

/// What the rule of an operation alone says about a caller, without looking at what was written down before.
fn judge(caller: &Caller, case: &Case, told: &Told) {
    let what = format!("{} by {}: {}", case.operation, caller.name, told.short());
    let no = |codes: &[&str]| {
        let status = ["401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"].contains(&told.status.as_str());
        assert!(!told.good() && (status || case.inside()) && codes.contains(&told.code.as_str()), "{what}");
    };
    match (&case.rule[..], &caller.expected) {
        ("open", _) => assert!(told.good() || told.status == "503", "{what}"),
        ("holder", Expected::Holder) => assert!(told.good(), "{what}"),
        // Keys, tokens of people and certificates are no token of a badge, whatever they may do elsewhere.
        ("holder", _) => assert!(told.status == "401" && told.code.starts_with("token_"), "{what}"),
        (_, Expected::Holder) => {
            let status = if case.grpc() { "UNAUTHENTICATED" } else { "401" };
            assert_eq!((&*told.status, &*told.code), (status, "token_issuer"), "{what}");
        }
        (_, Expected::Refused(status, code)) => {
            let by_grpc =
                BTreeMap::from([(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (429, "RESOURCE_EXHAUSTED")]);
            let wanted = if case.grpc() { by_grpc[status].to_owned() } else { status.to_string() };
            assert_eq!((&told.status, &*told.code), (&wanted, *code), "{what}");
        }
        ("decide", Expected::May(may)) if !may.decides(&case.integration) => no(&["integration_forbidden"]),
        ("read", Expected::May(may)) if !may.read => no(&["scope_missing"]),
        ("operate", Expected::May(may)) if !may.operate => no(&["scope_missing"]),
        ("review", Expected::May(may)) if !may.reviews("desk") && case.one_review() => no(&["scope_missing"]),
        ("review", Expected::May(may)) if may.reviews.is_empty() => no(&["scope_missing"]),
        // A batch tells it of each record.
        ("decide", Expected::Spent) => {
            let inside = told.body.contains("\"code\":\"quota_exceeded\"") && !told.body.contains("\"decision\"");
            assert!(told.code == "quota_exceeded" || inside, "{what}");
        }
        ("decide" | "known" | "read" | "review" | "operate", _) => {
            // Beyond the gate only the handler says no, and only of what belongs to others.
            assert!(!["401", "405", "429", "UNAUTHENTICATED"].contains(&told.status.as_str()), "{what}");
            assert!(case.rule == "known" || !["403", "PERMISSION_DENIED"].contains(&told.status.as_str()), "{what}");
        }
        (rule, _) => panic!("{rule} is no rule"),
    }
}

/// The members of an answer, as paths; what is the caller's own or a schema's is one member, and what stands there or not by the minute.
fn members(value: &Json, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(all) => all.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            if ["input", "versions", "aliases", "trouble"].contains(&name.as_str()) {
                found.insert(path.trim_start_matches('.').to_owned());
            } else {
                members(value, &path, found);
            }
        }),
        Json::Array(all) => all.iter().for_each(|value| members(value, &format!("{path}[]"), found)),
        _ => drop(found.insert(path.trim_start_matches('.').to_owned())),
    }
}

/// What was seen, as the files keep it.
fn written(callers: &[Caller], cases: &[Case], answers: &[Vec<Told>]) -> (String, String) {
    let (mut table, mut fields) = (String::new(), String::new());
    for caller in callers {
        if let Expected::Refused(status, code) = caller.expected {
            writeln!(table, "everything but open | {} | {status}:{code}", caller.name).unwrap();
        }
    }
    for (at, case) in cases.iter().enumerate() {
        let mut seen = BTreeMap::<String, Vec<&str>>::new();
        for (caller, told) in callers.iter().zip(answers).filter(|(caller, _)| caller.known()) {
            let told = &told[at];
            writeln!(table, "{} ({}) | {} | {}", case.operation, case.rule, caller.name, told.short()).unwrap();
            if told.good() && case.rule != "open" {
                let mut found = BTreeSet::new();
                members(&serde_json::from_str(&told.body).unwrap(), "", &mut found);
                found.into_iter().for_each(|path| seen.entry(path).or_default().push(caller.name));
            }
        }
        for (path, who) in seen {
            writeln!(fields, "{} | {path} | {}", case.operation, who.join(" ")).unwrap();
        }
    }
    (table, fields)
}

/// Lays what was seen beside the build, for whoever wants to keep it.
fn lay(name: &str, found: &str) {
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), found).unwrap();
}

/// Compares with what is kept.
fn same(name: &str, kept: &str, found: &str) {
    let kept: BTreeSet<_> = kept.lines().collect();
    let now: BTreeSet<_> = found.lines().collect();
    let list = |lines: Vec<&&str>| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    let (gone, new) = (list(kept.difference(&now).collect()), list(now.difference(&kept).collect()));
    let hint = "if this is as it should be, copy it from the build's `tmp` folder and run `cargo xtask docs`";
    assert!(gone.is_empty() && new.is_empty(), "{name}: not any more:\n{gone}new:\n{new}{hint}");
}

/// Neither the log nor a file of the process holds what the callers showed, the key of the listener, or what stands in reviews.
fn nothing_is_left(world: &mut World, callers: &[Caller]) {
    let shown = callers.iter().filter_map(|caller| caller.told["authorization"].as_str());
    // The end of a key or token is what makes it one.
    let mut planted: Vec<String> = shown.map(|shown| shown[shown.len() - 12..].to_owned()).collect();
    planted.extend(cases::REVIEWED.map(str::to_owned));
    planted.push(world.tls_key());
    let planted: Vec<&str> = planted.iter().map(String::as_str).collect();
    let log = world.end();
    assert!(log.contains("a request was answered"), "the log tells nothing");
    let line = log.lines().find(|line| planted.iter().any(|planted| line.contains(planted)));
    assert!(line.is_none(), "the log: {}", line.unwrap_or_default());
    assert_eq!(files_with(&world.sandbox.path(".tendon"), &planted), [""; 0]);
}

#[test]
fn every_operation_answers_every_caller_as_its_rule_says() {
    let mut world = World::start();
    let callers = callers::all(&world);
    let cases = cases::all(&world);
    let answers = ask(&world, &callers, &cases);
    let (table, fields) = written(&callers, &cases, &answers);
    lay("answers.txt", &table);
    lay("fields.txt", &fields);
    let at = cases.iter().position(|case| case.operation == "GET /openapi.json").unwrap();
    let unseen = described::unseen(&serde_json::from_str(&answers[0][at].body).unwrap(), &fields);
    lay("unseen.txt", &unseen);
    let mut wrong = 0;
    for (caller, answers) in callers.iter().zip(&answers) {
        for (case, told) in cases.iter().zip(answers) {
            wrong += usize::from(std::panic::catch_unwind(|| judge(caller, case, told)).is_err());
            // What a row holds beyond what was asked about, a verdict's person and note: for whoever reviews, nobody else.
            let review = case.rule == "review" && caller.reviews_desk();
            for marker in cases::REVIEWED {
                assert!(review || !told.body.contains(marker), "{} by {}: {}", case.operation, caller.name, told.body);
            }
        }
    }
    assert_eq!(wrong, 0, "answers are not what their rule says; each stands above");
    nothing_is_left(&mut world, &callers);
    same("answers.txt", ANSWERS, &table);
    same("fields.txt", FIELDS, &fields);
    same("unseen.txt", UNSEEN, &unseen);
}
