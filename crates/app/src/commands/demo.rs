//! `tendon demo`: a complete integration on real data, in one command.

use std::path::PathBuf;

use crate::{cli::Format, demo, failure::Outcome};

/// Where and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The demo's folder; made when missing, gone on with when there.
    #[arg(long, value_name = "D", default_value = "tendon-demo")]
    dir: PathBuf,
    /// Port on 127.0.0.1; default 8400, with --once any free one.
    #[arg(long, value_name = "P")]
    port: Option<u16>,
    /// Score all leads, check the result, and end.
    #[arg(long)]
    once: bool,
}

/// Runs it.
///
/// # Errors
/// When it cannot be set up or started.
pub(crate) async fn run(args: Args, format: Format) -> Outcome {
    if args.once {
        demo::once(&args.dir, args.port.unwrap_or(0), format).await
    } else {
        demo::live(&args.dir, args.port.unwrap_or(8400)).await
    }
}
