//! `tendon top`: how a running process does, drawn anew each second. What stops it, a key, a signal or an error, gives the terminal
//! back as it was.

use std::{io::Read as _, process::ExitCode, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value as Json;
use tendon_kernel::context::Clock;
use tendon_platform::SystemClock;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use super::status::{
    self,
    ask::{Door, Whom},
    view,
};
use crate::{
    cli::Format,
    failure::{Failure, Outcome},
    output,
    process::stop_signal,
    project::Project,
    screen::{Screen, Whole},
    table::{Tone, cut, harmless},
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Whom to ask, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    whom: Whom,
    /// Look once and print it, without taking the whole window; exit as `tendon status` does.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// Look so many times, a second apart, and print each.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Shows it until it is told to stop.
///
/// # Errors
/// When nothing answers at the beginning; later it says so and goes on asking.
pub(crate) async fn run(find: impl FnOnce() -> Result<Project, Failure>, args: &Args, format: Format) -> Outcome {
    let door = Arc::new(args.whom.door(find)?);
    let first = door.ask().await?;
    let count = if args.once { Some(1) } else { args.count };
    if count.is_none() && format == Format::Text && Screen::of_stdout().width.is_some() {
        return live(&door, first).await;
    }
    plain(&door, first, count, format).await
}

/// Asks again after a pause.
fn again(door: &Arc<Door>) -> BoxFuture<'static, Result<Json, Failure>> {
    let door = door.clone();
    async move {
        SystemClock::new().sleep(EVERY).await;
        door.ask().await
    }
    .boxed()
}

/// One document after the other.
async fn plain(door: &Arc<Door>, first: Json, count: Option<u64>, format: Format) -> Outcome {
    let stop = stop_signal();
    tokio::pin!(stop);
    let mut document = first;
    let mut shown = 0;
    loop {
        match format {
            // A document in each line.
            Format::Json => output::data(&output::exact(&document.to_string())),
            Format::Text => output::data(&view::whole(&document, Screen::of_stdout())),
        }
        shown += 1;
        if count.is_some_and(|count| shown >= count) {
            return Ok(status::exit(&document));
        }
        if format == Format::Text {
            output::data("");
        }
        document = tokio::select! {
            biased;
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            looked = again(door) => looked?,
        };
    }
}

/// The whole window, drawn over and over.
async fn live(door: &Arc<Door>, first: Json) -> Outcome {
    let stop = stop_signal();
    tokio::pin!(stop);
    let mut resized = signal(SignalKind::window_change()).map_err(|error| lost(&error))?;
    let mut keys = keys();
    let whole = Whole::take().map_err(|error| lost(&error))?;
    let (mut document, mut failed) = (first, None);
    let mut next = again(door);
    loop {
        whole.draw(&frame(&document, failed.as_ref(), Screen::of_stdout())).map_err(|error| lost(&error))?;
        tokio::select! {
            biased;
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            () = quit(&mut keys) => return Ok(ExitCode::SUCCESS),
            () = changed(&mut resized) => {}
            looked = &mut next => {
                match looked {
                    Ok(now) => (document, failed) = (now, None),
                    Err(failure) => failed = Some(failure),
                }
                next = again(door);
            }
        }
    }
}

async fn changed(resized: &mut Signal) {
    if resized.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Resolves when `q` was pressed.
async fn quit(keys: &mut UnboundedReceiver<u8>) {
    while let Some(key) = keys.recv().await {
        if key.eq_ignore_ascii_case(&b'q') {
            return;
        }
    }
    std::future::pending().await
}

/// The keys that are pressed. A thread of its own reads them: nothing waits for it at the end.
fn keys() -> UnboundedReceiver<u8> {
    let (tell, keys) = unbounded_channel();
    std::thread::spawn(move || {
        for key in std::io::stdin().lock().bytes().map_while(Result::ok) {
            if tell.send(key).is_err() {
                break;
            }
        }
    });
    keys
}

/// What fits the window; the last line says what can be done.
fn frame(document: &Json, failed: Option<&Failure>, screen: Screen) -> String {
    let (width, height) = (screen.width.unwrap_or(usize::MAX), screen.height.unwrap_or(usize::MAX));
    let mut lines = Vec::new();
    if let Some(failure) = failed {
        let hint = failure.hint.as_deref().unwrap_or_default();
        let told = harmless(&format!("! {}", failure.message));
        lines.push(Tone::Bad.paint(&cut(&told, width), screen));
        let told = harmless(&format!("  what stands below was so before; {hint}"));
        lines.push(Tone::Soft.paint(&cut(&told, width), screen));
    }
    let text = view::whole(document, screen);
    lines.extend(text.lines().map(str::to_owned));
    let room = height.saturating_sub(1);
    let hidden = lines.len().saturating_sub(room);
    if hidden > 0 {
        lines.truncate(room);
    }
    let rest = if hidden > 0 { format!("{hidden} more lines  ") } else { String::new() };
    let at = output::cell(document, "at");
    let at = harmless(at.get(11..19).unwrap_or_default());
    lines.push(Tone::Soft.paint(&cut(&format!("{rest}{at} UTC  q quits"), width), screen));
    lines.join("\n")
}

fn lost(error: &std::io::Error) -> Failure {
    Failure::new("terminal", format!("the terminal cannot be used: {error}"), "`tendon status` prints the same once")
}
