//! `tendon ledger`: the record of everything: verified, proved to strangers, and a subject forgotten.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};
use tendon_kernel::sockets::secrets::{Keys, Secret};
use tendon_ledger::verify::{Finding, Options, Report, verify};
use tendon_platform::{ProjectLock, RealDisk, SealedKeys};

use crate::{
    backup, checkpoints,
    cli::Format,
    failure::{self, Failure, Outcome},
    orders::Order,
    output::{self, cell, counted, lines},
    project::Project,
    table::harmless,
    wiring,
};

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify every byte and name the first wrong entry; or verify one proof file, offline. Exit 1 when something is wrong.
    Verify(VerifyArgs),
    /// Export the proof of one decision: a small file that anybody can check offline.
    Export(ExportArgs),
    /// Back up the record and, apart from it, its keys: what came since the last time. Works beside a running process.
    Backup {
        /// Folder for the record: without the keys it opens nothing, and may be kept for years.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Folder for the keys: keep the newest only, or who was erased since can be read.
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
    },
    /// Bring the state of a project back from a backup, verified; never over a ledger that is there.
    Restore {
        /// Folder of the record.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Folder of the keys.
        #[arg(long, value_name = "DIR")]
        keys: PathBuf,
    },
    /// Erase a subject: its data cannot be read any more, every proof still verifies.
    Erase {
        /// The subject, as the integrations name it.
        #[arg(long)]
        subject: String,
    },
}

/// What to verify, against what.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Verify this proof file only, offline: needs --key, and no project.
    #[arg(long, value_name = "FILE", requires = "key")]
    proof: Option<PathBuf>,
    /// The log's public key, or a file that holds it (`ledger.pub`). Default: the project's own, but for --proof, which needs one.
    #[arg(long, value_name = "PUB")]
    key: Option<String>,
    /// An older signed checkpoint, in a file or at an address over HTTP: what it covers must be there unchanged.
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<String>,
}

/// Of which decision, and how much of it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// Id of the decision.
    #[arg(long, value_name = "ID")]
    proof: String,
    /// Also open these parts, so that their content is proved too; default: only the public facts.
    #[arg(long, value_enum, value_delimiter = ',')]
    open: Vec<Part>,
    /// Write to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A part of a decision that can be opened to a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The raw input.
    Input,
    /// The answer.
    Output,
    /// The explanation.
    Explanation,
}

/// Runs it.
///
/// # Errors
/// As each command's.
pub(crate) async fn run(find: impl Fn() -> Result<Project, Failure>, command: Command, format: Format) -> Outcome {
    match command {
        Command::Verify(VerifyArgs { proof: Some(proof), key, .. }) => {
            verify_proof(&proof, key.as_deref().unwrap_or_default(), format)
        }
        Command::Verify(args) => verify_all(&find()?, &args, format).await,
        Command::Export(args) => export(&find()?, args, format).await,
        Command::Backup { to, keys } => {
            let done = backup::backup(&find()?, &to, &keys).await?;
            output::document(format, &done, |done| lines(done, 0));
            Ok(ExitCode::SUCCESS)
        }
        Command::Restore { from, keys } => {
            let done = backup::restore(&find()?, &from, &keys).await?;
            output::document(format, &done, |done| lines(done, 0));
            Ok(ExitCode::SUCCESS)
        }
        Command::Erase { subject } => {
            super::show(&find()?, format, Order::LedgerErase { subject }, |done| {
                let decisions = counted(done["decisions"].as_u64().unwrap_or_default(), "decision");
                format!("erased: {decisions} cannot be opened any more (entry {})", cell(done, "seq"))
            })
            .await
        }
    }
}

/// A key given as text or as the name of a file.
fn key_text(key: &str) -> Result<String, Failure> {
    let path = Path::new(key);
    if path.is_file() {
        let text = fs::read_to_string(path).map_err(|error| failure::io("reading the key", path, &error))?;
        return Ok(text.trim().to_owned());
    }
    Ok(key.trim().to_owned())
}

