//! An erasure from its beginning to its end: what would be recorded from entries that were read before it is held back meanwhile.

use tendon_kernel::{
    Result,
    sockets::ledger::{Erased, Facts},
};

use crate::{Engine, outbox::Outbox};

impl Engine {
    /// Erases a subject while nobody else records anything from what was read before. What waits in the outbox ends by
    /// [`Outbox::erased`] after it.
    ///
    /// # Errors
    /// As [`Engine::erase`].
    pub async fn erase_alone(&self, outbox: &Outbox, subject: &str, facts: Facts) -> Result<Erased> {
        // No accepted request about the subject is decided from what was read before.
        let _requests = self.requests().hold().await;
        // And no verdict about the subject is recorded.
        let _reviews = self.reviews().hold().await;
        // And no letter about the subject is tried again, or delivery undone.
        let _by_hand = outbox.hold().await;
        let erased = self.erase(subject, facts).await?;
        self.reviews_erased(&erased).await;
        Ok(erased)
    }
}
