//! `tendon backfill`: scores the rows that are there already. On a running process it asks that process; else it runs by
//! itself until the rows are through and their answers written. After any stop the next run goes on where it stopped.

use std::{io::IsTerminal as _, process::ExitCode, sync::Arc, time::Duration};

use futures_util::future::FutureExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};
use tendon_flows::watch::BackfillWish;
use tendon_kernel::context::Clock as _;

use crate::{
    cli::Format,
    control,
    failure::{Failure, Outcome},
    orders::{self, Order},
    output::{self, cell},
    process::stop_signal,
    project::Project,
    wiring::{self, Parts, Purpose},
};

/// Pause between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// Looks between two lines where there is no terminal.
const LOOKS_PER_LINE: u64 = 10;

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Integration.
    name: String,
    /// Pause the one under way; its place is kept.
    #[arg(long, conflicts_with_all = ["resume", "dry_run"])]
    pause: bool,
    /// Go on with a paused one (a run without this does so too).
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    /// At most this many rows a second.
    #[arg(long, value_name = "ROWS")]
    rate: Option<f64>,
    /// Show what would be written for the first rows, old and new values; write and record nothing.
    #[arg(long)]
    dry_run: bool,
    /// Rows shown by --dry-run.
    #[arg(long, default_value_t = 20, requires = "dry_run")]
    limit: usize,
}

/// Who carries out the orders.
enum Process {
    /// One that runs already.
    Other,
    /// This one.
    Own(Arc<Parts>),
}

/// Runs it.
///
/// # Errors
/// When there is no such integration, or the project cannot be opened.
pub(crate) async fn run(project: &Project, args: &Args, format: Format) -> Outcome {
    if args.rate.is_some_and(|rate| rate <= 0.0 || !rate.is_finite()) {
        return Err(Failure::new("bad_rate", "--rate must be a number above 0", "for example --rate 100"));
    }
    if args.dry_run {
        return super::deliveries::preview(project, args.name.clone(), args.limit, format).await;
    }
    let stop = stop_signal();
    tokio::pin!(stop);
    let integration = args.name.clone();
    if args.pause {
        let state = control::send(&project.state(), &Order::BackfillPause { integration }).await?;
        let state = state.ok_or_else(|| {
            Failure::new("not_running", "nothing runs on this project, so there is nothing to pause", "")
        })?;
        output::document(format, &state, |state| {
            format!("paused; {} rows looked at, {} decided\n", state["looked_at"], state["asked"])
        });
        output::say(&format!("`tendon backfill {} --resume` goes on", args.name));
        return Ok(ExitCode::SUCCESS);
    }
    let begin = Order::BackfillRun { integration, rate: args.rate };
    let (process, first) = match control::send(&project.state(), &begin).await? {
        Some(first) => (Process::Other, first),
        None => {
            let parts = open(project, args).await?;
            // Its wish was there before the watch began; this only tells whether there is such a watch.
            match orders::carry_out(&parts, Order::BackfillState { integration: args.name.clone() }).await {
                Ok(first) => (Process::Own(parts), first),
                Err(error) => {
                    close(project, &parts).await;
                    return Err(error);
                }
            }
        }
    };
    let watched = watch(project, &process, args, &first, &mut stop).await;
    if let Process::Own(parts) = &process {
        close(project, parts).await;
    }
    let (state, stopped) = watched?;
    summary(args, &first, &state, stopped, matches!(process, Process::Other), format)
}

/// Opens the project for this integration alone, so that another command can pause it or look.
async fn open(project: &Project, args: &Args) -> Result<Arc<Parts>, Failure> {
    let parts = Arc::new(wiring::open(project, Purpose::Serve).await?);
    let bound = control::bind(&project.state());
    let wish = BackfillWish::Run(args.rate);
    let started =
        parts.flows.start_some(&parts.engine, &parts.ledger, &parts.deliveries.current(), Some((&args.name, wish)));
    match (bound, started) {
        (Ok(socket), Ok(())) => {
            parts.context.spawn.spawn("control", control::serve(socket, parts.clone(), None).boxed());
            Ok(parts)
        }
        (bound, started) => {
            parts.close().await;
            started?;
            let path = project.state().join("control.sock");
            Err(bound.err().map_or_else(
                || Failure::new("control_broken", "the control socket could not be opened", ""),
                |error| crate::failure::io("opening", &path, &error),
            ))
        }
    }
}

