//! Which values of a dead letter a person may change, and what they wrote as values of the fields' types. Pure.

use tendon_kernel::{Error, ErrorKind, Result, Timestamp, Type, Value, decision::Delivery, schema::Field};
use tendon_plan::plan::{IntegrationPlan, TargetPlan};

/// A value that a delivery writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The field, as the plan in force knows it.
    pub field: Field,
    /// Its value.
    pub value: Value,
    /// Whether it may be changed: all but the time by which writes of one row have their order.
    pub open: bool,
}

/// What a delivery writes, field by field.
///
/// # Errors
/// `Unsupported` where the plan in force does not write it any more as it did: then nobody knows what would be right.
pub fn written(delivery: &Delivery, plan: Option<&IntegrationPlan>) -> Result<Vec<Written>> {
    let target = plan.and_then(|plan| plan.events.as_ref()).and_then(|events| events.target.as_ref());
    let same = |target: &&TargetPlan| target.system == delivery.system && target.resource == delivery.resource;
    let target = target.filter(same).ok_or_else(unknown)?;
    let stamp = delivery.older.as_ref().map(|(name, _)| name.as_str());
    let one = |(name, value): &(String, Value)| {
        let field = target.fields.iter().find(|field| *field.name == **name).ok_or_else(unknown)?;
        let open = stamp != Some(name) && target.stamp.as_deref() != Some(name);
        Ok(Written { field: field.clone(), value: value.clone(), open })
    };
    delivery.set.iter().map(one).collect()
}

/// Refuses a name that is no value which may be changed, and says which are.
///
/// # Errors
/// `Invalid` at the first of them.
pub fn open<'n>(written: &[Written], mut names: impl Iterator<Item = &'n str>) -> Result<()> {
    let open: Vec<&str> = written.iter().filter(|one| one.open).map(|one| &*one.field.name).collect();
    let Some(name) = names.find(|name| !open.contains(name)) else { return Ok(()) };
    Err(fixed(name).hint(if open.is_empty() {
        "nothing of this letter can be changed: put its row right in its own system, then retry it as it is".to_owned()
    } else {
        format!("these can be changed: {}", open.join(", "))
    }))
}

/// A value as a person edits it; `read` gives the same back.
pub fn text(value: &Value) -> String {
    if *value == Value::Null { String::new() } else { value.to_string() }
}

/// What a person wrote, as values: those that are others now.
///
/// # Errors
/// `Invalid` at the first field whose text is none of its type.
pub fn read(written: &[Written], given: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, Value)>> {
    let mut changed = Vec::new();
    for one in written.iter().filter(|one| one.open) {
        let Some(given) = given(&one.field.name) else { continue };
        // Who leaves a value as it is shown changes nothing, whatever its text would be read as.
        if same(&given, &text(&one.value), one.field.kind) {
            continue;
        }
        changed.push((one.field.name.to_string(), typed(&one.field, &given)?));
    }
    Ok(changed)
}

/// Whether two texts are the same to whoever reads them on a page: browsers end lines in their own way.
fn same(one: &str, other: &str, kind: Type) -> bool {
    let [one, other] = [one, other].map(|text| text.replace("\r\n", "\n").replace('\r', "\n"));
    if kind == Type::Text { one == other } else { one.trim() == other.trim() }
}

fn typed(field: &Field, given: &str) -> Result<Value> {
    let text = given.trim();
    let wrong = |what: String, hint: &'static str| {
        Error::new(ErrorKind::Invalid, "value_wrong", format!("{}: {what}", field.name)).at(&*field.name).hint(hint)
    };
    if text.is_empty() && (field.kind != Type::Text || !field.required) {
        if field.required {
            return Err(wrong("a value has to be there".to_owned(), "the system takes no empty value in this field"));
        }
        return Ok(Value::Null);
    }
    let (value, hint) = match field.kind {
        Type::Bool => (text.parse().ok().map(Value::Bool), "write true or false"),
        Type::Int => (text.parse().ok().map(Value::Int), "write a whole number, like 42"),
        Type::Float => {
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            (number.map(Value::Float), "write a number like 0.75, with a point")
        }
        Type::Time => (Timestamp::parse(text).ok().map(Value::Time), "write it like 2026-05-17T10:00:00Z"),
        // One of a list is meant without the blanks around it; any other text as it was typed.
        Type::Text => (Some(Value::Text(if field.values.is_empty() { given } else { text }.into())), ""),
    };
    let value = value.ok_or_else(|| wrong(format!("this is no {}", field.kind), hint))?;
    if let (Some((least, most)), Some(number)) = (field.range, number(&value))
        && !(least..=most).contains(&number)
    {
        return Err(wrong(format!("it has to lie between {least} and {most}"), "the field's declared range"));
    }
    if !field.values.is_empty() && !field.values.iter().any(|known| **known == *text) {
        return Err(wrong(format!("it has to be one of {}", field.values.join(", ")), "the field's declared values"));
    }
    if field.max_length.is_some_and(|most| text.len() > most) {
        return Err(wrong("the text is too long for the field".to_owned(), "make it shorter"));
    }
    Ok(value)
}

