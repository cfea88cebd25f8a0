//! The demo to its end: all leads in the CRM, all scored and written back, and the result looked at again with fresh eyes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{check, crm::Crm, data, folder};
use crate::{
    cli::Format,
    commands::ledger::verify_project,
    failure::{Failure, Outcome},
    output,
    process::{self, Process, stop_signal},
};

/// How often the CRM is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Without any progress for so long, something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it.
///
/// # Errors
/// When it cannot be set up, stalls, or the result is not what it must be.
pub(crate) async fn run(dir: &Path, port: u16, format: Format) -> Outcome {
    let project = folder::prepare(dir)?;
    let crm = Crm::of(&project.folder);
    let leads = data::leads()?;
    crm.create()?;
    let (process, scored_before) = {
        let before = crm.counts()?;
        if before.leads < leads.len() as u64 {
            output::say(&format!("filling the CRM with {} leads", leads.len()));
            let now = tendon_platform::runtime::SystemClock::new();
            crm.add(&leads, 1, tendon_kernel::context::Clock::now(&now), Duration::from_secs(60))?;
        }
        // Counted before the start: scoring begins within it.
        (process::start(&project, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).await?, before.scored)
    };
    folder::api_key(&project.folder, &process.parts.keys).await?;
    let clock = process.parts.context.clock.clone();
    let began = clock.monotonic();
    let ended = wait(&process, &crm).await;
    let took = clock.monotonic().saturating_sub(began);
    let asked: u64 = process.parts.flows.states().values().map(|state| state.asked).sum();
    let record = match &ended {
        Ok(()) => Some(check::record(&*process.parts.ledger).await),
        Err(_) => None,
    };
    process.stop().await;
    ended?;
    let Some(record) = record.transpose()? else { return Ok(ExitCode::FAILURE) };

    output::say("checking the result with fresh queries, and the ledger byte by byte");
    let counts = crm.counts()?;
    let report = verify_project(&project, None, None)?;
    let all = [counts.scored, counts.banded, counts.dated].iter().all(|count| *count == counts.leads);
    let once = record.doubled == 0 && record.about_rows >= counts.leads;
    let good = all && counts.leads >= leads.len() as u64 && report.is_good() && once;
    let document = json!({
        "good": good, "leads": counts.leads, "scored": counts.scored, "scored_in_this_run": counts.scored.saturating_sub(scored_before),
        "asked_in_this_run": asked, "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "bands": crm.bands()?.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "decisions": record.decisions, "doubled": record.doubled, "ledger_entries": report.entries,
        "ledger_verified": report.is_good(), "folder": project.folder,
    });
    output::document(format, &document, |summary| {
        let mark = |good: bool| if good { "ok  " } else { "FAIL" };
        format!(
            "{} {} of {} leads hold score, band and time ({} in this run, {:.1} s)\n\
             {} {} decisions in the ledger, {} of them doubled\n\
             {} {} ledger entries verified, {} under the signed checkpoint\n     bands: {}\n     folder: {}",
            mark(all),
            counts.scored.min(counts.banded).min(counts.dated),
            counts.leads,
            summary["scored_in_this_run"],
            took.as_secs_f64(),
            mark(record.doubled == 0),
            record.decisions,
            record.doubled,
            mark(report.is_good()),
            report.entries,
            report.checkpoint,
            summary["bands"],
            project.folder.display(),
        )
    });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits until every lead is scored and no delivery is left, with a progress bar.
async fn wait(process: &Process, crm: &Crm) -> Result<(), Failure> {
    let clock = &process.parts.context.clock;
    let style = ProgressStyle::with_template("scoring {bar:40} {pos}/{len} leads  {per_sec}");
    let bar = ProgressBar::new(crm.counts()?.leads).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let stop = stop_signal();
    tokio::pin!(stop);
    let mut last = (0, clock.monotonic());
    loop {
        let counts = tokio::task::block_in_place(|| crm.counts())?;
        bar.set_position(counts.scored);
        if counts.scored != last.0 {
            last = (counts.scored, clock.monotonic());
        }
        if counts.scored >= counts.leads && quiet(process) {
            bar.finish_and_clear();
            return Ok(());
        }
        if clock.monotonic().saturating_sub(last.1) > PATIENCE {
            bar.abandon();
            return Err(Failure::new(
                "demo_stalled",
                format!("no lead was scored for {} s", PATIENCE.as_secs()),
                "the log tells why; `tendon letters list` shows what could not be delivered",
            ));
        }
        tokio::select! {
            biased;
            () = &mut stop => return Err(Failure::new("interrupted", "interrupted", "run it again: it goes on where it was")),
            () = clock.sleep(LOOK) => {}
        }
    }
}

/// Whether the watch has looked at everything and nothing waits.
fn quiet(process: &Process) -> bool {
    let looked =
        process.parts.flows.states().values().all(|state| state.swept_at.is_some() && state.up_to_date_at.is_some());
    looked && process.parts.deliveries.current().states().values().all(|state| state.waiting == 0 && !state.more)
}
