//! The demo as it would be on a working day: leads come in and change, scores appear beside them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tendon_kernel::context::{Clock, Context};

use super::{
    crm::Crm,
    data::{self, Lead},
    folder,
    view::View,
};
use crate::{
    failure::Outcome,
    output,
    process::{self, Process, stop_in_order, stop_signal},
};

/// Leads held back when the CRM is made, to come in while one watches.
const HELD_BACK: usize = 1500;
/// Pause between two things that happen in the CRM.
const PAUSE: Duration = Duration::from_millis(400);
/// Pause between two frames.
const FRAME: Duration = Duration::from_millis(500);

/// Runs until it is told to stop.
///
/// # Errors
/// When it cannot be set up or started.
pub(crate) async fn run(dir: &Path, port: u16) -> Outcome {
    let stop = stop_signal();
    tokio::pin!(stop);
    let project = folder::prepare(dir)?;
    let crm = Crm::of(&project.folder);
    let leads = Arc::new(data::leads()?);
    crm.create()?;
    if crm.counts()?.leads == 0 {
        output::say(&format!("filling the CRM with {} leads", leads.len()));
        let now = tendon_platform::runtime::SystemClock::new().now();
        let first = leads.get(..leads.len().saturating_sub(HELD_BACK)).unwrap_or_default();
        crm.add(first, 1, now, Duration::from_secs(60))?;
    }
    let process = process::start(&project, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).await?;
    folder::api_key(&project.folder, &process.parts.keys).await?;
    let sample = leads.get(6).map(|lead| folder::input(7, lead)).unwrap_or_default();
    output::data(&introduction(dir, &process, &sample));
    let feeder = feed(process.parts.context.clone(), crm.clone(), leads.clone());
    let show = show(&process, &crm);
    tokio::select! {
        biased;
        () = &mut stop => {}
        () = feeder => {}
        () = show => {}
    }
    output::say("\nstopping");
    stop_in_order(process).await;
    output::say(&format!(
        "run it again: tendon demo --dir {0}, or as any project: tendon up --project {0}",
        dir.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// What a newcomer can do now.
fn introduction(dir: &Path, process: &Process, sample: &serde_json::Value) -> String {
    let (address, dir) = (process.address, dir.display());
    let program = std::env::args().next().unwrap_or_else(|| "tendon".to_owned());
    let model = format!("{dir}/models/lead-score/v1.txt");
    format!(
        "Leads in {dir}/crm.db are being scored. Everything is an ordinary project in {dir}/.

  console            http://{address}/console   (sign in with the key in {dir}/api.key)
  ready              http://{address}/readyz
  what can be asked  http://{address}/openapi.json
  metrics            http://{address}/metrics

Ask yourself:
  curl -s http://{address}/v1/integrations/lead-score/decisions \\
    -H \"Authorization: Bearer $(cat {dir}/api.key)\" -H 'Content-Type: application/json' \\
    -d '{{\"input\":{sample}}}'

Try next, in another terminal:
  break the model      cp {model} /tmp/v1.txt && truncate -s 9999 {model}
                       (refused, the old one keeps serving: see readyz; mend it: cp /tmp/v1.txt {model})
  lock the CRM         sqlite3 {dir}/crm.db 'BEGIN EXCLUSIVE' '.shell sleep 20'
                       (decisions go on, deliveries wait in the outbox)
  look at the record   {program} decisions list --project {dir}     (then: show, explain, replay ID)
  check every byte     {program} ledger verify --project {dir}
  forget a person      {program} ledger erase --subject 7 --project {dir}

Ctrl-C ends.
"
    )
}

/// New leads come in and old ones change, for ever.
async fn feed(context: Context, crm: Crm, leads: Arc<Vec<Lead>>) {
    let mut next =
        tokio::task::block_in_place(|| crm.counts()).map_or(0, |counts| usize::try_from(counts.leads).unwrap_or(0));
    loop {
        context.clock.sleep(PAUSE).await;
        let mut bytes = [0; 8];
        context.entropy.fill(&mut bytes);
        let dice = u64::from_le_bytes(bytes);
        let now = context.clock.now();
        let fed = tokio::task::block_in_place(|| {
            if let (Some(lead), true) = (leads.get(next), dice.is_multiple_of(2)) {
                let id = i64::try_from(next + 1).unwrap_or(i64::MAX);
                next += 1;
                return crm.add(std::slice::from_ref(lead), id, now, Duration::ZERO);
            }
            let id = 1 + i64::try_from((dice >> 8) % u64::try_from(next.max(1)).unwrap_or(1)).unwrap_or(0);
            let balance = i64::try_from((dice >> 40) % 12_000).unwrap_or(0) - 500;
            crm.change(id, balance, now)
        });
        if let Err(failure) = fed {
            // Somebody locked the CRM, as we suggested: people's work waits like everybody's.
            tracing::debug!(code = %failure.code, "{}", failure.message);
        }
    }
}

/// Shows scores as they arrive.
async fn show(process: &Process, crm: &Crm) {
    let mut view = View::new();
    let clock: Arc<dyn Clock> = process.parts.context.clock.clone();
    loop {
        let now = clock.monotonic();
        if let Err(failure) = tokio::task::block_in_place(|| view.frame(process, crm, now)) {
            tracing::debug!(code = %failure.code, "{}", failure.message);
        }
        clock.sleep(FRAME).await;
    }
}