#[expect(clippy::cast_precision_loss, reason = "compared with a declared bound, which is a float")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

pub(super) fn fixed(name: &str) -> Error {
    Error::new(ErrorKind::Invalid, "field_fixed", format!("{name} is no field of the delivery that can be changed"))
        .at(name)
        .hint("only values that the decision writes can be changed, and not the time by which it goes before or after others")
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "letter_not_editable",
        "the plan in force does not write this as it was to be written",
    )
    .hint("retry it as it is, or change the row in its own system")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(kind: Type, required: bool, value: Value) -> Written {
        Written { field: Field { required, ..Field::new("x", kind) }, value, open: true }
    }

    fn wrote(kind: Type, required: bool, given: &str) -> Result<Vec<(String, Value)>> {
        // Nobody writes that by chance.
        read(&[one(kind, required, Value::Text("\u{1}before".into()))], |_| Some(given.to_owned()))
    }

    #[test]
    fn a_text_is_a_value_of_the_field_or_the_error_says_what_to_write() {
        for (kind, good, value) in [
            (Type::Bool, "true", Value::Bool(true)),
            (Type::Int, " 42 ", Value::Int(42)),
            (Type::Float, "0.75", Value::Float(0.75)),
            (Type::Text, "red", Value::Text("red".into())),
            (Type::Time, "1970-01-01T00:00:01Z", Value::Time(Timestamp(1_000_000))),
            (Type::Float, "", Value::Null),
            (Type::Text, "", Value::Null),
        ] {
            assert_eq!(wrote(kind, false, good).unwrap(), [("x".to_owned(), value)], "{kind} {good}");
        }
        for (kind, bad) in
            [(Type::Bool, "yes"), (Type::Int, "4.5"), (Type::Float, "0,75"), (Type::Float, "NaN"), (Type::Time, "now")]
        {
            let error = wrote(kind, false, bad).unwrap_err();
            assert_eq!((error.code(), error.hint_text().is_some()), ("value_wrong", true), "{kind} {bad}");
        }
        assert!(wrote(Type::Int, true, "").is_err());
        assert_eq!(wrote(Type::Text, true, "").unwrap(), [("x".to_owned(), Value::Text("".into()))]);
        let mut ranged = one(Type::Float, true, Value::Float(0.5));
        ranged.field.range = Some((0.0, 1.0));
        assert!(read(&[ranged.clone()], |_| Some("1.5".to_owned())).is_err());
        ranged.open = false;
        assert_eq!(read(&[ranged], |_| Some("0.7".to_owned())).unwrap(), []);
    }

    #[test]
    fn lines_that_a_browser_ended_its_way_are_the_same_and_blanks_of_a_text_are_kept() {
        let written = one(Type::Text, true, Value::Text("one\r\ntwo\rthree".into()));
        for same in ["one\ntwo\nthree", "one\r\ntwo\r\nthree"] {
            assert_eq!(read(std::slice::from_ref(&written), |_| Some(same.to_owned())).unwrap(), []);
        }
        let other = " one\ntwo\nthree";
        let changed = ("x".to_owned(), Value::Text(other.into()));
        assert_eq!(read(&[written], |_| Some(other.to_owned())).unwrap(), [changed]);
    }

    #[test]
    fn a_name_that_cannot_be_changed_is_refused_with_those_that_can() {
        let mut stamp = one(Type::Time, true, Value::Null);
        (stamp.field.name, stamp.open) = ("at".into(), false);
        let written = [one(Type::Int, true, Value::Int(1)), stamp];
        assert!(open(&written, ["x"].into_iter()).is_ok());
        for wrong in ["at", "y", ""] {
            let error = open(&written, ["x", wrong].into_iter()).unwrap_err();
            assert_eq!((error.code(), error.hint_text()), ("field_fixed", Some("these can be changed: x")), "{wrong}");
        }
        assert!(open(&[], ["x"].into_iter()).unwrap_err().hint_text().unwrap().contains("as it is"));
    }

    proptest! {
        #[test]
        fn what_is_left_as_it_is_shown_is_not_changed(bits in any::<f64>(), whole in any::<i64>(), words in ".{0,20}") {
            for value in [Value::Float(bits), Value::Int(whole), Value::Text(words.as_str().into()), Value::Null] {
                let shown = text(&value);
                prop_assert_eq!(read(&[one(Type::Float, true, value)], |_| Some(shown.clone())).unwrap(), []);
            }
        }
    }
}
