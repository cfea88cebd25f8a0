//! What a page is, and what it is given.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use futures_util::future::BoxFuture;
use maud::Markup;
use serde_json::Value as Json;
use tendon_kernel::{Error, ErrorKind, Result, Timestamp};

use super::{
    cookies::Theme,
    form::Form,
    office::Order,
    session::{Notice, Open},
};
use crate::{api::Api, service, trust::Known};

/// Who may see a page or make a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Everybody: the page to sign in, and what it looks like.
    Anyone,
    /// Whoever is signed in.
    Known,
    /// Viewers: the scope `read`.
    View,
    /// Reviewers: the scope `review:…`, of any integration.
    Review,
    /// Operators: the scope `operate`.
    Operate,
    /// Whoever may do everything: the scope `admin`.
    Admin,
}

impl May {
    /// Holds a caller against it.
    ///
    /// # Errors
    /// `Forbidden` when it may not.
    pub(super) fn hold(self, known: &Known) -> Result<()> {
        match self {
            Self::Anyone | Self::Known => Ok(()),
            Self::View => service::reader(known),
            Self::Review => service::reviewer(known),
            Self::Operate => service::operator(known),
            Self::Admin => service::admin(known),
        }
    }
}

/// A page.
pub(super) struct Page {
    /// Its address, as the router reads it.
    pub(super) path: &'static str,
    /// What it is called in the navigation; nothing: it is reached from other pages.
    pub(super) name: Option<&'static str>,
    /// Who may see it.
    pub(super) may: May,
    /// Makes it.
    pub(super) show: fn(Visit) -> BoxFuture<'static, Result<Reply>>,
    /// What can be changed from it.
    pub(super) changes: &'static [Change],
}

/// Something that can be changed.
pub(super) struct Change {
    /// The address that its form goes to.
    pub(super) path: &'static str,
    /// Who may.
    pub(super) may: May,
    /// Does it.
    pub(super) carry_out: fn(Visit) -> BoxFuture<'static, Result<Reply>>,
}

/// A request to a page.
pub(super) struct Visit {
    /// What handlers share.
    pub(super) api: Arc<Api>,
    /// Who asks; `None` only where anyone may.
    pub(super) who: Option<Who>,
    /// The variable parts of the address, in order.
    pub(super) parts: Vec<String>,
    /// What stands behind the `?`.
    pub(super) query: Form,
    /// What the form sent.
    pub(super) form: Form,
    /// The request's headers.
    pub(super) headers: HeaderMap,
    /// How pages look.
    pub(super) theme: Theme,
    /// The request's id.
    pub(super) id: String,
}

/// Who is signed in.
#[derive(Clone)]
pub(super) struct Who {
    /// What it may do.
    pub(super) known: Arc<Known>,
    /// The session.
    pub(super) open: Open,
}

impl Visit {
    /// Who asks.
    ///
    /// # Errors
    /// `Internal` on a page that anyone may see: a defect of that page.
    pub(super) fn known(&self) -> Result<&Known> {
        self.who.as_ref().map(|who| &*who.known).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "no_caller", "a page asks for the caller where none is recognised")
        })
    }

    /// Has an order carried out, in the name of who asks.
    ///
    /// # Errors
    /// The order's.
    pub(super) async fn order(&self, order: Order) -> Result<Json> {
        self.api.console.office.carry_out(order, &self.known()?.person()).await
    }

    /// A header that is a text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A variable part of the address.
    pub(super) fn part(&self, at: usize) -> &str {
        self.parts.get(at).map_or("", String::as_str)
    }

    /// The position of the ledger behind which a page of a list begins; none: the newest.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn before(&self) -> Result<Option<u64>> {
        self.position("before")
    }

    /// A position of the ledger that stands behind the `?`.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn position(&self, name: &str) -> Result<Option<u64>> {
        self.query.text(name).map(str::parse).transpose().map_err(|_| {
            Error::new(ErrorKind::Invalid, "parameter", format!("`{name}` is no position of the ledger"))
                .hint("open the page anew")
        })
    }

    /// Now.
    pub(super) fn now(&self) -> Timestamp {
        self.api.context.clock.now()
    }
}

/// What a page answers with.
pub(super) enum Reply {
    /// A page of this title.
    Page(View),
    /// Another page, with a word about what was done.
    Go(String, Option<Notice>),
    /// A cookie, of a session or of the way to one, and where to go.
    Begin(String, String),
    /// A page for nobody, with cookies: on the way in or out.
    Met(Vec<String>, View),
    /// Signed out.
    End,
    /// Looks otherwise from now on.
    Look(Theme, String),
    /// A file to keep: its name, its kind, what stands in it.
    File(String, &'static str, String),
    /// A file of the program.
    Asset(&'static str, &'static str),
}

/// A page's own part.
pub(super) struct View {
    /// Title.
    pub(super) title: String,
    /// What stands in `main`.
    pub(super) body: Markup,
    /// How the answer is called.
    pub(super) status: StatusCode,
    /// Where a browser goes on to by itself.
    pub(super) onward: Option<String>,
}

impl View {
    /// A page.
    pub(super) fn reply(title: impl Into<String>, body: Markup) -> Reply {
        Reply::Page(Self { title: title.into(), body, status: StatusCode::OK, onward: None })
    }
}
