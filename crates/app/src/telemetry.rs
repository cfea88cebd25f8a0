//! What a project and the environment say about telemetry, put together: the file goes before the variables of OpenTelemetry.

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::secrets::{Secret, Secrets},
};
use tendon_plan::{
    Plan,
    telemetry::{OtlpPlan, TelemetryPlan},
};
use tendon_platform::{
    OutgoingHttp,
    telemetry::{
        OtlpSettings, Telemetry,
        log::{self, LogFormat, LogReady},
    },
};

use crate::wiring::Purpose;

/// Longest wait for a receiver's answer when nobody says.
const WAIT: Duration = Duration::from_secs(10);

/// Where telemetry goes; `None`: nowhere.
///
/// # Errors
/// `Config` when a reference in a header has no value, or a variable cannot be understood.
fn settings(plan: &Plan, secrets: &dyn Secrets) -> Result<Option<OtlpSettings>> {
    let variable = |name: &str| env::var(name).ok().filter(|text| !text.trim().is_empty());
    merge(&plan.telemetry, &plan.project, secrets, variable)
}

/// Makes what tells; where the project is to run, as it says.
///
/// # Errors
/// As [`prepare`].
pub(crate) fn begin(
    context: &mut Context,
    purpose: Purpose,
    http: &Arc<OutgoingHttp>,
    plan: &Plan,
    secrets: &dyn Secrets,
) -> Result<Arc<Telemetry>> {
    let telemetry = Telemetry::new(context, http.clone());
    if purpose == Purpose::Serve {
        context.traces = telemetry.traces();
        adopt(&telemetry, prepare(plan, secrets)?);
    }
    Ok(telemetry)
}

/// What a project says about what is told, read.
pub(crate) struct Telling {
    receiver: Option<OtlpSettings>,
    log: LogReady,
}

/// Reads what a project says, which takes no effect before [`adopt`].
///
/// # Errors
/// As [`settings`]; `Config` when the log's level cannot be read.
pub(crate) fn prepare(plan: &Plan, secrets: &dyn Secrets) -> Result<Telling> {
    let format = plan.telemetry.json.map(|json| if json { LogFormat::Json } else { LogFormat::Text });
    Ok(Telling { receiver: settings(plan, secrets)?, log: log::prepare(format, plan.telemetry.level)? })
}

/// Takes over what was read.
pub(crate) fn adopt(telemetry: &Telemetry, telling: Telling) {
    log::adopt(telling.log);
    telemetry.configure(telling.receiver);
}

fn merge(
    plan: &TelemetryPlan,
    project: &str,
    secrets: &dyn Secrets,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<OtlpSettings>> {
    let usual = OtlpPlan::default();
    let otlp = plan.otlp.as_ref().unwrap_or(&usual);
    if variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let named = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    let Some(endpoint) = otlp.endpoint.clone().or(named) else {
        if plan.otlp.is_none() {
            return Ok(None);
        }
        return Err(wrong("telemetry.otlp names no receiver, and OTEL_EXPORTER_OTLP_ENDPOINT is not set"));
    };
    if otlp.endpoint.is_none() && variable("OTEL_EXPORTER_OTLP_PROTOCOL").is_some_and(|text| text == "grpc") {
        return Err(wrong("OTEL_EXPORTER_OTLP_PROTOCOL asks for grpc, which is not spoken to a receiver")
            .hint("collectors listen for http/protobuf on port 4318"));
    }
    let headers = if otlp.headers.is_empty() {
        let given = variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        pairs(&given).map(|(name, value)| (name, Secret::new(value))).collect()
    } else {
        let resolved = otlp.headers.iter().map(|(name, value)| Ok((name.clone(), secrets.resolve(value)?)));
        resolved.collect::<Result<_>>()?
    };
    let timeout = match (otlp.timeout, variable("OTEL_EXPORTER_OTLP_TIMEOUT")) {
        (Some(timeout), _) => timeout,
        (None, None) => WAIT,
        (None, Some(text)) => {
            let millis = text.trim().parse();
            millis
                .map(Duration::from_millis)
                .map_err(|_| wrong("OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds"))?
        }
    };
    let mut resource: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in [
        ("service.name", "tendon"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", "tendon"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ("tendon.project", project),
    ] {
        resource.insert(name.to_owned(), value.to_owned());
    }
    resource.extend(pairs(&variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()));
    resource.extend(variable("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name)));
    resource.extend(plan.resource.iter().cloned());
    Ok(Some(OtlpSettings {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        headers,
        timeout,
        ratio: otlp.ratio,
        every: otlp.every,
        resource: resource.into_iter().collect(),
    }))
}

/// `name=value,name=value`, values percent-encoded, as the variables of OpenTelemetry hold them.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (!name.trim().is_empty()).then(|| (name.trim().to_owned(), decoded(value.trim())))
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wrong(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, "telemetry_receiver", message)
        .hint("write `telemetry: { otlp: { endpoint: 'http://127.0.0.1:4318' } }`, or leave `otlp` out")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl Secrets for Plain {
        fn resolve(&self, text: &str) -> Result<Secret> {
            Ok(Secret::new(text.replace("${env:T}", "s3cret")))
        }
    }

    fn of(plan: &TelemetryPlan, variables: &[(&str, &str)]) -> Result<Option<OtlpSettings>> {
        merge(plan, "acme", &Plain, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_file_goes_before_the_environment() {
        let silent = TelemetryPlan::default();
        assert_eq!(of(&silent, &[]).unwrap(), None);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20env, x=1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_SERVICE_NAME", "scoring"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment.name=test%2C1"),
        ];
        let found = of(&silent, &variables).unwrap().unwrap();
        assert_eq!((found.endpoint.as_str(), found.timeout.as_millis()), ("http://env:4318", 1500));
        let headers: Vec<_> = found.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(headers, [("authorization", "Bearer env"), ("x", "1")]);
        let has = |name: &str, value: &str| found.resource.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("service.name", "scoring") && has("deployment.environment.name", "test,1"));
        assert!(has("tendon.project", "acme"));

        let otlp = OtlpPlan {
            endpoint: Some("http://file:4318".to_owned()),
            headers: vec![("authorization".to_owned(), "Bearer ${env:T}".to_owned())],
            timeout: Some(WAIT),
            ..OtlpPlan::default()
        };
        let resource = vec![("service.name".to_owned(), "file".to_owned())];
        let plan = TelemetryPlan { otlp: Some(otlp), resource, ..TelemetryPlan::default() };
        let found = of(&plan, &variables).unwrap().unwrap();
        assert_eq!((found.endpoint.as_str(), found.timeout), ("http://file:4318", WAIT));
        assert_eq!(found.headers[0].1.reveal(), "Bearer s3cret");
        assert!(found.resource.contains(&("service.name".to_owned(), "file".to_owned())));
        assert_eq!(of(&plan, &[("OTEL_SDK_DISABLED", "true")]).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let nowhere = TelemetryPlan { otlp: Some(OtlpPlan::default()), ..TelemetryPlan::default() };
        assert_eq!(of(&nowhere, &[]).unwrap_err().code(), "telemetry_receiver");
        let there = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317");
        for also in [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")] {
            assert_eq!(of(&TelemetryPlan::default(), &[there, also]).unwrap_err().code(), "telemetry_receiver");
        }
    }
}
