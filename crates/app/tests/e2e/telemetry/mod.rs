//! What the process tells of its work, received by a collector that we did not write: traces that follow the caller, metrics that say
//! what `/metrics` says, exemplars that lead from one to the other, logs in both forms; and nothing personal in any of them.

mod collector;
mod metrics;
mod personal;
mod traces;

use collector::{Collector, attribute, section};

use crate::support::{Running, Sandbox, tendon};

/// A caller's place in a trace that is kept.
fn parent(trace: u8, flag: &str) -> (String, String) {
    let id = format!("{trace:02x}").repeat(16);
    (id.clone(), format!("00-{id}-b7ad6b7169203331-{flag}"))
}

/// A project that sends its telemetry somewhere.
fn sandbox(leads: i64, telemetry: &str) -> Sandbox {
    let sandbox = Sandbox::with(leads, telemetry);
    sandbox.write("collector-token", "collector-s3cret-token\n");
    sandbox
}

/// The project, started so that its log tells everything in one of the forms.
fn up(sandbox: &Sandbox, format: &str) -> Running {
    let mut command = tendon(&["up", "--listen", "127.0.0.1:0", "--log-format", format, "--project"]);
    Running::of(command.arg(sandbox.path("")).env("TENDON_LOG", "debug"))
}
