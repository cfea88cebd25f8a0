//! Snapshots: what each configuration in `cases/` means, or what is wrong with it. `TENDON_BLESS=1` writes them anew; the
//! diff is what a reviewer reads.
//!
//! A case is one file; a line `### FILE name` starts each source in it.

mod support;

use std::{fs, path::Path};

use tendon_plan::{
    Sources, plan,
    render::{integration as integration_for_people, render},
};

fn sources(text: &str) -> Sources {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### FILE ") {
            files.push((name.to_owned(), String::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    Sources(files)
}

#[test]
fn each_case_means_what_its_snapshot_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let bless = std::env::var_os("TENDON_BLESS").is_some();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    assert!(names.len() >= 5, "the cases are gone");
    let mut wrong = Vec::new();
    for path in names {
        let outcome = plan(
            &sources(&fs::read_to_string(&path).unwrap()),
            &support::facts(),
            &[&support::SQLITE, &support::FILES],
        );
        let findings: String = outcome.findings.iter().map(|finding| format!("{finding}\n")).collect();
        let plan = outcome.plan.map(|plan| format!("{}digest {}\n", render(&plan), plan.digest));
        for (extension, text) in [("findings.txt", (!findings.is_empty()).then_some(findings)), ("plan.txt", plan)] {
            let path = path.with_extension(extension);
            let expected = fs::read_to_string(&path).ok();
            if expected != text {
                if bless {
                    text.map_or_else(|| fs::remove_file(&path), |text| fs::write(&path, text)).unwrap();
                } else {
                    wrong.push(format!("{}:\n{}", path.display(), text.unwrap_or("(nothing)".to_owned())));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "run with TENDON_BLESS=1 if this is meant\n{}", wrong.join("\n"));
}

#[test]
fn people_are_shown_no_path_of_an_address() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/callbacks.yaml");
    // One address begins with another: what follows it may be what is secret.
    let text = fs::read_to_string(case).unwrap().replace(
        "      - { to: \"http://127.0.0.1:9000\",",
        "      - { to: \"http://127.0.0.1:9000/hunter2\", secret: \"${file:other.secret}\" }\n      - { to: \"http://127.0.0.1:9000\",",
    );
    let plan = plan(&sources(&text), &support::facts(), &[&support::SQLITE]).plan.unwrap();
    assert!(render(&plan).contains("callback=http://127.0.0.1:9000/hunter2 "));
    for integration in plan.integrations.values() {
        let shown = integration_for_people(integration);
        assert!(
            shown.contains("callback=http://127.0.0.1:9000/… ")
                && shown.contains("callback=https://hooks.acme.example:8443/… ")
        );
        assert!(!shown.contains("hunter2") && !shown.contains("8443/tendon"), "{shown}");
    }
}
