//! The gRPC port of the process: opened before anything is announced, ended with the HTTP port.

use std::{future::Future, net::SocketAddr, sync::Arc};

use futures_util::future::FutureExt as _;
use tendon_doors::{
    api::{self, Api, Http, Speaks},
    trust::Tls,
};
use tendon_kernel::Result;
use tendon_plan::Plan;
use tokio::{net::TcpListener, sync::watch};

use crate::{failure::Failure, wiring::Parts};

/// The port, open.
pub(super) struct Bound {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// Opens the port, where the plan asks for it.
///
/// # Errors
/// When the address is taken or is none of this machine's.
pub(super) async fn bind(parts: &Parts) -> Result<Option<Bound>, Failure> {
    let runtime = parts.engine.runtime();
    let plan = runtime.plan();
    let Some(grpc) = plan.grpc else { return Ok(None) };
    let listen = super::listen::address(Some(grpc.listen), &plan.trust)?;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        let hint = "`server.grpc.listen` in tendon.yaml names the address";
        Failure::new("grpc_not_listening", format!("listening on {listen} for gRPC failed: {error}"), hint)
    })?;
    let address = listener.local_addr().unwrap_or(listen);
    Ok(Some(Bound { listener, address }))
}

/// Serves on the port until told to stop; what is returned resolves when its last call has ended.
///
/// # Errors
/// When the service cannot describe itself: a defect.
pub(super) fn serve(
    bound: Option<Bound>,
    api: &Arc<Api>,
    tls: Option<Tls>,
    mut stop: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send + use<>> {
    let (tell, mut served) = watch::channel(bound.is_none());
    if let Some(bound) = bound {
        let (speaks, api) = (Speaks::grpc(api)?, api.clone());
        let spawn = api.context.spawn.clone();
        let serve = async move {
            let stop = async {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            api::serve(bound.listener, api, speaks, tls, Http::default(), stop).await;
            tell.send_replace(true);
        };
        spawn.spawn("grpc", serve.boxed());
    }
    Ok(async move {
        let _ = served.wait_for(|served| *served).await;
    })
}

/// Whether a changed plan can be put in force without a restart.
///
/// # Errors
/// When it speaks gRPC elsewhere.
pub(super) fn same(old: &Plan, new: &Plan) -> Result<(), Failure> {
    if old.grpc == new.grpc {
        return Ok(());
    }
    let message = "`server.grpc` has changed, which takes effect when the process starts";
    Err(Failure::new("needs_restart", message, "restart `tendon up`, or undo the change"))
}
