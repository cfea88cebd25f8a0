//! `tendon check`: all mistakes at once, each with its place and what was probably meant.

use crate::harness::{Project, Setup, run_in};

/// Ten mistakes of ten kinds: file and line, code, and what the suggestion names.
const MISTAKES: [(&str, &str, &str); 10] = [
    ("tendon.yaml:7:", "unknown_field", "balance"),
    ("tendon.yaml:8:", "unknown_field", "score_band"),
    ("tendon.yaml:9:", "unknown_key", "models"),
    ("integrations/lead-score.yaml:3:", "unknown_key", "owner"),
    ("integrations/lead-score.yaml:4:", "unknown_alias", "lead-score@champion"),
    ("integrations/lead-score.yaml:5:", "unknown_field", "input.id"),
    ("integrations/lead-score.yaml:7:", "unreachable_band", ""),
    ("integrations/lead-score.yaml:8:", "fallback_outside_range", ""),
    ("integrations/lead-score.yaml:10:", "bad_duration", ""),
    ("integrations/lead-score.yaml:11:", "unknown_variable", "output"),
];

fn broken() -> Project {
    let project = Project::new(&Setup::default());
    project.write(
        "tendon.yaml",
        "project: e2e
systems:
  crm:
    kind: sqlite
    path: crm.db
    # two fields that the table does not have
    read: { leads: [id, age, job, marital, education, default, balnace, housing, loan, contact, day, month, campaign, pdays, previous, poutcome, updated_at] }
    write: { leads: [score, score_bnad, scored_at] }
modles: {}
models: { lead-score: { path: models/lead-score } }
",
    );
    project.write(
        "integrations/lead-score.yaml",
        "integration: lead-score
purpose: rank leads by their probability to subscribe
ownr: sales-ops
model: lead-score@champoin
subject: input.idd
input: { from: crm.leads }
bands: { green: \">= 0.1\", yellow: \">= 0.2\", red: otherwise }
fallback: { default: 1.1 }
doors:
  api: { deadline: 5 minutes }
  events: { set: { score: outptu, scored_at: now } }
",
    );
    project
}

#[test]
fn ten_mistakes_are_listed_at_once_each_with_place_and_suggestion() {
    let project = broken();
    let ran = project.run(&["check"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let json = project.run(&["check", "--output", "json"]);
    assert_eq!(json.code, 1);
    let document = json.json();
    let findings = document["findings"].as_array().unwrap();
    let mut missing = Vec::new();
    for (place, code, suggestion) in MISTAKES {
        let line = ran.out.lines().find(|line| line.starts_with(place) && line.contains(&format!("[{code}]")));
        let fits = |line: &&str| suggestion.is_empty() || line.contains(&format!("did you mean {suggestion}"));
        if line.filter(fits).is_none() {
            missing.push(format!("{place} {code} {suggestion}"));
        }
        let same = findings.iter().find(|one| {
            let found = format!("{}:{}:", one["file"].as_str().unwrap(), one["line"]);
            found == place && one["code"] == code && one["severity"] == "error" && one["column"].as_u64().unwrap() > 0
        });
        let suggested = same.and_then(|one| one["suggestion"].as_str()).unwrap_or_default();
        if same.is_none() || !suggested.contains(suggestion) {
            missing.push(format!("{place} {code} {suggestion} in the JSON"));
        }
    }
    assert!(missing.is_empty(), "not said: {missing:#?}\n{}", ran.out);
    assert_eq!(document["clean"], false);
    assert!(ran.err.contains("errors"), "{}", ran.err);

    let up = project.run(&["up", "--listen", "127.0.0.1:0"]);
    assert_eq!(up.code, 1, "{up:?}");
    assert!(up.err.contains("tendon check"), "{up:?}");
}

#[test]
fn a_clean_project_exits_with_0_and_prints_no_finding() {
    let project = Project::new(&Setup::default());
    let ran = project.run(&["check"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("the project is clean"), "{ran:?}");
    let document = project.json(&["check"]);
    assert_eq!((document["clean"].as_bool(), document["findings"].as_array().unwrap().len()), (Some(true), 0));
    // From a folder inside the project as well.
    assert_eq!(run_in(&project.path().join("models"), &["check"]).code, 0);
}

#[test]
fn what_cannot_be_read_at_all_exits_with_2() {
    let project = Project::new(&Setup::default());
    let nowhere = project.path().join("nowhere").to_string_lossy().into_owned();
    for words in [vec!["check", "--project", &nowhere], vec!["check", "--no-such-option"]] {
        let ran = run_in(project.path(), &words);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran:?}");
    }
    std::fs::write(project.path().join("tendon.yaml"), [0xff, 0xfe, 0]).unwrap();
    assert_eq!(project.run(&["check"]).code, 2);
    std::fs::remove_file(project.path().join("tendon.yaml")).unwrap();
    assert_eq!(project.run(&["check"]).code, 2);
    std::fs::create_dir(project.path().join("tendon.yaml")).unwrap();
    assert_eq!(project.run(&["check"]).code, 2);
}

#[test]
fn what_is_no_yaml_is_a_finding_with_its_line() {
    for text in ["project: [", "project: e2e\nproject: twice\n", "\tproject: e2e", "", "[]", "project: &a [*a]\n"] {
        let project = Project::new(&Setup::default());
        project.write("tendon.yaml", text);
        let ran = project.run(&["check"]);
        assert_eq!(ran.code, 1, "{text:?}: {ran:?}");
        assert!(ran.out.lines().all(|line| line.contains(".yaml:")) && !ran.out.is_empty(), "{text:?}: {ran:?}");
    }
}

#[test]
fn a_secret_never_shows() {
    let project = Project::new(&Setup::default());
    let text = std::fs::read_to_string(project.path().join("tendon.yaml")).unwrap();
    project.write("tendon.yaml", &text.replace("path: crm.db", "path: ${env:NO_SUCH_SECRET}/crm.db"));
    let ran = project.run(&["check"]);
    assert!(ran.err.contains("NO_SUCH_SECRET") || ran.out.contains("NO_SUCH_SECRET"), "{ran:?}");
    project.write("secret.txt", "/tmp/hush-hush-4711");
    project.write("tendon.yaml", &text.replace("path: crm.db", "path: ${file:secret.txt}/crm.db"));
    let ran = project.run(&["check", "--output", "json"]);
    assert!(!format!("{ran:?}").contains("hush-hush"), "{ran:?}");
}
