//! What stands between us and a system, under the virtual clock: its circuit breaker against a model that counts from
//! scratch, its turns, its retry budget.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod breaker;
mod kept;
mod turns;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    schema::Catalog,
    sockets::connector::{Capability, Change, Connector, Row, Scan, Watch, WriteBatch, Written},
};
use tokio::sync::oneshot;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    /// The system is in trouble.
    Fails,
    /// The system answers that the request is wrong.
    Refuses,
}

/// A system whose calls wait until the test ends them.
#[derive(Default)]
struct Scripted {
    open: Mutex<VecDeque<oneshot::Sender<End>>>,
}

impl Scripted {
    /// The oldest call that is under way.
    fn call(&self) -> Option<oneshot::Sender<End>> {
        self.open.lock().unwrap().pop_front()
    }

    fn under_way(&self) -> usize {
        self.open.lock().unwrap().iter().filter(|call| !call.is_closed()).count()
    }
}

fn unused<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "unused", "the test does not use this"))
}

impl Connector for Scripted {
    fn capability(&self) -> Capability {
        Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true }
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        Box::pin(async { unused() })
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { unused() })
    }

    fn read<'a>(
        &'a self,
        _resource: &'a str,
        _key: &'a [String],
        _fields: &'a [String],
        _keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async {
            let (end, told) = oneshot::channel();
            self.open.lock().unwrap().push_back(end);
            match told.await.unwrap_or(End::Fails) {
                End::Well => Ok(Vec::new()),
                End::Fails => Err(Error::new(ErrorKind::Unavailable, "system_failed", "the system broke the call off")),
                End::Refuses => Err(Error::new(ErrorKind::Invalid, "wrong_request", "the request is wrong")),
            }
        })
    }

    fn scan(&self, _scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async { unused() })
    }

    fn watch(&self, _watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        Box::pin(async { unused() })
    }

    fn write(&self, _batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        Box::pin(async { unused() })
    }
}

/// A call as a task: what it gave, once it ended.
type Gave = Arc<Mutex<Option<Result<(), String>>>>;

fn start(sim: &tendon_testkit::Sim, system: &Arc<tendon_engine::systems::System>) -> Gave {
    start_until(sim, system, std::future::pending())
}

/// The same for a caller who may give up.
fn start_until(
    sim: &tendon_testkit::Sim,
    system: &Arc<tendon_engine::systems::System>,
    given_up: impl Future<Output = ()> + Send + 'static,
) -> Gave {
    let gave = Gave::default();
    let (system, told) = (system.clone(), gave.clone());
    sim.spawn("call", async move {
        let result = tokio::select! {
            biased;
            () = given_up => return,
            result = system.read("rows", &[], &[], &[]) => result,
        };
        *told.lock().unwrap() = Some(result.map(drop).map_err(|error| error.code().to_owned()));
    });
    gave
}
