//! Orders about the ledger that need the running process: erasure, and proofs of recent decisions.

use serde_json::{Value as Json, json};
use tendon_kernel::{Id, Result};

use tendon_ledger::Opening;

use crate::{checkpoints, wiring::Parts};

/// The proof of one decision, as text, with the key that verifies it.
pub(super) async fn proof(parts: &Parts, id: &str, opening: Opening) -> Result<Json> {
    let proof = parts.book.proof(Id::parse(id)?, opening).await?;
    Ok(json!({ "seq": proof.seq, "proof": proof.text, "key": parts.book.public_key() }))
}

pub(super) async fn erase(parts: &Parts, subject: &str) -> Result<Json> {
    let facts = checkpoints::erasure(&parts.context, &parts.engine.runtime().plan().digest);
    let erased = parts.engine.erase_alone(&parts.deliveries.current(), subject, facts).await?;
    // After the ledger: what waits for this subject ends, recorded as erased.
    parts.deliveries.current().erased(subject, erased.seq).await;
    Ok(json!({ "seq": erased.seq, "decisions": erased.decisions }))
}
