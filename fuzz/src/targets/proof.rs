//! Proof files. Whatever is done to a genuine one, what still verifies tells what the genuine one told, or less: nobody makes a proof of
//! something that is not in the log.

use tendon_kernel::{
    Id, Timestamp,
    sockets::ledger::{Body, Draft, EntryKind, Facts, Ledger as _},
};
use tendon_ledger::{Opening, Parts, ProofReport, verify_proof};
use tendon_testkit::{Promise, Sim, TestKeys};

use super::{Run, Target, Verdict, kind};

pub(super) const TARGET: Target = Target {
    name: "proof",
    about: "proofs of decisions, with their checkpoints and keys",
    words: &[
        "c2sp.org/tlog-proof@v1\n",
        "extra ",
        "index ",
        "\n\n",
        "\u{2014} ",
        "tendon.local/fuzz/main",
        "AAAA",
        "==",
        "0",
        "18446744073709551615",
        "\n",
    ],
    memory: (1 << 20, 200),
    short: 30_000,
    open: || Box::new(Proofs::open()),
};

/// A ledger with so many decisions; gives its world and its public key.
pub(super) fn ledger(entries: u64) -> (Sim, String, Vec<String>) {
    let sim = Sim::new(4711);
    let context = sim.context();
    let parts = Parts {
        context: context.clone(),
        store: sim.store(Promise::Projections),
        keys: std::sync::Arc::new(TestKeys::new(7)),
        projections: Vec::new(),
        origin: "tendon.local/fuzz/main".into(),
        folder: super::ledger::FOLDER.into(),
        settings: super::ledger::settings(),
    };
    let run = async move {
        let book = tendon_ledger::open(parts).await.unwrap_or_else(|error| panic!("{error}"));
        let mut ids = Vec::new();
        for number in 0..entries {
            let facts = facts(Id::new(&context), context.clock.now());
            ids.push(facts.id);
            let body = Body {
                subject: Some(format!("s{}", number % 5).into()),
                input: format!("{{\"number\":{number}}}").into_bytes(),
                output: format!("{{\"score\":{number}}}").into_bytes(),
                explanation: Vec::new(),
                more: Vec::new(),
            };
            book.commit(vec![Draft { facts, body, claim: None }]).await.unwrap_or_else(|error| panic!("{error}"));
        }
        let opening =
            |at: usize| Opening { input: at.is_multiple_of(2), output: at.is_multiple_of(3), explanation: false };
        let mut proofs = Vec::new();
        for (at, id) in ids.iter().enumerate().step_by(7) {
            proofs.push(book.proof(*id, opening(at)).await.unwrap_or_else(|error| panic!("{error}")).text);
        }
        let key = book.public_key().to_owned();
        book.close().await.unwrap_or_else(|error| panic!("{error}"));
        (key, proofs)
    };
    let (key, proofs) = sim.run(run).done();
    (sim, key, proofs)
}

fn facts(id: Id, at: Timestamp) -> Facts {
    Facts {
        kind: EntryKind::Decision,
        id,
        at,
        integration: "lead-score".into(),
        model: None,
        route: "champion".into(),
        reason: "ok".into(),
        caller: "key:1".into(),
        policy: "cd".repeat(32).into(),
        plan: "ef".repeat(32).into(),
        retention: "default".into(),
        region: "eu".into(),
    }
}

struct Proofs {
    key: String,
    genuine: Vec<String>,
    told: Vec<ProofReport>,
}

impl Proofs {
    fn open() -> Self {
        let (_, key, genuine) = ledger(40);
        let told =
            genuine.iter().map(|text| verify_proof(text, &key).unwrap_or_else(|error| panic!("{error}"))).collect();
        Self { key, genuine, told }
    }
}

impl Run for Proofs {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok(Verdict { kind: 0, taken: false }) };
        // The key is what its owner was given; a stranger's key in its place must do no more harm than to be refused.
        let _ = verify_proof(&self.genuine[0], text);
        match verify_proof(text, &self.key) {
            Ok(report) => {
                let less = |mine: &Option<String>, theirs: &Option<String>| mine.is_none() || mine == theirs;
                let same = self.told.iter().find(|told| told.leaf == report.leaf && told.seq == report.seq);
                let Some(told) = same else { return Err(format!("it proves what is not there: {report:?}")) };
                if told.facts != report.facts
                    || !less(&report.input, &told.input)
                    || !less(&report.output, &told.output)
                {
                    return Err(format!("it tells something else: {report:?}"));
                }
                Ok(Verdict { kind: kind(&[&"proved", &report.input.is_some(), &report.output.is_some()]), taken: true })
            }
            Err(error) => {
                super::proper(&error)?;
                Ok(Verdict { kind: kind(&[&error.code(), &error.message()]), taken: false })
            }
        }
    }

    fn seeds(&mut self) -> Vec<Vec<u8>> {
        self.genuine.iter().cloned().chain([self.key.clone()]).map(String::into_bytes).collect()
    }
}
