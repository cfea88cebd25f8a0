//! Log lines on standard error, for people or as JSON; inside a request with its id, and with the place in its trace. What a line may
//! say is the caller's affair: `Error` shows its public half, inputs and keys are never logged.

use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal as _, Write as _},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tendon_kernel::{
    context::Clock as _,
    error::{Error, ErrorKind, Result},
    trace::{self, hex},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::Context, layer::SubscriberExt as _, registry, reload,
    util::SubscriberInitExt as _,
};

use crate::runtime::SystemClock;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// What can be changed while the process runs.
struct Control {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Whether the command line or the environment said so: a file does not change it.
    format_fixed: bool,
    level_fixed: bool,
}

static CONTROL: OnceLock<Control> = OnceLock::new();
static JSON: AtomicBool = AtomicBool::new(false);

/// The filter that a text asks for.
fn filter(text: &str) -> Result<EnvFilter> {
    EnvFilter::builder().parse(text).map_err(|error| {
        Error::new(ErrorKind::Config, "log_level", "TENDON_LOG holds no filter")
            .hint("use error, warn, info, debug or trace, or a list such as `info,tendon_ledger=debug`")
            .private(error)
    })
}

/// Starts logging for the process. `format`: where it was asked for; `default`: the filter when `TENDON_LOG` (`debug`, or a list such
/// as `info,tendon_ledger=trace`) is not set.
///
/// # Errors
/// `Config` when the filter cannot be read; `Internal` when logging was started before.
pub fn init(format: Option<LogFormat>, default: &str) -> Result<()> {
    let text = std::env::var("TENDON_LOG").ok().filter(|text| !text.is_empty());
    let (filter, handle) = reload::Layer::new(filter(text.as_deref().unwrap_or(default))?);
    let lines = Lines { clock: SystemClock::new(), colour: io::stderr().is_terminal() && colours_wanted() };
    let started = registry().with(filter).with(lines).try_init();
    started
        .map_err(|error| Error::new(ErrorKind::Internal, "log_started", "logging was started twice").private(error))?;
    JSON.store(format == Some(LogFormat::Json), Relaxed);
    let control = Control { filter: handle, format_fixed: format.is_some(), level_fixed: text.is_some() };
    // Nobody was here before: starting twice is refused above.
    let _ = CONTROL.set(control);
    Ok(())
}

/// Whether a terminal may be given colours: `NO_COLOR` (<https://no-color.org>) and a terminal that knows none say no.
pub fn colours_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// What a project says about the log, read.
pub struct LogReady {
    format: Option<LogFormat>,
    filter: Option<EnvFilter>,
}

/// Reads what a project says, which takes no effect before [`adopt`].
///
/// # Errors
/// `Config` when the level cannot be read.
pub fn prepare(format: Option<LogFormat>, level: Option<&str>) -> Result<LogReady> {
    Ok(LogReady { format, filter: level.map(filter).transpose()? })
}

/// Takes over what a project says, where the command line and the environment are silent.
pub fn adopt(ready: LogReady) {
    let Some(control) = CONTROL.get() else { return };
    if let Some(format) = ready.format.filter(|_| !control.format_fixed) {
        JSON.store(format == LogFormat::Json, Relaxed);
    }
    if let Some(filter) = ready.filter.filter(|_| !control.level_fixed)
        && let Err(error) = control.filter.reload(filter)
    {
        // Only when nothing is logged any more.
        tracing::warn!(%error, "the level of the log could not be changed");
    }
}

