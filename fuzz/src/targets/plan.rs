//! The plan's YAML: `tendon.yaml`, a line of `%%%`, and an integration. Every finding names a place inside its file, a code and a
//! sentence, and none tells a secret; the same text gives the same findings and the same digest; errors and a plan exclude each other.

use tendon_plan::{Finding, Severity};

use super::{Run, SECRET, Target, Verdict, kind};
use crate::world;

pub(super) const TARGET: Target = Target {
    name: "plan",
    about: "tendon.yaml and an integration, up to the plan",
    words: &[
        "%%%\n",
        ": ",
        "- ",
        "&a ",
        "*a",
        "!!str ",
        "|\n",
        ">-\n",
        "? ",
        "<<: ",
        "\n  ",
        "{",
        "[",
        "~",
        "null",
        "${env:X}",
        "${file:x}",
        "kind: fake",
        "from: crm.leads",
        "features: ",
        "bands: ",
        "fallback: ",
        "lookups: ",
        "cache: ",
        "events: ",
        "route: ",
        "0x7f",
        "input.age > 3",
    ],
    memory: (8 << 20, 4000),
    short: 1500,
    open: || Box::new(Plan),
};

struct Plan;

/// Lines of a text as YAML counts them.
fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\r', '\n']).count()
}

/// What is wrong with a finding about a text of so many lines.
fn wrong(finding: &Finding, lines: usize) -> Option<String> {
    let told = format!("{finding} {finding:?}");
    let code = finding.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if finding.line == 0 || finding.line > lines || finding.column == 0 {
        return Some(format!("{told} lies outside of {lines} lines"));
    }
    let nothing = finding.code.is_empty() || !code || finding.message.trim().is_empty();
    (nothing || told.contains(SECRET)).then(|| format!("a finding tells a secret or nothing: {told}"))
}

impl Run for Plan {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok(Verdict { kind: 0, taken: false }) };
        let (project, integration) = text.split_once("%%%\n").unwrap_or((text, world::INTEGRATION));
        let (plan, findings) = world::planned(project, integration);
        let lines = [project, integration].map(lines);
        for finding in &findings {
            wrong(finding, lines[usize::from(finding.file != "tendon.yaml")]).map_or(Ok(()), Err)?;
        }
        let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
        if plan.is_some() == refused {
            return Err(format!("there is a plan: {}, and {findings:?}", plan.is_some()));
        }
        if input.len().is_multiple_of(8) {
            let (again, same) = world::planned(project, integration);
            let digest = |plan: &Option<tendon_plan::Plan>| plan.as_ref().map(|plan| plan.digest.clone());
            if same != findings || digest(&again) != digest(&plan) {
                return Err("the same text is judged differently".to_owned());
            }
        }
        let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes.dedup();
        Ok(Verdict { kind: kind(&[&codes]), taken: plan.is_some() })
    }
}
