//! The listener's certificate while the process runs: read again when its files change, its end told before it comes.

use std::{sync::Arc, time::Duration};

use futures_util::future::FutureExt as _;
use serde_json::json;
use tendon_doors::{
    api::PartHealth,
    trust::{Tls, TlsNow},
};
use tendon_kernel::Timestamp;
use tendon_platform::{ServerTls, TlsState, certificate_ends};

use crate::wiring::Parts;

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(1);
const DAY: i64 = 86_400 * 1_000_000;
/// Days left at which the log warns, once each.
const WARN: [i64; 5] = [30, 14, 7, 2, 0];
/// Longest handshake where the plan no longer names one.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the listener asks for each connection.
pub(super) fn listener(parts: &Arc<Parts>) -> Option<Tls> {
    let (tls, engine) = (parts.tls.clone()?, parts.engine.clone());
    Some(Arc::new(move || {
        let runtime = engine.runtime();
        let handshake = runtime.plan().trust.tls.as_ref().map_or(HANDSHAKE, |tls| tls.handshake);
        TlsNow { config: tls.config(), handshake, ends: certificate_ends }
    }))
}

/// Starts looking after the files.
pub(super) fn start(parts: &Arc<Parts>) {
    if let Some(tls) = parts.tls.clone() {
        let parts = parts.clone();
        parts.context.spawn.clone().spawn("certificates", async move { watch(&parts, &tls).await }.boxed());
    }
}

async fn watch(parts: &Parts, tls: &ServerTls) {
    let mut warned = None;
    loop {
        let now = parts.context.clock.now();
        match tls.refresh(now) {
            Some(Ok(())) => {
                warned = None;
                tracing::info!(days_left = days_left(&tls.state(), now), "the changed certificate is in force");
            }
            Some(Err(error)) => tracing::error!(
                code = error.code(),
                detail = error.private_detail(),
                "the changed certificate is refused, the old one serves on: {error}"
            ),
            None => {}
        }
        let days = days_left(&tls.state(), now);
        let due = WARN.iter().rev().copied().find(|limit| days <= *limit && (*limit > 0 || ended(&tls.state(), now)));
        if due.is_some() && warned.is_none_or(|warned| due < Some(warned)) {
            warned = due;
            if ended(&tls.state(), now) {
                tracing::error!("the listener's certificate has ended: callers that check it refuse to connect");
            } else {
                tracing::warn!(days_left = days, "the listener's certificate ends soon");
            }
        }
        parts.context.clock.sleep(POLL).await;
    }
}

fn ended(state: &TlsState, now: Timestamp) -> bool {
    state.ends <= now
}

/// Whole days until the certificate ends; negative afterwards.
fn days_left(state: &TlsState, now: Timestamp) -> i64 {
    state.ends.0.saturating_sub(now.0).div_euclid(DAY)
}

/// How the certificate does, for readiness.
pub(super) fn health(parts: &Parts) -> Option<PartHealth> {
    let state = parts.tls.as_ref()?.state();
    let now = parts.context.clock.now();
    let detail = json!({
        "certificate_ends": state.ends, "days_left": days_left(&state, now), "ended": ended(&state, now),
        "refused_files": state.refused,
    });
    Some(PartHealth { name: "tls".into(), ok: !ended(&state, now) && state.refused.is_none(), vital: false, detail })
}

/// Sets its gauge.
pub(super) fn measure(parts: &Parts) {
    let Some(tls) = &parts.tls else { return };
    let left = tls.state().ends.0.saturating_sub(parts.context.clock.now().0);
    let help = "Seconds until the listener's certificate ends; negative afterwards.";
    #[expect(clippy::cast_precision_loss, reason = "a metric of seconds")]
    parts.context.metrics.gauge("tendon_tls_certificate_remaining_seconds", help, &[]).set(left as f64 / 1e6);
}
