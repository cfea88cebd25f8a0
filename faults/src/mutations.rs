//! Faults planted on purpose, to prove that the harness and its checker can fail. Syncs that do nothing come from the layer below
//! the program; the others from a patched copy of the source (`mutations/mutants.patch`, built apart by `cargo xtask faults
//! --mutations`), which the environment tells what to do wrong. Nothing of that is in the program that is shipped.
//!
//! Each is lived through with several seeds, and so is the same cell without the plant: it has to be found each time, as what it
//! is, and only there. A program that refuses to go on over what it has lost has found it, too.

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::{
    Setting,
    cells::{self, Cell},
    examine, lock,
};

/// Seeds of each plant.
const SEEDS: u64 = 5;

/// Longest wait for a patched program: what it has done wrong may never come right.
const PATIENCE: Duration = Duration::from_secs(20);

/// A planted fault.
struct Mutation {
    name: &'static str,
    about: &'static str,
    /// What the patched program is told; none: the layer's syncs lie.
    mutant: Option<&'static str>,
    cell: &'static Cell,
    /// As what the checker has to find it, and in one of which words.
    kind: &'static str,
    says: &'static [&'static str],
    /// What the program says that will not start on what is left.
    refuses: &'static [&'static str],
    rounds: u64,
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "fsync off",
        about: "every sync returns at once and does nothing (layer)",
        mutant: None,
        cell: &cells::CUT,
        kind: "lost",
        says: &["not in the record", "no checkpoint that can be read"],
        refuses: &["do not lead to the signed root", "of the ledger are missing"],
        rounds: 4,
    },
    Mutation {
        name: "acknowledgement before record",
        about: "the answer leaves while its entry is on its way to the disk",
        mutant: Some("answer-first"),
        cell: &cells::API,
        kind: "lost",
        says: &["not in the record"],
        refuses: &[],
        rounds: 20,
    },
    Mutation {
        name: "idempotency off",
        about: "keys are not looked up and claim nothing",
        mutant: Some("no-dedupe"),
        cell: &cells::API,
        kind: "doubled",
        says: &["was answered by 2 decisions"],
        refuses: &[],
        rounds: 4,
    },
    Mutation {
        name: "outbox order off",
        about: "deliveries go newest first, also two of the same row; what the CRM holds cannot tell, because the write's \
                condition stops the older one: the record tells",
        mutant: Some("disorder"),
        cell: &cells::BEHIND,
        kind: "order",
        says: &["ended after"],
        refuses: &[],
        rounds: 3,
    },
    Mutation {
        name: "conditional write off",
        about: "a write-back (PostgreSQL) does not look whether the row still holds what was read",
        mutant: Some("unconditional"),
        cell: &cells::BEHIND,
        kind: "order",
        says: &["was written over it"],
        refuses: &[],
        rounds: 3,
    },
    Mutation {
        name: "both of them off",
        about: "both at once: nothing but the record tells, because a heap of write-backs goes in one statement that writes a \
                row once",
        mutant: Some("disorder unconditional"),
        cell: &cells::BEHIND,
        kind: "order",
        says: &["ended after"],
        refuses: &[],
        rounds: 3,
    },
];

/// Lives through all of them; gives the table, and whether each was found, and only where it was planted.
pub(crate) fn run(setting: &Setting, mutants: &Path) -> (String, bool) {
    let mut table =
        "| planted | what | cell | found with | the first finding | without the plant |\n|---|---|---|---|---|---|\n"
            .to_owned();
    let mut all = true;
    let mut whole = BTreeMap::new();
    for (number, mutation) in MUTATIONS.iter().enumerate() {
        eprintln!("faults: {} … ({} of {})", mutation.name, number + 1, MUTATIONS.len());
        let (mut found, mut first) = (0, None);
        for seed in setting.seed..setting.seed + SEEDS {
            let planted = Setting {
                seed,
                rounds: mutation.rounds,
                patience: PATIENCE,
                program: mutation.mutant.map_or_else(|| setting.program.clone(), |_| mutants.to_path_buf()),
                mutant: mutation.mutant,
                lie: mutation.mutant.is_none(),
                ..setting.clone()
            };
            let row = examine(&planted, mutation.cell);
            let findings = row.findings(mutation.kind, mutation.says);
            eprintln!("faults:   seed {seed}: {} findings of its kind", findings.len());
            let one = match (findings.first(), row.refusal(mutation.refuses)) {
                (Some(one), _) => format!("{one} (seed {seed}, {} such)", findings.len()),
                (None, Some(line)) => format!("the program itself: {line} (seed {seed})"),
                (None, None) => {
                    eprintln!("faults:   not found: {}", row.verdict());
                    continue;
                }
            };
            found += 1;
            first.get_or_insert(one);
        }
        let held = (setting.seed..setting.seed + SEEDS).filter(|&seed| {
            let key = (mutation.cell.name, mutation.rounds, seed);
            *whole.entry(key).or_insert_with(|| holds(setting, mutation, seed))
        });
        let held = held.count() as u64;
        all &= found == SEEDS && held == SEEDS;
        let first = first.unwrap_or_else(|| "**not found**".to_owned());
        eprintln!("faults: {}: found with {found} of {SEEDS} seeds; without it {held} of {SEEDS} held", mutation.name);
        table.push_str(&format!(
            "| {} | {} | `{}`, {} rounds | {found} of {SEEDS} seeds | {first} | {held} of {SEEDS} held |\n",
            mutation.name, mutation.about, mutation.cell.name, mutation.rounds
        ));
    }
    (table, all)
}

/// Whether the program as it is holds in the same cell with the same seed.
fn holds(setting: &Setting, mutation: &Mutation, seed: u64) -> bool {
    let row = examine(&Setting { seed, rounds: mutation.rounds, ..setting.clone() }, mutation.cell);
    if !row.is_good() {
        eprintln!("faults:   seed {seed}, nothing planted: {}", row.verdict());
    }
    row.is_good()
}

/// Says to a place what is planted into its program.
pub(crate) fn plant(setting: &Setting, place: &crate::place::Place) -> crate::Res<()> {
    let Some(layer) = place.layer.as_ref().filter(|_| setting.lie) else { return Ok(()) };
    lock(&place.seen).notes.push("syncs lie".to_owned());
    layer.lie(true)
}
