//! Files of a ledger: segments, tiles, key slots, checkpoint notes. An input is the number of a file and what it holds instead. What is
//! not as it was is found by `verify`; a process that starts on it either refuses or has every entry under the checkpoint; and nothing of
//! it is a panic.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::sockets::ledger::Ledger as _;
use tendon_ledger::{
    Parts, Settings,
    verify::{Options, verify},
};
use tendon_testkit::{Promise, Sim, TestKeys};

use super::{Run, Target, Verdict, kind, proof, proper};

pub(super) const FOLDER: &str = "ledger/main";
const ENTRIES: u64 = 40;

pub(super) const TARGET: Target = Target {
    name: "ledger",
    about: "files of a ledger, verified and opened",
    words: &[
        "\n\n\u{2014} ",
        "tendon.local/fuzz/main\n",
        "\n40\n",
        "\n0\n",
        "\n18446744073709551615\n",
        "AAAA",
        "\0\0\0\0",
        "\u{7f}",
        "{\"v\":1",
    ],
    memory: (32 << 20, 400),
    short: 600,
    open: || Box::new(Files::open()),
};

/// Small segments, so that there are several.
pub(super) fn settings() -> Settings {
    Settings { slots_ahead: 16, segment_bytes: 16 << 10, ..Settings::default() }
}

struct Files {
    /// The files as they were when the ledger was closed.
    files: Vec<(String, Vec<u8>)>,
    key: String,
}

impl Files {
    fn open() -> Self {
        let (sim, key, _) = proof::ledger(ENTRIES);
        let all: BTreeMap<_, _> = sim.disk().dump();
        Self { files: all.into_iter().collect(), key }
    }

    /// A world whose disk holds these files, one of them changed.
    fn world(&self, changed: usize, content: &[u8]) -> Sim {
        let sim = Sim::new(1);
        for (at, (path, bytes)) in self.files.iter().enumerate() {
            sim.disk().plant(path, if at == changed { content } else { bytes });
        }
        sim
    }
}

impl Run for Files {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let Some((number, content)) = input.split_first() else { return Ok(Verdict { kind: 0, taken: false }) };
        let changed = usize::from(*number) % self.files.len();
        let (path, before) = &self.files[changed];
        let sim = self.world(changed, content);
        let disk = sim.disk();
        let options = Options { public_key: Some(&self.key), tail: true, ..Options::default() };
        let verdict = verify(&*disk, FOLDER, &options, &mut |_, _| {});
        // What follows the last entry looks like the first write after the checkpoint that a power cut tore: told, and no finding.
        let (good, words) = match &verdict {
            Ok(report) => (
                report.is_good() && report.unfinished.is_empty(),
                report
                    .findings
                    .first()
                    .map(|finding| finding.what.chars().filter(|c| !c.is_ascii_digit()).collect::<String>()),
            ),
            Err(error) => {
                proper(error)?;
                (false, Some(error.code().to_owned()))
            }
        };
        // Key slots that nobody has yet are made ahead: a keyring with fewer of them, down to those in use, is one too.
        let fewer = path.ends_with("keyring") && good && before.starts_with(content);
        if good != (content == before) && !fewer && path.starts_with(FOLDER) {
            return Err(format!(
                "{path} was {}, and verify says {good}: {verdict:?}",
                if good { "changed" } else { "as it was" }
            ));
        }
        let opened = self.start(&sim)?;
        Ok(Verdict { kind: kind(&[path, &words, &opened]), taken: good })
    }

    fn seeds(&mut self) -> Vec<Vec<u8>> {
        let of = |(at, (_, bytes)): (usize, &(String, Vec<u8>))| {
            [&[u8::try_from(at).unwrap_or(u8::MAX)][..], bytes].concat()
        };
        self.files.iter().enumerate().map(of).filter(|seed| seed.len() <= crate::mutate::LONGEST).collect()
    }
}

impl Files {
    /// Starts a ledger on it; how that ended, in a word.
    fn start(&self, sim: &Sim) -> Result<String, String> {
        let parts = Parts {
            context: sim.context(),
            store: sim.store(Promise::Projections),
            keys: Arc::new(TestKeys::new(7)),
            projections: Vec::new(),
            origin: "tendon.local/fuzz/main".into(),
            folder: FOLDER.into(),
            settings: settings(),
        };
        let run = async move {
            let book = tendon_ledger::open(parts).await?;
            let size = book.state().size;
            Ok::<_, tendon_kernel::Error>((size, book.close().await.map_err(|error| error.code()).err()))
        };
        match sim.run(run).done() {
            Ok((size, _)) if size < ENTRIES => {
                Err(format!("it starts with {size} entries, {ENTRIES} are under the checkpoint"))
            }
            Ok((size, closed)) => Ok(format!("{} {closed:?}", size > ENTRIES)),
            Err(error) => {
                proper(&error)?;
                Ok(error.code().to_owned())
            }
        }
    }
}
