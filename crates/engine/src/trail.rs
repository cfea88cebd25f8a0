//! The trail that an ask leaves in a trace: a span for its way along the path, one below it for each stage, and what is known of the
//! decision: its id, how it ended, which version answered. Never an input, an output or a subject.

use tendon_kernel::{
    Result,
    decision::{Door, Outcome},
    metrics::Exemplar,
    trace::{self, Active, Kind, Scope, Stages},
};

use crate::{ask::Answer, engine::Engine, runtime::Ready};

/// What is told of one ask.
pub(crate) struct Trail {
    span: Option<Active>,
    scope: Scope,
}

impl Trail {
    /// Begins under what the door has begun; where there is none (a changed row asks), a trace of its own.
    pub(crate) fn begin(engine: &Engine) -> Self {
        let scope = trace::current();
        let span = match scope.context() {
            Some(_) => scope.child("decide", Kind::Internal),
            None => engine.context.traces.begin("decide", Kind::Internal, None),
        };
        let scope = match &span {
            Some(span) => scope.with(span),
            None => scope,
        };
        Self { span, scope }
    }

    /// For whatever runs on behalf of the ask.
    pub(crate) fn scope(&self) -> Scope {
        self.scope.clone()
    }

    /// The first stage begins.
    pub(crate) fn stages(&self) -> Option<Stages> {
        self.span.as_ref().and_then(Active::stages)
    }

    /// The ask was refused.
    pub(crate) fn refused(mut self, code: &'static str) {
        if let Some(span) = &mut self.span {
            span.fail(code);
        }
    }

    /// The ask was admitted.
    pub(crate) fn admitted(&mut self, ready: &Ready, door: Door, count: usize) {
        let Some(span) = self.span.as_mut().filter(|span| span.kept()) else { return };
        span.set("tendon.integration", &ready.plan.name);
        span.set("tendon.door", door.name());
        span.set("tendon.batch.size", count);
    }

    /// A trace that is kept, for the metrics to point to.
    pub(crate) fn exemplar(&self, engine: &Engine) -> Option<Exemplar> {
        let span = self.span.as_ref().filter(|span| span.kept())?;
        Some(Exemplar { value: 0.0, context: span.context().clone(), at: engine.context.clock.now() })
    }

    /// All is answered.
    pub(crate) fn answered(mut self, answers: &[Option<Result<Answer>>]) {
        let Some(span) = self.span.as_mut().filter(|span| span.kept()) else { return };
        let [Some(only)] = answers else { return };
        match only {
            Ok(answer) => {
                let decision = &answer.decision;
                span.set("tendon.decision.id", decision.id.to_string());
                span.set("tendon.decision.outcome", decision.outcome.name());
                span.set("tendon.decision.route", &decision.route);
                if let Some(model) = &decision.model {
                    span.set("tendon.model", &model.name);
                    span.set("tendon.model.version", &model.version);
                }
                if answer.replayed {
                    span.set("tendon.decision.replayed", "true");
                }
                if let (Outcome::Failed, Some(error)) = (decision.outcome, &decision.error) {
                    span.fail(error.code.clone());
                }
            }
            Err(error) => span.fail(error.code()),
        }
    }
}
