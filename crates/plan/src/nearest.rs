//! "Did you mean": the known name that is closest to what was written.

/// The closest of the known names, if it is close enough to be a likely slip.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    let limit = match lower.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let candidate = name.to_lowercase();
        let mut distance = distance(&lower, &candidate);
        // A name that only adds or leaves out a part ("lead" for "lead-score") is likely meant too.
        if distance > limit
            && lower.len() >= 3
            && candidate.len() >= 3
            && (candidate.contains(&lower) || lower.contains(&candidate))
        {
            distance = limit;
        }
        if distance <= limit && best.is_none_or(|(shortest, _)| distance < shortest) && name != wrong {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Edits (insert, delete, replace, swap of neighbours) between two texts.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let width = b.len() + 1;
    let mut rows: Vec<Vec<usize>> = vec![(0..width).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |back: usize, column: usize| rows.get(rows.len() - back).and_then(|row| row.get(column)).copied();
            let replace = at(1, j).unwrap_or(usize::MAX / 2) + usize::from(x != y);
            let delete = at(1, j + 1).unwrap_or(usize::MAX / 2) + 1;
            let insert = row.last().copied().unwrap_or(usize::MAX / 2) + 1;
            let mut least = replace.min(delete).min(insert);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if let Some(before) = swapped.then(|| at(2, j - 1)).flatten() {
                least = least.min(before + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["balance", "last_contact", "age", "job"];
        assert_eq!(nearest("balnace", known), Some("balance"));
        assert_eq!(nearest("last_contcat", known), Some("last_contact"));
        assert_eq!(nearest("Age", known), Some("age"));
        assert_eq!(nearest("temperature", known), None);
    }
}
