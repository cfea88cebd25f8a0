//! Traces: who called, what was done for it, how long each part took. Where nothing keeps them ([`Traces::off`], the simulation)
//! each of these functions is one branch.
//!
//! A span is begun with [`Traces::begin`] (a caller, or the first of a chain) or [`child`]; it ends when it is dropped. What is
//! under way where is told by a [`Scope`]: [`within`] runs a future in one, and whatever it calls finds it with [`current`]: the log
//! for its lines, clients for their headers, parts for their own spans. Nothing has to hand a span through.

mod context;
mod span;

use std::{
    borrow::Cow,
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::context::{Clock, Entropy};

pub use context::{TraceContext, hex};
pub use span::{Attribute, Kind, Link, Span};

/// Keeps finished spans.
pub trait TraceSink: Send + Sync {
    /// Whether anything is kept at all.
    fn on(&self) -> bool;
    /// Whether a trace that begins here is kept, by its random id.
    fn keeps(&self, trace: &[u8; 16]) -> bool;
    /// A span has ended. Must not block.
    fn finished(&self, span: Span);
}

/// Begins spans, with the context's clock and randomness.
pub struct Traces(Option<On>);

struct On {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sink: Arc<dyn TraceSink>,
}

impl Traces {
    /// Nothing is kept.
    pub fn off() -> Arc<Self> {
        Arc::new(Self(None))
    }

    /// Spans go to a sink.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, sink: Arc<dyn TraceSink>) -> Arc<Self> {
        Arc::new(Self(Some(On { clock, entropy, sink })))
    }

    /// Whether spans are kept now.
    pub fn on(&self) -> bool {
        self.0.as_ref().is_some_and(|on| on.sink.on())
    }

    /// Begins a span under a caller's, or a new trace. The caller says whether its trace is kept; for a new one the sink does.
    /// `None` when nothing is kept at all.
    pub fn begin(
        self: &Arc<Self>,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        caller: Option<TraceContext>,
    ) -> Option<Active> {
        let on = self.0.as_ref().filter(|on| on.sink.on())?;
        let (parent, mut context) = match caller {
            Some(caller) => (Some(caller.span), caller),
            None => {
                let mut trace = random(on);
                while trace == [0; 16] {
                    trace = random(on);
                }
                let sampled = on.sink.keeps(&trace);
                (None, TraceContext { trace, span: [0; 8], sampled, state: None })
            }
        };
        context.span = on.span_id();
        let parent = parent.map(|span| (span, true));
        Some(Active::new(self, on, name.into(), kind, context, parent))
    }

    /// Begins a span of a trace of its own that is kept because others that it links to are.
    pub fn begin_linked(
        self: &Arc<Self>,
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        links: Vec<Link>,
    ) -> Option<Active> {
        if !links.iter().any(|link| link.context.sampled) {
            return None;
        }
        let on = self.0.as_ref().filter(|on| on.sink.on())?;
        let context = TraceContext { trace: random(on), span: on.span_id(), sampled: true, state: None };
        let mut active = Active::new(self, on, name.into(), kind, context, None);
        if let Some(span) = &mut active.span {
            span.links = links;
        }
        Some(active)
    }
}

fn random<const N: usize>(on: &On) -> [u8; N] {
    let mut bytes = [0; N];
    on.entropy.fill(&mut bytes);
    bytes
}

impl On {
    fn span_id(&self) -> [u8; 8] {
        loop {
            let id = random(self);
            if id != [0; 8] {
                return id;
            }
        }
    }
}

/// A span under way. It ends when it is dropped. Of a trace that is not kept it holds the place only.
pub struct Active {
    place: Place,
    span: Option<Box<Span>>,
}

/// Where something under way is.
#[derive(Clone)]
struct Place {
    traces: Arc<Traces>,
    context: Arc<TraceContext>,
    /// Id of the stage under way inside the span, which goes between it and its children; zero: none.
    stage: Arc<AtomicU64>,
}

impl Active {
    fn new(
        traces: &Arc<Traces>,
        on: &On,
        name: Cow<'static, str>,
        kind: Kind,
        context: TraceContext,
        parent: Option<([u8; 8], bool)>,
    ) -> Self {
        let context = Arc::new(context);
        let span = context.sampled.then(|| {
            let now = on.clock.monotonic();
            Box::new(Span {
                name,
                kind,
                context: context.clone(),
                parent: parent.map(|(span, _)| span),
                remote: parent.is_some_and(|(_, remote)| remote),
                start: now,
                end: now,
                attributes: Vec::new(),
                links: Vec::new(),
                failed: None,
            })
        });
        Self { place: Place { traces: traces.clone(), context, stage: Arc::default() }, span }
    }

    /// Its place in the trace.
    pub fn context(&self) -> &Arc<TraceContext> {
        &self.place.context
    }

    /// Whether the trace is kept: what costs work to tell need not be told otherwise.
    pub fn kept(&self) -> bool {
        self.span.is_some()
    }

