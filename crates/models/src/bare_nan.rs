//! JSON as some trainers write it, with the bare words `NaN` and `Infinity` where a number does not count. JSON has no such
//! words: they become `null`.

use std::borrow::Cow;

const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];

/// The bytes with bare words replaced outside of texts.
pub(crate) fn without_bare_words(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.windows(3).any(|word| word == b"NaN" || word == b"Inf") {
        return Cow::Borrowed(bytes);
    }
    let mut clean = Vec::with_capacity(bytes.len() + 64);
    let (mut rest, mut in_text) = (bytes, false);
    while let Some((byte, behind)) = rest.split_first() {
        let word = WORDS.iter().find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            clean.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            continue;
        }
        clean.push(*byte);
        rest = behind;
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => {
                let Some((escaped, behind)) = rest.split_first() else { break };
                clean.push(*escaped);
                rest = behind;
            }
            _ => {}
        }
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_become_null_and_texts_stay() {
        let clean = |text: &str| String::from_utf8(without_bare_words(text.as_bytes()).into_owned()).unwrap();
        assert_eq!(clean("[NaN,1,-Infinity,Infinity]"), "[null,1,null,null]");
        let text = r#"{"NaN \" NaN": "\\", "Infinity": "NaN"}"#;
        assert_eq!(clean(text), text);
        assert_eq!(clean(r#"["\\",NaN]"#), r#"["\\",null]"#);
        assert_eq!(clean(r#""\"#), r#""\"#);
        assert!(matches!(without_bare_words(b"[1]"), Cow::Borrowed(_)));
    }
}
