//! Spans under a clock that stands and randomness that counts.

use std::sync::Mutex;

use std::{future::poll_fn, mem::size_of_val, pin::pin};

use futures_util::{FutureExt as _, future::BoxFuture, task::noop_waker};

use super::*;
use crate::time::Timestamp;

struct World {
    count: AtomicU64,
    kept: Mutex<Vec<Span>>,
    on: bool,
    keeps: bool,
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.count.fetch_add(1, Relaxed))
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}

impl Entropy for World {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(u8::try_from(self.count.fetch_add(1, Relaxed) % 255 + 1).unwrap());
    }
}

impl TraceSink for World {
    fn on(&self) -> bool {
        self.on
    }
    fn keeps(&self, _: &[u8; 16]) -> bool {
        self.keeps
    }
    fn finished(&self, span: Span) {
        self.kept.lock().unwrap().push(span);
    }
}

fn world(on: bool, keeps: bool) -> (Arc<World>, Arc<Traces>) {
    let world = Arc::new(World { count: AtomicU64::new(0), kept: Mutex::default(), on, keeps });
    (world.clone(), Traces::new(world.clone(), world.clone(), world))
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn children_and_stages_hang_under_what_is_under_way() {
    let (world, traces) = world(true, false);
    let caller = TraceContext::parse(CALLER, Some("a=1")).unwrap();
    let mut server = traces.begin("GET", Kind::Server, Some(caller.clone())).unwrap();
    server.set("n", 7_usize);
    let id = server.context().span;
    let scope = Scope::of_request("r-1", Some(&server));
    within(scope, async {
        assert_eq!(current().request(), Some("r-1"));
        let inner = child("inner", Kind::Internal).unwrap();
        let mut stages = inner.stages().unwrap();
        during(&current().with(&inner), || drop(child("in the first", Kind::Client)));
        stages.turn("first", world.monotonic());
        stages.turn("second", world.monotonic());
        drop(stages);
        during(&current().with(&inner), || drop(child("after", Kind::Client)));
    })
    .now_or_never()
    .unwrap();
    assert!(current().request().is_none() && child("outside", Kind::Internal).is_none());
    drop(server);
    let spans = world.kept.lock().unwrap();
    let by = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(spans.len(), 6);
    assert!(spans.iter().all(|span| span.context.trace == caller.trace && span.context.state == caller.state));
    assert_eq!((by("GET").parent, by("GET").remote), (Some(caller.span), true));
    assert_eq!((by("inner").parent, by("inner").remote), (Some(id), false));
    let inner = Some(by("inner").context.span);
    assert_eq!((by("first").parent, by("second").parent, by("after").parent), (inner, inner, inner));
    assert_eq!(by("in the first").parent, Some(by("first").context.span));
    assert_eq!(by("first").end, by("second").start);
    assert!(spans.iter().all(|span| span.start < span.end));
}

/// Waits to be polled three times more, and finds its scope each time.
async fn found(name: Option<&str>) {
    for _ in 0..3 {
        let mut waited = false;
        poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        assert_eq!(current().request(), name);
    }
}

#[test]
fn a_scope_is_there_whenever_its_future_is_polled_and_only_then() {
    let scope = |name: &str| Scope::of_request(name, None);
    let (mut one, mut two) =
        (pin!(within(scope("one"), found(Some("one")))), pin!(within(scope("two"), found(Some("two")))));
    // Of the empty scope: what is around it stays.
    let mut none = pin!(within(Scope::default(), found(Some("outer"))));
    let waker = noop_waker();
    let mut task = Context::from_waker(&waker);
    during(&scope("outer"), || {
        for _ in 0..3 {
            for future in [one.as_mut().poll(&mut task), two.as_mut().poll(&mut task), none.as_mut().poll(&mut task)] {
                assert!(future.is_pending());
            }
            assert_eq!(current().request(), Some("outer"));
        }
        assert!(one.as_mut().poll(&mut task).is_ready() && two.as_mut().poll(&mut task).is_ready());
        assert!(none.as_mut().poll(&mut task).is_ready());
    });
    assert_eq!(current().request(), None);
}

#[test]
fn a_future_in_a_scope_is_no_larger_than_both() {
    let large = async |space: [u8; 4096]| {
        found(None).await;
        space[0]
    };
    let alone = size_of_val(&large([0; 4096]));
    let inside = size_of_val(&within(Scope::default(), large([0; 4096])));
    assert!(inside <= alone + size_of::<Scope>() + 8, "{inside} for {alone}");
}

#[test]
fn what_is_not_kept_is_passed_on_but_not_told() {
    let (world, traces) = world(true, false);
    let caller = TraceContext::parse(&CALLER.replace("-01", "-00"), None).unwrap();
    let server = traces.begin("GET", Kind::Server, Some(caller.clone())).unwrap();
    let scope = Scope::of_request("r", Some(&server));
    assert!(!server.kept() && scope.child("c", Kind::Client).is_none() && server.stages().is_none());
    let passed = scope.context().unwrap();
    assert_eq!((passed.trace, passed.sampled), (caller.trace, false));
    assert_ne!(passed.span, caller.span);
    assert!(!traces.begin("root", Kind::Internal, None).unwrap().kept());
    drop(server);
    assert!(world.kept.lock().unwrap().is_empty());
    assert!(Traces::off().begin("GET", Kind::Server, Some(caller)).is_none());
}

#[test]
fn links_decide_whether_their_trace_is_kept() {
    let (world, traces) = world(true, false);
    let link = |flag: &str| {
        let context = TraceContext::parse(&CALLER.replace("-01", flag), None).unwrap();
        vec![Link { context: Arc::new(context), attributes: Vec::new() }]
    };
    assert!(traces.begin_linked("deliver", Kind::Consumer, link("-00")).is_none());
    drop(traces.begin_linked("deliver", Kind::Consumer, link("-01")));
    assert_eq!(world.kept.lock().unwrap().first().unwrap().links.len(), 1);
    let (_, off) = self::world(false, true);
    assert!(off.begin("GET", Kind::Server, None).is_none());
}
