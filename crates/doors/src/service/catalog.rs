//! What there is: integrations, models, systems, dead letters; each as far as the caller's scopes allow.

use std::{collections::BTreeMap, sync::Arc};

use tendon_engine::outbox::{
    DeadLetter, Edit, Payload, Place, RECORD_INDEX,
    edit::{self, Written},
};
use tendon_kernel::{Error, ErrorKind, Id, Result};
use tendon_plan::{IntegrationPlan, route::ArmPlan};

use super::{Service, SystemView, cursor, list::MOST_LISTED, operator, reader};
use crate::keys::Known;

/// A model with its loaded versions and who asks it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelView {
    /// Name in the project.
    pub name: Arc<str>,
    /// Loaded versions.
    pub versions: Vec<ModelVersion>,
    /// The version that each alias names.
    pub aliases: BTreeMap<String, String>,
    /// Integrations that ask it.
    pub integrations: Vec<ModelUse>,
}

/// A loaded version.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelVersion {
    /// File or folder name.
    pub version: Arc<str>,
    /// SHA-256 of the file.
    pub digest: Arc<str>,
    /// Number of features.
    pub features: usize,
    /// Number of outputs.
    pub outputs: usize,
}

/// An integration that asks a model.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelUse {
    /// Its name.
    pub integration: Arc<str>,
    /// The alias it names.
    pub alias: Arc<str>,
    /// The version that it asks now; nothing when none is loaded.
    pub version: Option<Arc<str>>,
    /// The versions that answer for a share of its subjects; the rest is the alias'.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<ModelShare>,
    /// The version that is asked beside, and answers nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ModelShare>,
}

/// A version beside the one of an integration's own, with its share.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelShare {
    /// What decisions say (`canary`, `arm:b`, `shadow`).
    pub route: Arc<str>,
    /// The version or alias that the integration names.
    pub alias: Arc<str>,
    /// The version that is asked now; nothing when it is not loaded: an arm's subjects are the integration's own version's then.
    pub version: Option<Arc<str>>,
    /// Percent of the subjects.
    pub percent: f64,
}

/// A page of dead letters.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LetterPage {
    /// The letters, oldest first.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; nothing: this is the last.
    pub next: Option<String>,
}

impl Service {
    /// The integrations that the caller may ask or read, by name.
    pub fn integrations(&self, known: &Known) -> Vec<Arc<IntegrationPlan>> {
        let may = |name: &str| {
            known.read || known.caller.integrations.as_ref().is_none_or(|names| names.iter().any(|own| own == name))
        };
        let runtime = self.engine.runtime();
        runtime.plan().integrations.values().filter(|one| may(&one.name)).cloned().collect()
    }

    /// The models of the project.
    ///
    /// # Errors
    /// `Forbidden` without the scope `read`.
    pub fn models(&self, known: &Known) -> Result<Vec<ModelView>> {
        reader(known)?;
        let runtime = self.engine.runtime();
        let plan = runtime.plan();
        let view = |name: &Arc<str>| {
            let versions = runtime.slots().iter().filter(|slot| slot.reference.name == *name).map(|slot| {
                let signature = slot.model.signature();
                ModelVersion {
                    version: slot.reference.version.clone(),
                    digest: slot.reference.digest.clone(),
                    features: signature.features.len(),
                    outputs: signature.outputs,
                }
            });
            let uses = plan.integrations.values().filter(|one| one.model == *name).map(|one| {
                let share = |arm: &ArmPlan| ModelShare {
                    route: arm.route.clone(),
                    alias: arm.alias.clone(),
                    version: runtime.arm(&one.name, &arm.route).map(|slot| slot.reference.version.clone()),
                    percent: arm.percent,
                };
                ModelUse {
                    integration: one.name.clone(),
                    alias: one.alias.clone(),
                    version: runtime.champion(&one.name).map(|slot| slot.reference.version.clone()),
                    arms: one.route.arms.iter().map(share).collect(),
                    shadow: one.route.shadow.as_ref().map(share),
                }
            });
            let aliases = runtime.aliases(name).cloned().unwrap_or_default();
            ModelView { name: name.clone(), versions: versions.collect(), aliases, integrations: uses.collect() }
        };
        Ok(plan.models.keys().map(view).collect())
    }

