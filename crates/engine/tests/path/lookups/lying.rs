//! Systems that answer something else than what was asked: what does not fit the plan is a failure of the lookup, never a
//! feature.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    Result, Value,
    decision::{LookupState, Outcome},
    schema::Catalog,
    sockets::connector::{Capability, Change, Connector, Row, Scan, Watch, WriteBatch, Written},
};

use super::{Shop, notes, shop_with, usual};

type Lie = Arc<dyn Fn(&mut Vec<Row>) + Send + Sync>;

/// A connector whose answers are bent before they are given.
struct Bent(Arc<dyn Connector>, Arc<Mutex<Lie>>);

impl Connector for Bent {
    fn capability(&self) -> Capability {
        self.0.capability()
    }
    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        self.0.catalog()
    }
    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        self.0.probe()
    }
    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            let mut rows = self.0.read(resource, key, fields, keys).await?;
            if resource == "customers" {
                let lie = self.1.lock().unwrap().clone();
                lie(&mut rows);
            }
            Ok(rows)
        })
    }
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.0.scan(scan)
    }
    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        self.0.watch(watch)
    }
    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        self.0.write(batch)
    }
}

fn lying(lie: impl Fn(&mut Vec<Row>) + Send + Sync + 'static) -> Shop {
    let lie: Lie = Arc::new(lie);
    shop_with(1, &usual(", fresh: 1h", ""), |books| Arc::new(Bent(Arc::new(books), Arc::new(Mutex::new(lie)))))
}

#[test]
fn what_does_not_fit_the_plan_is_a_failure() {
    type Case = (&'static str, fn(&mut Vec<Row>), &'static str);
    let cases: [Case; 5] = [
        ("a value too many", |rows| rows[0].values.push(Value::Null), "lookup_answer"),
        ("no values", |rows| rows[0].values.clear(), "lookup_answer"),
        ("another type", |rows| rows[0].values[0] = Value::Int(5), "lookup_answer"),
        ("a null that cannot be", |rows| rows[0].values[0] = Value::Null, "lookup_answer"),
        (
            "two rows for one key",
            |rows| {
                let mut twin = rows[0].clone();
                twin.values[1] = Value::Float(1.0);
                rows.push(twin);
            },
            "lookup_ambiguous",
        ),
    ];
    for (what, lie, why) in cases {
        let shop = lying(lie);
        for _ in 0..2 {
            let answer = shop.one("3");
            assert_eq!(notes(&answer)[0], ("customer", LookupState::Failed, Some(why)), "{what}, and it is not kept");
            assert_eq!(answer.decision.outcome, Outcome::Ok, "{what}");
        }
        shop.replays();
    }
}

#[test]
fn rows_that_were_not_asked_for_are_nobodys() {
    type Case = (&'static str, fn(&mut Vec<Row>));
    let cases: [Case; 3] = [
        ("another's row", |rows| rows[0].key = vec![Value::Int(4)]),
        ("a key of another length", |rows| rows[0].key.push(Value::Int(3))),
        ("a key of another type", |rows| rows[0].key = vec![Value::text("3")]),
    ];
    for (what, lie) in cases {
        let shop = lying(lie);
        assert_eq!(notes(&shop.one("3"))[0], ("customer", LookupState::Missing, None), "{what}");
        shop.replays();
    }
    // The same row twice is still that row.
    let shop = lying(|rows| rows.extend(rows.clone()));
    assert_eq!(notes(&shop.one("3"))[0], ("customer", LookupState::Fresh, None));
}
