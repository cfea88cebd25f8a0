//! The running process: flows and doors around the open parts, reload, orderly stop.

mod certificates;
mod desk;
mod grpc;
mod inspection;
mod listen;
mod next;
pub(crate) mod notify;
mod office;
mod reload;
mod signals;
mod status;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::FutureExt as _;
use tendon_doors::{
    api::{self, Api, Brake, Counters, Http, Speaks, Status},
    console::Console,
    graphql::Schemas,
    service::Service,
};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    again, checkpoints, control,
    failure::Failure,
    project::Project,
    trends::{self, Trends},
    wiring::{self, Parts, Purpose},
};
use desk::ProcessDesk;
pub(crate) use next::Next;
use office::ProcessOffice;
pub(crate) use reload::Reload;
pub(crate) use signals::stop_signal;
use status::ProcessStatus;

/// Longest wait for a whole request body.
const BODY_WAIT: Duration = Duration::from_secs(15);

/// A process that serves.
pub(crate) struct Process {
    pub(crate) parts: Arc<Parts>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it speaks gRPC.
    pub(crate) grpc: Option<SocketAddr>,
    trends: Arc<Trends>,
    stop: watch::Sender<bool>,
    served: watch::Receiver<bool>,
}

/// Opens a project and starts everything. The listener opens after the projections have caught up.
///
/// # Errors
/// When a part cannot be opened, or the address is taken or not allowed.
pub(crate) async fn start(project: &Project, listen: Option<SocketAddr>) -> Result<Process, Failure> {
    let parts = Arc::new(wiring::open(project, Purpose::Serve).await?);
    let (listener, address) = match bind(&parts, listen).await {
        Ok(bound) => bound,
        Err(failure) => {
            parts.close().await;
            return Err(failure);
        }
    };
    let grpc = match grpc::bind(&parts).await {
        Ok(grpc) => grpc,
        Err(failure) => {
            parts.close().await;
            return Err(failure);
        }
    };
    let socket = control::bind(&project.state())
        .map_err(|error| crate::failure::io("opening", &project.state().join("control.sock"), &error))?;
    parts.engine.begin_requests(&**parts.flows.projections()).await?;
    parts.flows.start(&parts.engine, &parts.ledger, &parts.deliveries.current())?;

    let reload = Reload::start(&parts);
    let stopping = Arc::new(AtomicBool::new(false));
    let trends = Arc::new(Trends::open(&project.state(), &parts.context).await?);
    let status = Arc::new(ProcessStatus::new(parts.clone(), reload, trends.clone()));
    parts.telemetry.start(status.clone().measuring());
    trends.start(&parts, &(status.clone() as Arc<dyn Status>));
    let api = Arc::new(Api {
        engine: parts.engine.clone(),
        service: Arc::new(Service {
            engine: parts.engine.clone(),
            explain: again::explainer(parts.engine.clone(), parts.context.clone()),
            desk: Arc::new(ProcessDesk::new(parts.clone())),
        }),
        console: Console::new(Arc::new(ProcessOffice::new(parts.clone(), trends.clone()))),
        graphql: Schemas::default(),
        gate: parts.gate.clone(),
        context: parts.context.clone(),
        status: status.clone(),
        counters: Counters::new(&parts.context.metrics),
        brake: Brake::new(&parts.context.metrics),
        body_timeout: BODY_WAIT,
        stopping: stopping.clone(),
    });
    let (stop, mut stopped) = watch::channel(false);
    let (tell, served) = watch::channel(false);
    let tls = certificates::listener(&parts);
    certificates::start(&parts);
    checkpoints::start(&parts);
    let grpc_address = grpc.as_ref().map(|bound| bound.address);
    let grpc_served = grpc::serve(grpc, &api, tls.clone(), stop.subscribe())?;
    let served_api = api.clone();
    let serve = async move {
        let stop = async {
            let _ = stopped.wait_for(|stop| *stop).await;
            stopping.store(true, Ordering::Relaxed);
        };
        let speaks = Speaks::http(&served_api);
        api::serve(listener, served_api, speaks, tls, Http::default(), stop).await;
        grpc_served.await;
        tell.send_replace(true);
    };
    parts.context.spawn.spawn("http", serve.boxed());
    parts.context.spawn.spawn("control", control::serve(socket, parts.clone(), Some(api)).boxed());
    Ok(Process { parts, address, grpc: grpc_address, trends, stop, served })
}

async fn bind(parts: &Parts, given: Option<SocketAddr>) -> Result<(TcpListener, SocketAddr), Failure> {
    let listen = listen::address(given, &parts.engine.runtime().plan().trust)?;
    let listener = TcpListener::bind(listen).await.map_err(|error| not_bound(listen, &error))?;
    let address = listener.local_addr().unwrap_or(listen);
    Ok((listener, address))
}

fn not_bound(listen: SocketAddr, error: &std::io::Error) -> Failure {
    let message = format!("listening on {listen} failed: {error}");
    if error.kind() == std::io::ErrorKind::AddrInUse {
        return Failure::new("port_busy", message, "choose another one: --listen 127.0.0.1:PORT (demo: --port PORT)");
    }
    Failure::new("not_listening", message, "an address looks like 127.0.0.1:8400")
}

/// Stops in order; a second signal ends the process at once, and recovery does the rest.
pub(crate) async fn stop_in_order(process: Process) {
    tokio::select! {
        biased;
        () = process.stop() => {}
        () = stop_signal() => std::process::exit(130),
    }
}

impl Process {
    /// `https` where the listener has a certificate.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.parts.tls.is_some() { "https" } else { "http" }
    }

    /// Stops: no new requests, running ones are finished, then flows, outbox and ledger end.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = self.served.wait_for(|served| *served).await;
        self.trends.look(trends::waiting(&self.parts), 0, false);
        self.trends.write().await;
        self.parts.close().await;
        let _ = std::fs::remove_file(self.parts.project.state().join("control.sock"));
    }
}