    /// Tells something of it. Read [`Attribute::Text`] before you tell a text.
    pub fn set(&mut self, name: &'static str, value: impl Into<Attribute>) {
        if let Some(span) = &mut self.span {
            span.attributes.push((name, value.into()));
        }
    }

    /// Names it anew.
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.name = name.into();
        }
    }

    /// It failed, with this code.
    pub fn fail(&mut self, code: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.span {
            span.failed = Some(code.into());
        }
    }

    /// Begins the first of a row of stages, which take turns without a gap; see [`Stages::turn`].
    pub fn stages(&self) -> Option<Stages> {
        let (on, _) = self.place.traces.0.as_ref().zip(self.span.as_ref())?;
        let stages = Stages { place: self.place.clone(), start: on.clock.monotonic() };
        stages.place.stage.store(u64::from_be_bytes(on.span_id()), Relaxed);
        Some(stages)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if let Some((on, mut span)) = self.place.traces.0.as_ref().zip(self.span.take()) {
            span.end = on.clock.monotonic();
            on.sink.finished(*span);
        }
    }
}

/// The stages of a span: one follows the other, and what is begun meanwhile is a child of the one under way.
pub struct Stages {
    place: Place,
    start: Duration,
}

impl Stages {
    /// The stage under way ends now, under this name; the next one begins.
    pub fn turn(&mut self, name: &'static str, now: Duration) {
        let Some(on) = &self.place.traces.0 else { return };
        let span = self.place.stage.swap(u64::from_be_bytes(on.span_id()), Relaxed).to_be_bytes();
        let above = &self.place.context;
        on.sink.finished(Span {
            name: Cow::Borrowed(name),
            kind: Kind::Internal,
            context: Arc::new(TraceContext { span, ..TraceContext::clone(above) }),
            parent: Some(above.span),
            remote: false,
            start: self.start,
            end: now,
            attributes: Vec::new(),
            links: Vec::new(),
            failed: None,
        });
        self.start = now;
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.place.stage.store(0, Relaxed);
    }
}

/// What is under way: the request, and the place in its trace.
#[derive(Clone, Default)]
pub struct Scope {
    request: Option<Arc<str>>,
    place: Option<Place>,
}

impl Scope {
    /// A request by its id, and the span that answers it.
    pub fn of_request(id: &str, span: Option<&Active>) -> Self {
        Self { request: Some(id.into()), place: span.map(|span| span.place.clone()) }
    }

    /// This scope with another span.
    #[must_use]
    pub fn with(mut self, span: &Active) -> Self {
        self.place = Some(span.place.clone());
        self
    }

    /// Id of the request.
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Where it is: what is called from here is a child of this place.
    pub fn context(&self) -> Option<Arc<TraceContext>> {
        let place = self.place.as_ref()?;
        match place.stage.load(Relaxed) {
            0 => Some(place.context.clone()),
            stage => Some(Arc::new(TraceContext { span: stage.to_be_bytes(), ..TraceContext::clone(&place.context) })),
        }
    }

    /// Begins a span under the one under way; `None` where there is none.
    pub fn child(&self, name: impl Into<Cow<'static, str>>, kind: Kind) -> Option<Active> {
        let place = self.place.as_ref()?;
        let on = place.traces.0.as_ref()?;
        if !place.context.sampled {
            return None;
        }
        let above = self.context()?;
        let context = TraceContext { span: on.span_id(), ..TraceContext::clone(&above) };
        Some(Active::new(&place.traces, on, name.into(), kind, context, Some((above.span, false))))
    }

    fn is_empty(&self) -> bool {
        self.request.is_none() && self.place.is_none()
    }
}

thread_local! {
    static CURRENT: RefCell<Scope> = const { RefCell::new(Scope { request: None, place: None }) };
}

/// What is under way here; empty outside of all.
pub fn current() -> Scope {
    CURRENT.with_borrow(Scope::clone)
}

/// Begins a span of the current scope; `None` where nothing is kept.
pub fn child(name: impl Into<Cow<'static, str>>, kind: Kind) -> Option<Active> {
    CURRENT.with_borrow(|scope| if scope.place.is_none() { None } else { scope.child(name, kind) })
}

/// Puts the scope back that was there before.
struct Entered(Scope);

impl Entered {
    fn new(scope: &Scope) -> Self {
        Self(CURRENT.replace(scope.clone()))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(std::mem::take(&mut self.0));
    }
}

pin_project! {
    /// See [`within`]. A type and no `async fn`, which would hold the future twice: as what it was given and as what it waits for.
    #[must_use = "futures do nothing unless polled"]
    pub struct Within<F> {
        scope: Scope,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = (!this.scope.is_empty()).then(|| Entered::new(this.scope));
        this.future.poll(task)
    }
}

/// Runs a future in a scope, wherever it is polled.
pub fn within<F: Future>(scope: Scope, future: F) -> Within<F> {
    Within { scope, future }
}

/// Does something in a scope.
pub fn during<T>(scope: &Scope, work: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(scope);
    work()
}

#[cfg(test)]
mod tests;
