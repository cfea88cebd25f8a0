//! Dead letters that are tried again at a bad moment: while their subject is erased, and before the retry stands in the lists.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tendon_engine::outbox::{Edit, Outbox, Parts as OutboxParts};
use tendon_kernel::{
    Result, Value,
    context::Context,
    sockets::{
        ledger::{EntryKind, Ledger},
        store::{Batch, Range, Row, Store, Table},
    },
};
use tendon_testkit::{FakeSystem, MemStore, Rng};
use tokio::sync::Notify;

use crate::{
    check,
    town::{Process, erasure},
    without_books,
};

/// The row whose writes the CRM refuses.
const ROW: i64 = 3;

/// Starts a process and waits until the row's write is a dead letter; gives its id.
async fn dead(process: &Process, context: &Context, crm: &FakeSystem) -> String {
    loop {
        context.clock.sleep(Duration::from_millis(50)).await;
        if let Some(letter) = process.outbox.letters(None, 1).await.unwrap().pop() {
            assert_eq!((&*letter.row.system, crm.writes("leads", &[Value::Int(ROW)])), ("crm", 0));
            return letter.id;
        }
    }
}

/// Whoever is erased stands in no entry after it: a retry with a person's values is recorded before the erasure, or not at all.
#[test]
fn nothing_about_a_person_is_recorded_after_the_erasure() {
    let mut ends = [0, 0];
    for seed in 0..200 {
        let town = without_books(seed);
        let (start, context, crm) = (town.start(), town.sim.context(), Arc::clone(&town.crm));
        crm.refuse("leads", &[Value::Int(ROW)], true);
        town.sim.disk().sync_latency(Duration::from_micros(200), Duration::from_millis(3));
        let mut rng = Rng::stream(seed, "letters");
        let end = async move {
            let process = start.up().await.unwrap();
            let id = dead(&process, &context, &crm).await;
            let seen = process.outbox.payload(&id).await.unwrap().seen;
            let edit = Edit { seen, values: vec![("score".to_owned(), Value::Float(0.5))] };
            let [first, second] = [(); 2].map(|()| Duration::from_micros(rng.below(4_000)));
            let retry = async {
                context.clock.sleep(first).await;
                process.outbox.retry(&id, "ada", Some(edit)).await
            };
            let erase = async {
                context.clock.sleep(second).await;
                let facts = erasure(&context);
                process.engine.erase_alone(&process.outbox, &ROW.to_string(), facts).await.unwrap()
            };
            let (retried, erased) = futures_util::future::join(retry, erase).await;
            process.outbox.erased(&ROW.to_string(), erased.seq).await;
            let told = |entry: &&tendon_kernel::sockets::ledger::Entry| {
                entry.facts.kind == EntryKind::Delivery
                    && entry.body.as_ref().is_some_and(|body| body.subject.is_some())
            };
            let entries = check::entries(&process.ledger).await;
            let later = entries.iter().filter(|entry| entry.seq > erased.seq).filter(told);
            let of_row = later.filter(|entry| entry.body.as_ref().unwrap().subject.as_deref() == Some("3"));
            assert_eq!(of_row.count(), 0, "an entry tells of somebody who was erased before");
            if let Err(error) = &retried {
                assert!(["letter_erased", "letter_not_found"].contains(&error.code()), "{error:?}");
            }
            usize::from(retried.is_ok())
        };
        ends[town.sim.run(end).done()] += 1;
    }
    println!("{} retries came too late, {} were first", ends[0], ends[1]);
    assert!(ends.iter().all(|count| *count > 10), "one of the two was always first: {ends:?}");
}

/// A store whose ranges are not read before somebody says so.
struct Shut {
    store: Arc<MemStore>,
    open: AtomicBool,
    opened: Notify,
}

impl Shut {
    fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
        self.opened.notify_one();
    }
}

impl Store for Shut {
    fn get<'a>(&'a self, table: Table, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        self.store.get(table, key)
    }

    fn range(&self, table: Table, range: Range) -> BoxFuture<'_, Result<Vec<Row>>> {
        async move {
            if !self.open.load(Ordering::Relaxed) {
                self.opened.notified().await;
            }
            self.store.range(table, range).await
        }
        .boxed()
    }

    fn write(&self, batch: Batch) -> BoxFuture<'_, Result<()>> {
        self.store.write(batch)
    }

    fn purge(&self) -> BoxFuture<'_, Result<()>> {
        self.store.purge()
    }
}

/// An outbox that has just started, as after a reload, reads what waits. A letter that is tried again meanwhile, and stands in the
/// lists only after that read, is written all the same.
#[test]
fn a_retry_is_found_although_the_list_of_what_waits_is_behind() {
    for seed in 0..20 {
        let town = without_books(seed);
        let (start, context, crm) = (town.start(), town.sim.context(), Arc::clone(&town.crm));
        let store = Arc::clone(&town.store);
        crm.refuse("leads", &[Value::Int(ROW)], true);
        let end = async move {
            let process = start.up().await.unwrap();
            let id = dead(&process, &context, &crm).await;
            process.watches.stop().await;
            process.outbox.stop().await;
            // One that has ended takes no letter: nobody would write it.
            let refused = process.outbox.retry(&id, "ada", None).await.map(|entry| entry.seq).unwrap_err();
            assert_eq!((refused.code(), process.outbox.letter(&id).await.is_ok()), ("outbox_over", true));
            process.ledger.appended().await.unwrap();
            process.ledger.projected(process.ledger.state().size - 1).await.unwrap();
            let shut = Arc::new(Shut { store: store.clone(), open: AtomicBool::new(false), opened: Notify::new() });
            let outbox = Outbox::start(OutboxParts {
                context: context.clone(),
                ledger: process.ledger.clone(),
                store: shut.clone(),
                systems: process.systems.clone(),
                custody: std::collections::BTreeMap::new(),
            });
            crm.refuse("leads", &[Value::Int(ROW)], false);
            // The projections lag: they are written anew a while later.
            store.fail_writes(1);
            outbox.retry(&id, "ada", None).await.unwrap();
            let size = process.ledger.state();
            assert!(size.projected < size.size, "the projections were too quick for this test: {size:?}");
            shut.open();
            for _ in 0..100 {
                if crm.writes("leads", &[Value::Int(ROW)]) == 1 {
                    return;
                }
                context.clock.sleep(Duration::from_millis(100)).await;
            }
            panic!("the row that was tried again is not written: {:?}", outbox.states());
        };
        town.sim.run(end).done();
    }
}