fn verify_proof(file: &Path, key: &str, format: Format) -> Outcome {
    let text = fs::read_to_string(file).map_err(|error| failure::io("reading the proof", file, &error))?;
    let report = tendon_ledger::verify_proof(&text, &key_text(key)?)?;
    let document = json!({
        "valid": true, "origin": report.origin, "entry": report.seq, "log_size": report.size, "facts": report.facts,
        "input": report.input, "output": report.output, "explanation": report.explanation,
    });
    output::document(format, &document, |document| lines(document, 0));
    Ok(ExitCode::SUCCESS)
}

async fn verify_all(project: &Project, args: &VerifyArgs, format: Format) -> Outcome {
    let key = args.key.as_deref().map(key_text).transpose()?;
    let since = match args.since.as_deref() {
        None => None,
        Some(url) if url.contains("://") => Some(checkpoints::at(project, url).await?),
        Some(file) => {
            let text = fs::read_to_string(file);
            Some(text.map_err(|error| failure::io("reading the checkpoint", Path::new(file), &error))?)
        }
    };
    let report = verify_project(project, key.as_deref(), since.as_deref())?;
    let document = describe(&report);
    output::document(format, &document, |_| text(&report));
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Verifies a project's ledger, with a progress bar. While a process runs, up to the last checkpoint.
///
/// # Errors
/// When there is no ledger or its files cannot be read.
pub(crate) fn verify_project(project: &Project, key: Option<&str>, since: Option<&str>) -> Result<Report, Failure> {
    let state = project.state();
    if !state.join(wiring::LEDGER).is_dir() {
        return Err(Failure::new("no_ledger", "the project has no ledger yet", "it is made by the first `tendon up`"));
    }
    let lock = ProjectLock::acquire(&state).ok();
    let disk = RealDisk::new(&state)?;
    let master = std::env::var(wiring::MASTER_KEY).ok().filter(|key| !key.is_empty()).map(Secret::new);
    let sealed = SealedKeys::open(&state.join("keys"), master.as_ref())?;
    let options =
        Options { keys: Some(&sealed as &dyn Keys), public_key: key, since, tail: lock.is_some(), newer_keys: false };
    let bar = ProgressBar::new(0).with_style(bar_style());
    let report = verify(&disk, wiring::LEDGER, &options, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("verifying {bar:40} {bytes}/{total_bytes}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn describe(report: &Report) -> Json {
    let list = |findings: &[Finding]| -> Vec<Json> {
        findings.iter().map(|one| json!({ "entry": one.entry, "file": one.file, "what": one.what })).collect()
    };
    json!({
        "good": report.is_good(), "origin": report.origin, "entries": report.entries, "bytes": report.bytes,
        "under_checkpoint": report.checkpoint, "erased_slots": report.erased, "findings": list(&report.findings),
        "unfinished": list(&report.unfinished),
    })
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "{}: {} entries verified ({} bytes), {} under the signed checkpoint, {} slots erased\n",
        harmless(&report.origin),
        report.entries,
        report.bytes,
        report.checkpoint,
        report.erased
    );
    for finding in &report.findings {
        let entry = finding.entry.map_or_else(String::new, |entry| format!("entry {entry}: "));
        text.push_str(&format!("WRONG {entry}{} ({})\n", harmless(&finding.what), harmless(&finding.file)));
    }
    for unfinished in &report.unfinished {
        text.push_str(&format!(
            "unfinished {} ({}): the next start cuts it\n",
            harmless(&unfinished.what),
            harmless(&unfinished.file)
        ));
    }
    text.push_str(if report.is_good() { "all is well" } else { "the ledger does NOT verify" });
    text
}

async fn export(project: &Project, args: ExportArgs, format: Format) -> Outcome {
    let has = |part| args.open.contains(&part);
    let order = Order::LedgerProof {
        id: args.proof,
        input: has(Part::Input),
        output: has(Part::Output),
        explanation: has(Part::Explanation),
    };
    let data = super::order(project, order).await?;
    match &args.out {
        Some(path) => {
            let text = data["proof"].as_str().unwrap_or_default();
            fs::write(path, text).map_err(|error| failure::io("writing the proof", path, &error))?;
        }
        None if format == Format::Json => output::data(&output::json(&data)),
        None => output::data(data["proof"].as_str().unwrap_or_default()),
    }
    output::say(&format!("check it with: tendon ledger verify --proof FILE --key '{}'", cell(&data, "key")));
    Ok(ExitCode::SUCCESS)
}
