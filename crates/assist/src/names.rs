//! How alike two names are: `lastContactDt` and `last_contact_date` mean the same to a person, so they should here.

/// Short forms and the words they usually stand for.
const SHORT: &[(&str, &str)] = &[
    ("acct", "account"),
    ("addr", "address"),
    ("amt", "amount"),
    ("bal", "balance"),
    ("camp", "campaign"),
    ("cat", "category"),
    ("cd", "code"),
    ("cnt", "count"),
    ("ctry", "country"),
    ("cust", "customer"),
    ("dflt", "default"),
    ("dob", "birthdate"),
    ("dt", "date"),
    ("edu", "education"),
    ("emp", "employment"),
    ("freq", "frequency"),
    ("inc", "income"),
    ("mo", "month"),
    ("mon", "month"),
    ("mth", "month"),
    ("nbr", "number"),
    ("no", "number"),
    ("nr", "number"),
    ("num", "number"),
    ("pct", "percent"),
    ("prev", "previous"),
    ("prod", "product"),
    ("qty", "quantity"),
    ("rev", "revenue"),
    ("tel", "telephone"),
    ("ts", "timestamp"),
    ("txn", "transaction"),
    ("yr", "year"),
];

/// Words that people use for the same thing.
const SAME: &[&[&str]] = &[
    &["job", "occupation", "profession"],
    &["gender", "sex"],
    &["income", "salary", "wage"],
    &["housing", "mortgage"],
    &["loan", "credit"],
    &["marital", "civil"],
    &["phone", "telephone", "mobile"],
    &["postcode", "zip"],
    &["result", "outcome"],
    &["days", "day"],
    &["count", "number"],
    &["previous", "prior"],
];

/// Words that tell little: they are often added to a name or left out.
const NOISE: &[&str] = &[
    "attr", "client", "code", "col", "column", "count", "crm", "current", "customer", "data", "field", "flag", "has",
    "is", "lead", "name", "number", "status", "the", "type", "value", "val",
];

/// The words of a name in lower case: `lastContact_dt` → `last`, `contact`, `dt`.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (at, c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before)).copied().unwrap_or(' ');
        let after = letters.get(at + 1).copied().unwrap_or(' ');
        let hump = c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && after.is_lowercase()));
        if (!c.is_alphanumeric() || hump) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// How alike two names are, from 0 to 1.
pub fn likeness(a: &str, b: &str) -> f64 {
    let (left, right) = (words(a), words(b));
    let (whole_left, whole_right) = (left.concat(), right.concat());
    if whole_left.is_empty() || whole_right.is_empty() {
        return 0.0;
    }
    if whole_left == whole_right {
        return 1.0;
    }
    let whole = 0.97 * word_likeness(&whole_left, &whole_right);
    let initials = initials(&left, &whole_right).max(initials(&right, &whole_left));
    by_words(&left, &right).max(whole).max(initials).min(0.99)
}

/// Each word with its best counterpart, weighed by how much it tells.
fn by_words(left: &[String], right: &[String]) -> f64 {
    let one_way = |from: &[String], to: &[String]| {
        let (mut sum, mut weights) = (0.0, 0.0);
        for word in from {
            let weight = if NOISE.contains(&word.as_str()) { 0.15 } else { 1.0 };
            let best = to.iter().map(|other| word_likeness(word, other)).fold(0.0, f64::max);
            sum += weight * best;
            weights += weight;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    };
    let (there, back) = (one_way(left, right), one_way(right, left));
    // Both ways: `age` must not count as all of `age_of_account`.
    0.98 * (there * back).sqrt()
}

/// `pd` for `previous_days`.
fn initials(words: &[String], short: &str) -> f64 {
    let first: String = words.iter().filter_map(|word| word.chars().next()).collect();
    if words.len() >= 2 && first == short { 0.75 } else { 0.0 }
}

fn word_likeness(a: &str, b: &str) -> f64 {
    if a == b {
        return 1.0;
    }
    let long = |word: &str| SHORT.iter().find(|(short, _)| *short == word).map(|(_, long)| *long);
    let (full_a, full_b) = (long(a).unwrap_or(a), long(b).unwrap_or(b));
    if full_a == full_b || full_a.trim_end_matches('s') == full_b.trim_end_matches('s') {
        return 0.95;
    }
    if SAME.iter().any(|group| group.contains(&full_a) && group.contains(&full_b)) {
        return 0.85;
    }
    let (short, rest) = if a.chars().count() < b.chars().count() { (a, b) } else { (b, a) };
    abbreviation(short, rest).max(slip(a, b))
}

/// Whether one word is the other with its end or its vowels left out.
fn abbreviation(short: &str, long: &str) -> f64 {
    let letters = short.chars().count();
    if letters >= 3 && long.starts_with(short) {
        return 0.85;
    }
    if letters < 3 || short.chars().next() != long.chars().next() {
        return 0.0;
    }
    let mut rest = long.chars();
    let inside = short.chars().all(|c| rest.any(|other| other == c));
    let no_vowels = !short.chars().skip(1).any(|c| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u'));
    match (inside, no_vowels) {
        (true, true) => 0.82,
        (true, false) if letters * 2 >= long.chars().count() => 0.65,
        _ => 0.0,
    }
}

/// A slip of the pen.
fn slip(a: &str, b: &str) -> f64 {
    let likeness = strsim::normalized_damerau_levenshtein(a, b);
    if likeness >= 0.7 { likeness * 0.95 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_as_people_read_them() {
        assert_eq!(words("lastContactDt"), ["last", "contact", "dt"]);
        assert_eq!(words("CRM_LastContact"), ["crm", "last", "contact"]);
        assert_eq!(words("IBANCode"), ["iban", "code"]);
        assert_eq!(words("__"), Vec::<String>::new());
    }

    #[test]
    fn the_same_in_other_letters_is_the_same() {
        for (a, b) in [("balance", "BALANCE"), ("lastContact", "last_contact"), ("poutcome", "p_outcome")] {
            assert!((likeness(a, b) - 1.0).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn short_forms_and_slips_are_close_and_strangers_are_not() {
        for (a, b) in [
            ("balance", "bal"),
            ("balance", "acct_balance"),
            ("balance", "blnc"),
            ("marital", "marital_status"),
            ("job", "occupation"),
            ("campaign", "campagin"),
            ("month", "contact_mth"),
        ] {
            assert!(likeness(a, b) > 0.5, "{a} {b}: {}", likeness(a, b));
        }
        for (a, b) in [("age", "language"), ("job", "balance"), ("loan", "day"), ("housing", "poutcome")] {
            assert!(likeness(a, b) < 0.45, "{a} {b}: {}", likeness(a, b));
        }
    }

    proptest::proptest! {
        /// From 0 to 1, whichever way round.
        #[test]
        fn likeness_is_a_share(a in "[a-zA-Z_0-9]{0,20}", b in "[a-zA-Z_0-9]{0,20}") {
            let (there, back) = (likeness(&a, &b), likeness(&b, &a));
            proptest::prop_assert!((0.0..=1.0).contains(&there));
            proptest::prop_assert!((there - back).abs() < 0.2, "{there} {back}");
        }
    }
}
