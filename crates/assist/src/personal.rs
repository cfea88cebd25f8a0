//! Which fields likely hold personal data: by the words of their names and by the pattern of their values. A guess that
//! errs towards yes: what it names is left out of `read` until a person lists it.

use tendon_kernel::Value;

use crate::names::words;

/// What kind of personal data a field likely holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// Address of a mailbox.
    Email,
    /// Telephone number.
    Phone,
    /// Bank account.
    Iban,
    /// Name of a person.
    Name,
    /// Date of birth.
    BirthDate,
    /// Where somebody lives.
    Address,
    /// Number by which an authority knows somebody.
    Identity,
}

impl std::fmt::Display for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Iban => "IBAN",
            Self::Name => "name",
            Self::BirthDate => "birth date",
            Self::Address => "address",
            Self::Identity => "identity number",
        })
    }
}

/// Share of the values that must have a pattern.
const MOST: f64 = 0.8;

/// Whether a text has the form of something personal.
type Pattern = fn(&str) -> bool;

/// What a field likely holds, by its name first, then by its values.
pub fn guess<'a>(name: &str, values: impl Iterator<Item = &'a Value> + Clone) -> Option<Personal> {
    by_name(name).or_else(|| by_values(values))
}

fn by_name(name: &str) -> Option<Personal> {
    let words = words(name);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    let whole = words.concat();
    if has(&["email", "mail"]) {
        return Some(Personal::Email);
    }
    if has(&["phone", "telephone", "tel", "mobile", "fax", "msisdn"]) {
        return Some(Personal::Phone);
    }
    if has(&["iban"]) {
        return Some(Personal::Iban);
    }
    if has(&["dob", "birth", "birthday", "birthdate", "born"]) {
        return Some(Personal::BirthDate);
    }
    if has(&["street", "address", "addr"]) && !has(&["ip", "mac"]) {
        return Some(Personal::Address);
    }
    if has(&["ssn", "passport", "taxid", "nin"]) || whole.contains("socialsecurity") {
        return Some(Personal::Identity);
    }
    let of_a_person = has(&[
        "first", "last", "full", "given", "family", "middle", "maiden", "contact", "person", "customer", "client",
    ]);
    let named = has(&["name"]) && (words.len() == 1 || of_a_person);
    let one_word =
        ["surname", "forename", "firstname", "lastname", "fullname"].iter().any(|name| whole.ends_with(name));
    (named || one_word).then_some(Personal::Name)
}

fn by_values<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Option<Personal> {
    let texts = values.clone().filter_map(Value::as_text);
    let patterns: [(Personal, Pattern); 4] = [
        (Personal::Email, is_email),
        (Personal::Iban, is_iban),
        (Personal::Phone, is_phone),
        (Personal::Name, is_name),
    ];
    for (what, matches) in patterns {
        if most(texts.clone(), matches) {
            return Some(what);
        }
    }
    None
}

#[expect(clippy::cast_precision_loss, reason = "a share of at most some thousand rows")]
fn most<'a>(texts: impl Iterator<Item = &'a str>, matches: impl Fn(&str) -> bool) -> bool {
    let (mut all, mut yes) = (0usize, 0usize);
    let mut first = None;
    let mut differ = false;
    for text in texts {
        all += 1;
        yes += usize::from(matches(text));
        differ |= *first.get_or_insert(text) != text;
    }
    all >= 5 && differ && yes as f64 >= MOST * all as f64
}

fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.trim().split_once('@') else { return false };
    let host_fits = host.split('.').count() >= 2 && host.split('.').all(|part| !part.is_empty());
    !user.is_empty() && host_fits && !text.trim().contains(char::is_whitespace)
}

/// With its checksum (ISO 7064): a random text of this form fits in one of 97 cases.
fn is_iban(text: &str) -> bool {
    let compact: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    let form = compact.len() >= 15
        && compact.len() <= 34
        && compact.iter().all(char::is_ascii_alphanumeric)
        && compact.iter().take(2).all(char::is_ascii_alphabetic)
        && compact.iter().skip(2).take(2).all(char::is_ascii_digit);
    let turned = compact.iter().skip(4).chain(compact.iter().take(4));
    form && turned.fold(0u32, |rest, c| {
        let value = c.to_digit(36).unwrap_or(0);
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    }) == 1
}

fn is_phone(text: &str) -> bool {
    let text = text.trim();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let form = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '/' | '.'));
    let marked = text.starts_with('+') || text.starts_with('0') || text.starts_with('(');
    // A date or a decimal number has dots or dashes too, but no such beginning.
    form && marked && (7..=15).contains(&digits) && text.matches('.').count() != 1
}

/// Two or three words, each with one capital in front: `Ada Lovelace`.
fn is_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let capital = |part: &&str| {
        let mut letters = part.chars();
        letters.next().is_some_and(char::is_uppercase)
            && letters.all(|c| c.is_lowercase() || matches!(c, '-' | '\'' | '.'))
    };
    (2..=3).contains(&parts.len()) && parts.iter().all(|part| part.chars().count() >= 2 && capital(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<Value> {
        texts.iter().map(|text| Value::text(text)).collect()
    }

    #[test]
    fn names_tell() {
        let none: [Value; 0] = [];
        for (name, what) in [
            ("email", Personal::Email),
            ("contactEmail", Personal::Email),
            ("PhoneNo", Personal::Phone),
            ("first_name", Personal::Name),
            ("surname", Personal::Name),
            ("name", Personal::Name),
            ("dob", Personal::BirthDate),
            ("birth_date", Personal::BirthDate),
            ("iban", Personal::Iban),
            ("street", Personal::Address),
            ("ssn", Personal::Identity),
        ] {
            assert_eq!(guess(name, none.iter()), Some(what), "{name}");
        }
        for name in ["balance", "product_name", "ip_address", "contact", "age", "job", "month", "marital"] {
            assert_eq!(guess(name, none.iter()), None, "{name}");
        }
    }

    #[test]
    fn values_tell_where_names_do_not() {
        let emails = texts(&["a@b.org", "c.d@e.example", "f+g@h.co.uk", "i@j.de", "k@l.net"]);
        assert_eq!(guess("f7", emails.iter()), Some(Personal::Email));
        // Published example accounts of the standard's registry.
        let ibans = texts(&[
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "FR1420041010050500013M02606",
            "NL91ABNA0417164300",
            "CH9300762011623852957",
        ]);
        assert_eq!(guess("f8", ibans.iter()), Some(Personal::Iban));
        let wrong: Vec<Value> = ibans.iter().map(|one| Value::text(&one.to_string().replace("00", "01"))).collect();
        assert_eq!(guess("f8", wrong.iter()), None);
        let phones = texts(&["+49 30 901820", "030/901820", "(020) 7946 0018", "+1-202-555-0143", "0049 30 901820"]);
        assert_eq!(guess("f9", phones.iter()), Some(Personal::Phone));
        let names = texts(&["Ada Lovelace", "Alan Turing", "Grace Hopper", "Kurt Gödel", "Emmy Noether"]);
        assert_eq!(guess("f10", names.iter()), Some(Personal::Name));
        let others = texts(&["2024-01-02", "3.14159265", "blue-collar", "Blue Collar Worker Class", "cellular"]);
        assert_eq!(guess("f11", others.iter()), None);
    }
}
