//! The process in numbers: memory, processor time, open files, start time; under the names that Prometheus' own clients
//! use. Read from `/proc` (see proc(5)) when the metrics are asked for.

use std::{fs, path::Path};

use tendon_kernel::{
    context::{Clock, Context},
    metrics::Gauge,
};

/// Handles of the process' metrics. Make one, and call [`ProcessMetrics::refresh`] before the metrics are rendered.
#[derive(Debug)]
pub struct ProcessMetrics {
    resident: Gauge,
    seconds: Gauge,
    files: Gauge,
}

/// Bytes of a page and ticks of a second on Linux: constants of its interface to user programs on every architecture
/// that we build for, except for pages of some ARM systems.
const PAGE: f64 = 4096.0;
const TICKS: f64 = 100.0;

impl ProcessMetrics {
    /// Registers them.
    pub fn new(context: &Context) -> Self {
        let gauge = |name, help| context.metrics.gauge(name, help, &[]);
        let start = gauge("process_start_time_seconds", "Start of the process, seconds since 1970.");
        start.set(started(&*context.clock));
        let this = Self {
            resident: gauge("process_resident_memory_bytes", "Memory of the process that is in RAM."),
            seconds: context.metrics.total("process_cpu_seconds_total", "Processor time, user and system.", &[]),
            files: gauge("process_open_fds", "Open files and sockets of the process."),
        };
        this.refresh();
        this
    }

    /// Reads the numbers again. What cannot be read keeps its last value.
    pub fn refresh(&self) {
        if let Some(pages) = field(Path::new("/proc/self/statm"), "", 1) {
            self.resident.set(pages * PAGE);
        }
        // Fields 14 and 15 of stat; counted after the command's name, which ends in `)` and may hold spaces.
        let stat = Path::new("/proc/self/stat");
        if let (Some(user), Some(system)) = (field(stat, ")", 11), field(stat, ")", 12)) {
            self.seconds.set((user + system) / TICKS);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.files.set(f64::from(u32::try_from(files.count()).unwrap_or(u32::MAX)));
        }
    }
}

fn started(clock: &dyn Clock) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double; microseconds of this century fit")]
    let micros = clock.now().0 as f64;
    micros / 1e6 - clock.monotonic().as_secs_f64()
}

/// A number of a file of `/proc`: the one at `index` after the last `after`, separated by spaces.
fn field(path: &Path, after: &str, index: usize) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = if after.is_empty() { text.as_str() } else { text.rsplit_once(after)?.1 };
    rest.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_plausible_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let context = crate::context(folder.path()).unwrap();
        let metrics = ProcessMetrics::new(&context);
        let ballast = vec![1_u8; 32 << 20];
        let before = (metrics.resident.get(), metrics.files.get());
        let file = fs::File::open("/proc/self/stat").unwrap();
        metrics.refresh();
        while metrics.seconds.get() < 0.02 {
            metrics.refresh();
        }
        assert!(before.0 > 1e6 && metrics.resident.get() >= 32.0 * 1_048_576.0, "{metrics:?}");
        assert!(metrics.files.get() > 3.0 && before.1 > 2.0, "{metrics:?}");
        let now = context.clock.now().millis() / 1000;
        assert!((metrics_text(&context) - now).abs() < 5);
        drop((ballast, file));
    }

    fn metrics_text(context: &Context) -> i64 {
        let text = context.metrics.render();
        let line = text.lines().find(|line| line.starts_with("process_start_time_seconds ")).unwrap();
        line.rsplit(' ').next().unwrap().split('.').next().unwrap().parse().unwrap()
    }
}
