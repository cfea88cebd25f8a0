//! `tendon up`: runs the project until it is told to stop.

use std::{net::SocketAddr, process::ExitCode};

use crate::{
    failure::Outcome,
    output,
    process::{self, notify, stop_in_order, stop_signal},
    project::Project,
};

/// How to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen (default: `server.listen` of tendon.yaml, else 127.0.0.1:8400). Beyond this machine only with
    /// `server.tls`, or where the file accepts plain HTTP in words (`server.plain_http`).
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Run only these integrations.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn run(project: &Project, args: &Args) -> Outcome {
    // Installed before anything else, so that a signal during the start ends in order too.
    let stop = stop_signal();
    tokio::pin!(stop);
    let project = Project { only: args.only.clone(), ..project.clone() };
    let process = process::start(&project, args.listen).await?;
    output::say(&format!("tendon is ready on {}://{}", process.scheme(), process.address));
    output::say(&format!("the console is at {}://{}/console", process.scheme(), process.address));
    if let Some(address) = process.grpc {
        output::say(&format!("gRPC is spoken on {address}"));
    }
    notify::ready(&format!("answering on {}://{}", process.scheme(), process.address));
    stop.await;
    notify::stopping();
    output::say("stopping: running requests are finished, then the ledger is closed");
    stop_in_order(process).await;
    Ok(ExitCode::SUCCESS)
}
