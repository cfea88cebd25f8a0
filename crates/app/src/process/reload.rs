//! Reload: when a file of the project changes, or on SIGHUP, everything is read and judged again. What is good is put in
//! force as a whole and recorded; what is not is refused, and the old keeps serving.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::future::FutureExt as _;
use tendon_kernel::metrics::{Counter, Gauge, Registry};
use tendon_plan::Sources;
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
};

use super::Next;
use crate::{failure::Failure, project::MAIN, registry::View, wiring::Parts};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(1);

/// One file as it is on disk: cheap to compare.
type Look = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// The task that reloads.
pub(crate) struct Reload {
    refused: Mutex<Option<String>>,
    meters: Meters,
}

/// Its counters.
struct Meters {
    installed: Counter,
    rejected: Counter,
    refused: Gauge,
}

impl Meters {
    fn new(registry: &Registry) -> Self {
        let count = |result| {
            let help = "Changes of the project that were put in force or refused.";
            registry.counter("tendon_reloads_total", help, &[("result", result)])
        };
        let help = "1 while what is on disk is refused and an older plan is in force.";
        let refused = registry.gauge("tendon_reload_refused", help, &[]);
        refused.set(0.0);
        Self { installed: count("installed"), rejected: count("refused"), refused }
    }
}

impl Reload {
    /// Starts watching the project's files.
    pub(crate) fn start(parts: &Arc<Parts>) -> Arc<Self> {
        let meters = Meters::new(&parts.context.metrics);
        let reload = Arc::new(Self { refused: Mutex::default(), meters });
        let (task, parts) = (reload.clone(), parts.clone());
        let first = look(&parts, &models(&parts));
        parts.context.spawn.clone().spawn("reload", async move { task.run(parts, first).await }.boxed());
        reload
    }

    /// Why the last change was refused; `None` when what is on disk is in force.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(&self, parts: Arc<Parts>, mut seen: Look) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut places = models(&parts);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let forced = select! {
                biased;
                _ = asked => true,
                () = parts.context.clock.sleep(POLL) => false,
            };
            let now = look(&parts, &places);
            if now == seen && !forced {
                continue;
            }
            // A file that is being written is looked at again until it rests.
            if now != seen && !forced {
                parts.context.clock.sleep(POLL / 4).await;
                if look(&parts, &places) != now {
                    continue;
                }
            }
            // What a refused change names is looked at too: it may be a file that is still to come.
            places = models(&parts);
            seen = if forced { look(&parts, &places) } else { now };
            let outcome = reload(&parts).await;
            let note = match outcome {
                Ok(true) => {
                    self.meters.installed.increment();
                    tracing::info!(plan = %parts.engine.runtime().plan().digest, "the changed project is in force");
                    None
                }
                Ok(false) => None,
                Err(failure) => {
                    self.meters.rejected.increment();
                    tracing::error!(code = %failure.code, "a change of the project is refused, the old keeps serving: {}", failure.message);
                    Some(failure.message)
                }
            };
            self.meters.refused.set(if note.is_some() { 1.0 } else { 0.0 });
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = note;
        }
    }
}

/// Reads, judges and installs. False when nothing that matters changed.
async fn reload(parts: &Parts) -> Result<bool, Failure> {
    let _turn = parts.installing.lock().await;
    let next = Next::read(parts, &View::of(&*parts.records).await?).await?;
    next.keep(parts).await?;
    let recorded = next.prepare(parts)?.record(parts, Vec::new()).await?;
    Ok(recorded.put_in_force(parts).await)
}

/// Where the models are: those in force, and those that the files on disk name.
fn models(parts: &Parts) -> BTreeSet<String> {
    let runtime = parts.engine.runtime();
    let mut places: BTreeSet<String> = runtime.plan().models.values().map(|model| model.path.clone()).collect();
    if let Ok(sources) = parts.project.sources() {
        places.extend(tendon_plan::outline(&Sources(sources)).models.into_iter().map(|(_, path)| path));
    }
    places
}

/// All files that make up the project, with time and length.
fn look(parts: &Parts, models: &BTreeSet<String>) -> Look {
    let folder = &parts.project.folder;
    let mut found = Look::new();
    let mut add = |path: PathBuf| {
        let meta = fs::metadata(&path).ok();
        let time = meta.as_ref().and_then(|meta| meta.modified().ok());
        found.push((path, time, meta.map_or(0, |meta| meta.len())));
    };
    add(folder.join(MAIN));
    files(&folder.join("integrations")).into_iter().for_each(&mut add);
    for path in models {
        let place = folder.join(path);
        if place.is_dir() {
            files(&place).into_iter().for_each(&mut add);
        } else {
            add(place);
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let list =
        |folder: &Path| -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|item| Ok(item?.path())).collect() };
    let mut files = list(folder).unwrap_or_default();
    files.sort();
    files
}