    /// The systems of the project and how they do.
    ///
    /// # Errors
    /// `Forbidden` without the scope `read`.
    pub fn systems(&self, known: &Known) -> Result<Vec<SystemView>> {
        reader(known)?;
        Ok(self.desk.systems())
    }

    /// A page of dead letters, oldest first.
    ///
    /// # Errors
    /// `Forbidden` without the scope `read`; `Invalid` for a limit or cursor that cannot be; the store's.
    pub async fn letters(&self, known: &Known, limit: Option<usize>, after: Option<&str>) -> Result<LetterPage> {
        reader(known)?;
        let limit = limit.unwrap_or(50);
        if limit == 0 || limit > MOST_LISTED {
            return Err(Error::new(ErrorKind::Invalid, "list_limit", "a page cannot have so many letters")
                .hint(format!("`limit` is 1 to {MOST_LISTED}")));
        }
        let tokens = self.engine.ledger().tokens();
        let after = after.map(|cursor| cursor::read(&*tokens, cursor, "letters")).transpose()?;
        let mut letters = self.desk.letters(after.map(unpacked), limit + 1).await?;
        let more = letters.len() > limit;
        letters.truncate(limit);
        let next = letters.last().filter(|_| more).map(|letter| self.letter_cursor(letter));
        Ok(LetterPage { letters, next })
    }

    /// The letter of a whole record, by its decision's entry, while it waits for a person.
    ///
    /// # Errors
    /// `Forbidden` without the scope `read`; the store's.
    pub async fn record_letter(&self, known: &Known, seq: u64) -> Result<Option<DeadLetter>> {
        reader(known)?;
        let next = self.desk.letters(Some((seq, RECORD_INDEX - 1)), 1).await?;
        Ok(next.into_iter().find(|letter| place(&letter.id) == Some((seq, RECORD_INDEX))))
    }

    /// The cursor of the page that begins after a letter.
    pub fn letter_cursor(&self, letter: &DeadLetter) -> String {
        let place = place(&letter.id).unwrap_or_default();
        cursor::write(&*self.engine.ledger().tokens(), packed(place), "letters")
    }

    /// Puts a dead letter back to work; gives the decision it belongs to.
    ///
    /// # Errors
    /// `Forbidden` without the scope `operate`; `NotFound`, `Gone`, `Unavailable`.
    pub async fn retry_letter(&self, known: &Known, id: &str) -> Result<Id> {
        operator(known)?;
        self.desk.retry(id, &known.person(), None).await
    }

    /// A dead letter with what it would write, and which of its values may be changed; why not, where none may.
    ///
    /// # Errors
    /// `Forbidden` without the scope `operate`; `NotFound`, `Conflict`, `Gone`.
    pub async fn letter(&self, known: &Known, id: &str) -> Result<(Payload, Result<Vec<Written>>)> {
        operator(known)?;
        let payload = self.desk.payload(id).await?;
        let written = payload.written(self.engine.runtime().plan());
        Ok((payload, written))
    }

    /// Puts a dead letter back to work with values that a person changed: texts, by field. `seen`: the entry by which it died that
    /// they saw.
    ///
    /// # Errors
    /// As [`Self::letter`] and [`Self::retry_letter`]; `Invalid` at a field whose text is no value of its type.
    pub async fn retry_edited(
        &self,
        known: &Known,
        id: &str,
        seen: u64,
        given: impl Fn(&str) -> Option<String>,
    ) -> Result<Id> {
        let (_, written) = self.letter(known, id).await?;
        let values = edit::read(&written?, given)?;
        self.desk.retry(id, &known.person(), Some(Edit { seen, values })).await
    }
}

/// Position and index in one number: an entry has far fewer than 2^16 letters.
fn packed((seq, index): Place) -> u64 {
    (seq << 16) | u64::from(index)
}

fn unpacked(packed: u64) -> Place {
    (packed >> 16, u16::try_from(packed & 0xffff).unwrap_or_default())
}

/// The place that a letter's id names.
fn place(id: &str) -> Option<Place> {
    let (seq, index) = id.split_once('-')?;
    Some((seq.parse().ok()?, index.parse().ok()?))
}
