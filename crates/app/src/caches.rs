//! The cache that the plan names, opened.

use std::sync::Arc;

use tendon_kernel::{
    Result,
    context::Context,
    sockets::{
        cache::Cache,
        secrets::{Keys, Secrets},
        store::Store,
    },
};
use tendon_plan::{
    Plan,
    cache::{CacheStorePlan, RedisPlan},
};
use tendon_platform::{MemoryCache, RedisCache, RedisParts, RedisSettings, forget_shared};

use crate::{failure::Failure, project::Project};

/// What a cache may need.
pub(crate) struct Needs<'a> {
    pub(crate) project: &'a Project,
    pub(crate) context: &'a Context,
    pub(crate) secrets: &'a dyn Secrets,
    pub(crate) keys: &'a dyn Keys,
    pub(crate) records: &'a Arc<dyn Store>,
}

/// Opens it. One that is out of reach is opened all the same: decisions go on without.
///
/// # Errors
/// When a reference has no value, the settings are wrong, or the records cannot be read.
pub(crate) async fn open(plan: &Plan, needs: Needs<'_>) -> Result<Arc<dyn Cache>> {
    let Needs { project, context, secrets, keys, records } = needs;
    match &plan.cache {
        CacheStorePlan::Memory(bytes) => {
            // Who is erased while Redis is not in use must not come back with it.
            forget_shared(&**records).await?;
            Ok(Arc::new(MemoryCache::new(context, *bytes)))
        }
        CacheStorePlan::Redis(plan) => {
            let settings = settings(plan, project, secrets)?;
            let (context, records) = (context.clone(), records.clone());
            let parts = RedisParts { context, settings, key: keys.key("cache")?, records };
            Ok(Arc::new(RedisCache::open(parts).await?))
        }
    }
}

fn settings(plan: &RedisPlan, project: &Project, secrets: &dyn Secrets) -> Result<RedisSettings> {
    Ok(RedisSettings {
        url: secrets.resolve(&plan.url)?,
        username: plan.username.clone(),
        password: plan.password.as_deref().map(|password| secrets.resolve(password)).transpose()?,
        ca: plan.ca.as_ref().map(|ca| project.folder.join(ca)),
        connect: plan.connect,
        timeout: plan.timeout,
    })
}

/// Refuses a reload that moves the cache: what lies in the old one would be found by nobody, and erased by nobody.
///
/// # Errors
/// When it moves.
pub(crate) fn same(old: &Plan, new: &Plan) -> Result<(), Failure> {
    if old.cache == new.cache {
        return Ok(());
    }
    let message = "`cache` in tendon.yaml has changed, which takes effect when the process starts";
    Err(Failure::new("needs_restart", message, "restart `tendon up`, or undo the change"))
}