/// Writes a line for each event.
struct Lines {
    clock: SystemClock,
    colour: bool,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let meta = event.metadata();
        let (level, time) = (*meta.level(), self.clock.now().to_string());
        let mut line = if JSON.load(Relaxed) {
            json(&time, level, meta.target(), said)
        } else {
            text(&time, level, meta.target(), &said, self.colour)
        };
        line.push('\n');
        // Where nobody reads the lines any more there is nothing to do about it.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

/// A field: as it is in JSON, or as text.
enum Value {
    Plain(String),
    Text(String),
}

impl Said {
    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Plain(text) | Value::Text(text)) => self.message = text,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Value::Text(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::Text(value.to_owned()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Value::Plain(value.to_string()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, Value::Plain(value.to_string()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Value::Plain(value.to_string()));
    }
}

/// Id of the request, and the place in its trace.
fn place() -> Vec<(&'static str, String)> {
    let scope = trace::current();
    let mut place: Vec<(&'static str, String)> = Vec::new();
    place.extend(scope.request().map(|request| ("request_id", request.to_owned())));
    if let Some(context) = scope.context() {
        place.extend([("trace_id", hex(&context.trace)), ("span_id", hex(&context.span))]);
    }
    place
}

fn text(time: &str, level: Level, target: &str, said: &Said, colour: bool) -> String {
    let (dim, shade, end) = match (colour, level) {
        (false, _) => ("", "", ""),
        (true, Level::ERROR) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
        (true, Level::INFO) => ("\x1b[2m", "\x1b[32m", "\x1b[0m"),
        (true, _) => ("\x1b[2m", "\x1b[34m", "\x1b[0m"),
    };
    let mut line = format!("{dim}{time}{end} {shade}{level:>5}{end} {dim}{target}:{end} ");
    push_visible(&mut line, &said.message);
    // Writing into a String cannot fail.
    for (name, value) in &said.fields {
        let (Value::Plain(value) | Value::Text(value)) = value;
        let _: fmt::Result = write!(line, " {dim}{name}={end}");
        push_visible(&mut line, value);
    }
    for (name, value) in place() {
        let _: fmt::Result = write!(line, " {dim}{name}={end}{value}");
    }
    line
}

/// Nothing that a value holds breaks a line in two or paints the terminal.
fn push_visible(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

fn json(time: &str, level: Level, target: &str, said: Said) -> String {
    let mut line = format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"target\":");
    quote(&mut line, target);
    line.push_str(",\"message\":");
    quote(&mut line, &said.message);
    for (name, value) in place() {
        let _: fmt::Result = write!(line, ",\"{name}\":");
        quote(&mut line, &value);
    }
    if !said.fields.is_empty() {
        line.push_str(",\"fields\":{");
        for (index, (name, value)) in said.fields.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _: fmt::Result = write!(line, "{comma}\"{name}\":");
            match value {
                Value::Plain(plain) => line.push_str(plain),
                Value::Text(text) => quote(&mut line, text),
            }
        }
        line.push('}');
    }
    line.push('}');
    line
}

/// A JSON string.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            c if c.is_control() => {
                let _: fmt::Result = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use tendon_kernel::trace::Scope;

    use super::*;

    #[test]
    fn filters_are_read_or_explained() {
        for good in ["info", "warn,tendon_ledger=trace", "off"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        let error = filter("tendon=loud").unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "log_level"));
    }

    #[test]
    fn logging_starts_once() {
        init(Some(LogFormat::Json), "off").unwrap();
        assert_eq!(init(None, "off").unwrap_err().code(), "log_started");
    }

    #[test]
    fn lines_say_the_same_in_both_forms() {
        let fields = || vec![("count", Value::Plain("3".into())), ("why", Value::Text("a \"b\"\n\u{1b}[31m".into()))];
        let said = || Said { message: "it\nhappened".into(), fields: fields() };
        let scope = Scope::of_request("r-7", None);
        let (plain, object) = trace::during(&scope, || {
            (text("T", Level::WARN, "tendon", &said(), false), json("T", Level::WARN, "tendon", said()))
        });
        assert_eq!(plain, "T  WARN tendon: it\\nhappened count=3 why=a \"b\"\\n\\u{1b}[31m request_id=r-7");
        assert_eq!(
            object,
            "{\"time\":\"T\",\"level\":\"WARN\",\"target\":\"tendon\",\"message\":\"it\\nhappened\",\"request_id\":\"r-7\",\
             \"fields\":{\"count\":3,\"why\":\"a \\\"b\\\"\\n\\u001b[31m\"}}"
        );
        let painted = text("T", Level::ERROR, "tendon", &said(), true);
        assert!(painted.starts_with("\u{1b}[2mT\u{1b}[0m \u{1b}[31mERROR"), "{painted:?}");
    }
}