async fn close(project: &Project, parts: &Parts) {
    parts.close().await;
    let _ = std::fs::remove_file(project.state().join("control.sock"));
}

/// Looks on until it is through; with whether a person stopped it.
async fn watch(
    project: &Project,
    process: &Process,
    args: &Args,
    first: &Json,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(Json, bool), Failure> {
    let clock = tendon_platform::runtime::SystemClock::new();
    let mut view = View::new(args, first);
    let mut looks = 0;
    loop {
        let state = ask(project, process, Order::BackfillState { integration: args.name.clone() }).await?;
        view.show(&state, looks);
        looks += 1;
        let writing = state["writes"]["unfinished"].as_u64().unwrap_or(0) > 0 || state["writes"]["more"] == true;
        let paused = state["paused"] == true;
        if (state["running"] == false && !writing) || paused {
            view.end();
            return Ok((state, paused));
        }
        tokio::select! {
            biased;
            () = &mut *stop => {
                view.end();
                if let Process::Other = process {
                    ask(project, process, Order::BackfillPause { integration: args.name.clone() }).await?;
                }
                return Ok((state, true));
            }
            () = clock.sleep(LOOK) => {}
        }
    }
}

async fn ask(project: &Project, process: &Process, order: Order) -> Result<Json, Failure> {
    match process {
        Process::Own(parts) => orders::carry_out(parts, order).await,
        Process::Other => control::send(&project.state(), &order).await?.ok_or_else(|| {
            Failure::new(
                "process_ended",
                "the process that ran the backfill has ended",
                "run the command again: it goes on where it stopped",
            )
        }),
    }
}

/// A bar on a terminal, lines elsewhere.
struct View {
    bar: ProgressBar,
    terminal: bool,
    last: String,
}

impl View {
    fn new(args: &Args, first: &Json) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{spinner} {prefix}: {msg}  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(args.name.clone());
        let how = if first["looked_at"].as_u64().unwrap_or(0) > 0 { "goes on" } else { "begins" };
        if !terminal {
            output::say(&format!("backfill of {} {how}", args.name));
        }
        Self { bar, terminal, last: String::new() }
    }

    fn show(&mut self, state: &Json, looks: u64) {
        let mut text = format!("{} rows looked at, {} decided", state["looked_at"], state["asked"]);
        if state["writes"].is_object() {
            text.push_str(&format!(
                ", {} written, {} waiting",
                state["writes"]["delivered"], state["writes"]["unfinished"]
            ));
        }
        let failing = [cell(state, "failing"), cell(&state["writes"], "last_failure")].concat();
        if !failing.is_empty() {
            text.push_str(&format!("; held up: {failing}"));
        }
        if self.terminal {
            self.bar.set_message(text);
            self.bar.tick();
        } else if looks > 0 && looks.is_multiple_of(LOOKS_PER_LINE) && text != self.last {
            output::say(&text);
            self.last = text;
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn summary(args: &Args, first: &Json, state: &Json, stopped: bool, other: bool, format: Format) -> Outcome {
    let since = |name: &str| {
        state["writes"][name].as_u64().unwrap_or(0).saturating_sub(first["writes"][name].as_u64().unwrap_or(0))
    };
    let (looked_at, asked) = (state["looked_at"].as_u64().unwrap_or(0), state["asked"].as_u64().unwrap_or(0));
    let document = json!({
        "integration": args.name, "finished": !stopped, "resumed": state["resumed"], "looked_at": looked_at, "decided": asked,
        "known_before": looked_at.saturating_sub(asked), "written": since("delivered"),
        "superseded": since("superseded"), "dead": since("dead"),
    });
    output::document(format, &document, |one| {
        let mut text = format!("{looked_at} rows looked at: {asked} decided");
        if one["known_before"] != 0 {
            text.push_str(&format!(", {} as they were when last decided", one["known_before"]));
        }
        text.push_str(&format!("\n{} written", one["written"]));
        for (name, what) in
            [("superseded", "left alone because the row changed meanwhile"), ("dead", "refused (tendon letters list)")]
        {
            if one[name] != 0 {
                text.push_str(&format!(", {} {what}", one[name]));
            }
        }
        text + "\n"
    });
    if stopped {
        let where_it_is = if other { "paused" } else { "stopped" };
        output::say(&format!("{where_it_is}; `tendon backfill {}` goes on from there", args.name));
    }
    Ok(if stopped { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
