//! Bands of a new integration: as said by a flag, or so that they tell the rows apart that are there.

use tendon_kernel::sockets::model::OutputKind;

use crate::failure::Failure;

/// Name and test.
pub(super) type Bands = Vec<(String, String)>;

/// Scores needed to tell anything.
const ENOUGH: usize = 30;

/// What `--bands` says: `green>=0.7,yellow>=0.4,red`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn said(text: &str) -> Result<Bands, Failure> {
    let wrong = |part: &str| {
        Failure::new(
            "bands_form",
            format!("--bands: `{part}` cannot be read"),
            "write \"green>=0.7,yellow>=0.4,red\": a name, then >=, >, <= or < and a number; the last one without",
        )
    };
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let mut bands = Bands::new();
    for (at, part) in parts.iter().enumerate() {
        let Some(start) = part.find(['<', '>']) else {
            if at + 1 == parts.len() {
                bands.push(((*part).to_owned(), "otherwise".to_owned()));
                continue;
            }
            return Err(wrong(part));
        };
        let (name, test) = part.split_at(start);
        let number = test.trim_start_matches(['<', '>', '=']).trim();
        let sign = test.get(..test.len() - test.trim_start_matches(['<', '>', '=']).len()).unwrap_or_default();
        if name.trim().is_empty() || number.parse::<f64>().is_err() || !matches!(sign, "<" | ">" | "<=" | ">=") {
            return Err(wrong(part));
        }
        bands.push((name.trim().to_owned(), format!("{sign} {number}")));
    }
    Ok(bands)
}

/// From the scores of sampled rows: a tenth is green, the next three tenths are yellow. With too few scores, from what the
/// numbers mean; nothing, where that is not known either.
pub(super) fn proposed(mut scores: Vec<f64>, output: OutputKind) -> (Bands, String) {
    scores.retain(|score| score.is_finite());
    scores.sort_by(f64::total_cmp);
    let at = |tenth: usize| scores.get(scores.len() * tenth / 10).copied().map(rounded);
    if scores.len() >= ENOUGH
        && let (Some(yellow), Some(green)) = (at(6), at(9))
        && yellow < green
    {
        let note = format!(
            "The best tenth and the next three tenths of {} rows looked at; change them as you like.",
            scores.len()
        );
        return (bands(green, yellow), note);
    }
    match output {
        OutputKind::Probability | OutputKind::Classes => (bands(0.7, 0.4), "Change them as you like.".to_owned()),
        OutputKind::Number => (Bands::new(), String::new()),
    }
}

fn bands(green: f64, yellow: f64) -> Bands {
    let test = |least: f64| format!(">= {least}");
    vec![("green".into(), test(green)), ("yellow".into(), test(yellow)), ("red".into(), "otherwise".into())]
}

/// Three digits that count.
fn rounded(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_read_as_people_write_them() {
        let want = [("green", ">= 0.7"), ("yellow", "> 0.4"), ("red", "otherwise")];
        let found = said("green>=0.7, yellow > 0.4 ,red").unwrap();
        assert!(found.iter().map(|(name, test)| (name.as_str(), test.as_str())).eq(want), "{found:?}");
        for wrong in ["green", "green=0.7,red", ">=1", "green>=x,red", "green,red>=1"] {
            assert!(said(wrong).is_err() || wrong == "green", "{wrong}");
        }
    }

    #[test]
    fn bands_tell_the_rows_apart() {
        let scores: Vec<f64> = (0..100).map(|n| f64::from(n) / 1000.0).collect();
        let (found, _) = proposed(scores, OutputKind::Probability);
        assert_eq!(found[0].1, ">= 0.09");
        assert_eq!(found[1].1, ">= 0.06");
        assert_eq!(proposed(vec![0.5; 100], OutputKind::Number).0, Bands::new());
        assert_eq!(proposed(vec![], OutputKind::Probability).0[0].1, ">= 0.7");
    }
}
