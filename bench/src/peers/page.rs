//! The tables of `docs/side-by-side.md`: figures, aims, and what each service consists of.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::Value;

use super::{CONNECTIONS, Figures, Measured, lines::written};
use crate::Res;

/// The page that holds them.
const PAGE: &str = "docs/side-by-side.md";

/// Puts the tables between the marks of the page.
pub(super) fn write(shown: &str) -> Res<()> {
    crate::into_page(PAGE, "peers", shown)
}

/// All tables in Markdown.
pub(super) fn tables(machine: &Value, all: &[Measured], written_back: Option<f64>) -> Res<String> {
    let rate = all.iter().find_map(|(_, figures)| figures.as_ref().ok()).map_or(0.0, |figures| figures.common.rate);
    let tendon = of(all, "Tendon");
    let mut text = format!("{}\n\n", machine["text"].as_str().unwrap_or_default());
    let _ = writeln!(
        text,
        "| service | answers/s, {CONNECTIONS} connections | Tendon's are | p50 / p99 at {rate:.0}/s | p50 / p99 at 70 % of its own \
         peak | start to first answer | memory | lines | characters |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for (service, figures) in all {
        let lines = written(&Path::new("bench/peers").join(service.folder))?;
        let figures = match figures {
            Ok(found) => {
                let ratio = tendon.map_or(String::new(), |tendon| format!("{:.1}×", tendon.peak / found.peak));
                format!(
                    "{:.0} | {ratio} | {:.2} / {:.2} ms | {:.2} / {:.2} ms | {:.0} ms | {:.0} MB",
                    found.peak,
                    found.common.p50_ms,
                    found.common.p99_ms,
                    found.own.p50_ms,
                    found.own.p99_ms,
                    found.start_ms,
                    found.memory as f64 / 1e6
                )
            }
            Err(reason) => format!("not measured: {} | | | | | ", shown(reason)),
        };
        let _ = writeln!(text, "| {} | {figures} | {} | {} |", service.name, lines.lines, lines.characters);
    }
    text.push('\n');
    text.push_str(&aims(all, written_back)?);
    text.push('\n');
    text.push_str(&parts(all)?);
    Ok(text)
}

/// A reason in one cell, without the paths of this machine.
fn shown(reason: &str) -> String {
    let here = std::env::current_dir().map(|path| format!("{}/", path.display())).unwrap_or_default();
    let reason = if here.is_empty() { reason.to_owned() } else { reason.replace(&here, "") };
    reason.replace(['\n', '|'], " ")
}

/// The figures of a service, if it was measured.
fn of<'a>(all: &'a [Measured], name: &str) -> Option<&'a Figures> {
    all.iter().find(|(service, _)| service.name == name).and_then(|(_, figures)| figures.as_ref().ok())
}

/// What was aimed at, and whether it was met.
fn aims(all: &[Measured], written_back: Option<f64>) -> Res<String> {
    let mut text = String::from("| aim | found | met |\n|---|---|---|\n");
    let mut row = |aim: &str, found: String, met: bool| {
        let _ = writeln!(text, "| {aim} | {found} | {} |", if met { "yes" } else { "**no**" });
    };
    let tendon = of(all, "Tendon");
    for (peer, times) in [("FastAPI, bare", 10.0), ("FastAPI, careful", 20.0)] {
        if let (Some(tendon), Some(peer_figures)) = (tendon, of(all, peer)) {
            let ratio = tendon.peak / peer_figures.peak;
            row(&format!("answers/s: ≥ {times:.0}× {peer}"), format!("{ratio:.1}×"), ratio >= times);
        }
    }
    if let (Some(rows), Some(peer)) = (written_back, of(all, "FastAPI, careful, writing back")) {
        let ratio = rows / peer.peak;
        row(
            "rows scored and written back per second (Tendon's watch beside calls of the careful service): ≥ 10×",
            format!("{rows:.0}/s beside {:.0}/s, {ratio:.1}×", peer.peak),
            ratio >= 10.0,
        );
    }
    let lines = written(Path::new("bench/peers/tendon"))?.lines;
    row("lines a user writes: ≤ 30", lines.to_string(), lines <= 30);
    let measured: Vec<f64> =
        all.iter().filter_map(|(_, figures)| figures.as_ref().ok()).map(|found| found.distance).collect();
    row(
        "every service gives LightGBM's score for 1,000 inputs, within 1e-12",
        format!(
            "{} of {} services, farthest {:.1e}",
            measured.len(),
            all.len(),
            measured.iter().copied().fold(0.0, f64::max)
        ),
        measured.len() == all.len(),
    );
    Ok(text)
}

/// What each service is made of.
fn parts(all: &[Measured]) -> Res<String> {
    let mut text = String::from("| service | how it runs | versions |\n|---|---|---|\n");
    for (service, _) in all {
        let list = Path::new("bench/peers").join(service.folder).join("requirements.txt");
        let versions = match fs::read_to_string(&list) {
            Ok(list) => list.lines().map(|line| line.replace("==", " ")).collect::<Vec<_>>().join(", "),
            Err(_) => "of this checkout".to_owned(),
        };
        let _ = writeln!(text, "| {} | {} | {versions} |", service.name, service.about);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{Latency, services::SERVICES},
        *,
    };

    fn figures(peak: f64) -> Figures {
        let latency = Latency { rate: 100.0, p50_ms: 1.0, p99_ms: 2.0 };
        Figures { start_ms: 70.0, peak, own: latency, common: latency, distance: 1e-16, memory: 50_000_000 }
    }

    /// The sources are found from the root, where the bench runs.
    fn at_root() {
        std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    }

    #[test]
    fn aims_that_fall_short_say_so() {
        at_root();
        let peaks = [12_000.0, 1_200.0, 700.0, 600.0, 900.0, 100.0];
        let all: Vec<Measured> =
            SERVICES.iter().zip(peaks).map(|(service, peak)| (service, Ok(figures(peak)))).collect();
        let text = tables(&json!({ "text": "here" }), &all, Some(7000.0)).unwrap();
        assert!(text.contains("| answers/s: ≥ 10× FastAPI, bare | 10.0× | yes |"), "{text}");
        assert!(text.contains("| answers/s: ≥ 20× FastAPI, careful | 17.1× | **no** |"), "{text}");
    }

    #[test]
    fn a_service_without_figures_stands_there_with_its_reason() {
        at_root();
        let all: Vec<Measured> =
            SERVICES.iter().map(|service| (service, Err("no network\nat all".to_owned()))).collect();
        let text = tables(&json!({ "text": "here" }), &all, None).unwrap();
        assert!(text.contains("| MLServer | not measured: no network at all | "), "{text}");
        assert!(text.contains("0 of 6 services"), "{text}");
    }
}
