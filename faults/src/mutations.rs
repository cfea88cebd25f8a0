//! Faults planted on purpose, to prove that the harness and its checker can fail. Syncs that do nothing come from the layer below
//! the program; the others from a patched copy of the source (`mutations/mutants.patch`, built apart by `cargo xtask faults
//! --mutations`), which the environment tells what to do wrong. Nothing of that is in the program that is shipped.

use serde_json::Value as Json;

use crate::{
    Setting,
    cells::{self, Cell},
    examine, lock,
};

/// A planted fault.
struct Mutation {
    name: &'static str,
    about: &'static str,
    /// What the patched program is told; none: the layer's syncs lie.
    mutant: Option<&'static str>,
    cell: &'static Cell,
    /// As what it has to be found.
    kind: &'static str,
    rounds: u64,
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "fsync off",
        about: "every sync returns at once and does nothing (layer)",
        mutant: None,
        cell: &cells::CUT,
        kind: "lost",
        rounds: 4,
    },
    Mutation {
        name: "acknowledgement before record",
        about: "the answer leaves while its entry is on its way to the disk (patched source)",
        mutant: Some("answer-first"),
        cell: &cells::API,
        kind: "lost",
        rounds: 20,
    },
    Mutation {
        name: "idempotency off",
        about: "keys are not looked up and claim nothing (patched source)",
        mutant: Some("no-dedupe"),
        cell: &cells::API,
        kind: "doubled",
        rounds: 4,
    },
    Mutation {
        name: "outbox order off, with conditional write",
        about: "deliveries go newest first, also two of the same row; the write's condition is off too, which alone would hide it \
                (patched source)",
        mutant: Some("disorder"),
        cell: &cells::FEW,
        kind: "order",
        rounds: 10,
    },
    Mutation {
        name: "conditional write off",
        about: "a write-back does not look whether the row still holds what was read (patched source)",
        mutant: Some("unconditional"),
        cell: &cells::FEW,
        kind: "order",
        rounds: 10,
    },
];

/// Lives through all of them; gives the table, and whether each was found.
pub(crate) fn run(setting: &Setting, mutants: &std::path::Path) -> (String, bool) {
    let mut table = "| planted | what | cell | found as |\n|---|---|---|---|\n".to_owned();
    let mut all = true;
    for mutation in MUTATIONS {
        eprintln!("faults: {} …", mutation.name);
        let mut found = None;
        // What a seed does not bring to light, another may; more than a few would be no proof.
        for seed in setting.seed..setting.seed + 3 {
            let planted = Setting {
                seed,
                rounds: mutation.rounds,
                program: mutation.mutant.map_or_else(|| setting.program.clone(), |_| mutants.to_path_buf()),
                mutant: mutation.mutant,
                lie: mutation.mutant.is_none(),
                ..setting.clone()
            };
            let row = examine(&planted, mutation.cell);
            let times = row.checked[mutation.kind].as_u64().unwrap_or(0);
            if times > 0 {
                let first = row.checked["findings"].as_array().and_then(|all| all.iter().find_map(Json::as_str));
                found = Some(format!(
                    "{} (seed {seed}, {times} findings; the first: {})",
                    mutation.kind,
                    first.unwrap_or_default()
                ));
                break;
            }
            eprintln!("faults: not with seed {seed}: {}", row.verdict());
            if row.failed.is_some() && mutation.mutant.is_none() {
                found = Some(format!("the program refused to go on (seed {seed})"));
                break;
            }
        }
        all &= found.is_some();
        let found = found.unwrap_or_else(|| "**not found**".to_owned());
        eprintln!("faults: {}: {found}", mutation.name);
        table.push_str(&format!("| {} | {} | `{}` | {found} |\n", mutation.name, mutation.about, mutation.cell.name));
    }
    (table, all)
}

/// Says to a place what is planted into its program.
pub(crate) fn plant(setting: &Setting, place: &crate::place::Place) -> crate::Res<()> {
    let Some(layer) = place.layer.as_ref().filter(|_| setting.lie) else { return Ok(()) };
    lock(&place.seen).notes.push("syncs lie".to_owned());
    layer.lie(true)
}
