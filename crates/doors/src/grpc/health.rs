//! The health service of gRPC: what `/readyz` says, in its words.

use std::{sync::Arc, time::Duration};

use futures_util::{
    future,
    stream::{self, BoxStream, StreamExt as _},
};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

use crate::api::{Api, health};

/// How often a watched state is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What is served: all of it, and the service by its name.
const NAMES: [&str; 2] = ["", super::service::NAME];

/// The service.
#[derive(Clone)]
pub(super) struct Readiness(pub(super) Arc<Api>);

impl Readiness {
    async fn state(&self) -> ServingStatus {
        if health::is_ready(&self.0).await.0 { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Readiness {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !NAMES.contains(&request.get_ref().service.as_str()) {
            return Err(Status::not_found("no such service here"));
        }
        Ok(Response::new(answer(self.state().await)))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !NAMES.contains(&request.get_ref().service.as_str()) {
            let unknown = stream::once(future::ready(Ok(answer(ServingStatus::ServiceUnknown))));
            return Ok(Response::new(unknown.chain(stream::pending()).boxed()));
        }
        let changes = stream::unfold((self.clone(), None), |(this, last)| async move {
            loop {
                let now = this.state().await;
                if last != Some(now) {
                    return Some((Ok(answer(now)), (this, Some(now))));
                }
                // A process that stops says so once and then ends the call, so that nobody holds it open.
                if this.0.stopping.load(std::sync::atomic::Ordering::Relaxed) {
                    return None;
                }
                this.0.context.clock.sleep(LOOK).await;
            }
        });
        Ok(Response::new(changes.boxed()))
    }
}
