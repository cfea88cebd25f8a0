//! The requests of the load: one template of about 700 bytes whose subject and 32 numbers are overwritten in place before each
//! send, so that no two requests are alike and making one costs a fraction of a microsecond.

/// Number of features of the benchmark's model.
pub(crate) const FEATURES: usize = 32;

/// A request that can be made different again and again.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    subject: Option<usize>,
    /// Where a name stands that no other request has (an idempotency key).
    name: Option<usize>,
    numbers: Vec<usize>,
    state: u64,
    /// How many different subjects are sent; `u64::MAX` when every request is another one.
    subjects: u64,
}

/// Digits of a subject.
const SUBJECT: usize = 12;
/// Digits of a number behind its sign and `0.`.
const DIGITS: usize = 6;
/// What [`Request::of`] replaces by a name that no other request has.
pub(crate) const NAME: &str = "################";

impl Request {
    /// A request to this path; `seed` decides the sequence of inputs, `subjects` bounds how many people they are about.
    pub(crate) fn new(path: &str, key: &str, seed: u64, subjects: u64) -> Self {
        Self::of(path, &[("authorization", &format!("Bearer {key}"))], &question(), seed, subjects)
    }

    /// A request with these headers and any JSON body that holds a subject and numbers as [`question`] and [`numbers`] write
    /// them. The same seed asks the same, whatever the body looks like.
    pub(crate) fn of(path: &str, headers: &[(&str, &str)], body: &str, seed: u64, subjects: u64) -> Self {
        let mut text = format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        let subject = text.find(&format!("\"{}\"", "0".repeat(SUBJECT))).map(|at| at + 1);
        let name = text.find(NAME);
        let numbers = text.match_indices(&number()).map(|(at, _)| at + 2).collect();
        Self { bytes: text.into_bytes(), subject, name, numbers, state: 1, subjects }.seeded(seed)
    }

    /// The same request with another sequence of inputs, as each connection needs it.
    pub(crate) fn seeded(&self, seed: u64) -> Self {
        let mixed = self.state ^ seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { state: mixed | 1, ..self.clone() }
    }

    /// The same request about so many people.
    pub(crate) fn about(&self, subjects: u64) -> Self {
        Self { subjects, ..self.clone() }
    }

    /// The next request's bytes.
    pub(crate) fn next(&mut self) -> &[u8] {
        let subject = self.random() % self.subjects % 10_u64.pow(SUBJECT as u32);
        if let Some(at) = self.subject {
            write_digits(&mut self.bytes, at, SUBJECT, subject);
        }
        if let Some(at) = self.name {
            let name = self.state;
            write_digits(&mut self.bytes, at, NAME.len(), name);
        }
        for pair in 0..self.numbers.len() / 2 {
            let random = self.random();
            for (offset, shift) in [(0, 0), (1, 32)] {
                if let Some(at) = self.numbers.get(pair * 2 + offset) {
                    write_digits(&mut self.bytes, *at, DIGITS, (random >> shift) & 0xffff_ffff);
                }
            }
        }
        &self.bytes
    }

    /// The next request's body: the object with the input.
    pub(crate) fn next_body(&mut self) -> &[u8] {
        let bytes = self.next();
        let start = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        bytes.get(start..).unwrap_or_default()
    }

    /// xorshift64*: enough to make inputs differ.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
    }
}

/// The body of a question: an object with the subject and all features.
pub(crate) fn question() -> String {
    let mut body = format!("{{\"input\":{{\"id\":\"{}\"", "0".repeat(SUBJECT));
    for feature in 0..FEATURES {
        body.push_str(&format!(",\"f{feature:02}\":{}", number()));
    }
    body.push_str("}}");
    body
}

/// All features as a list without names.
pub(crate) fn numbers() -> String {
    vec![number(); FEATURES].join(",")
}

fn number() -> String {
    format!("0.{}", "0".repeat(DIGITS))
}

/// Writes the last `count` decimal digits of the number.
fn write_digits(bytes: &mut [u8], at: usize, count: usize, mut number: u64) {
    for byte in bytes.iter_mut().skip(at).take(count).rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_and_stay_whole() {
        let mut request = Request::new(
            "/v1/integrations/bench/decisions",
            "tdn_0123456789012345678901234567890123456789",
            7,
            u64::MAX,
        );
        let (one, two) = (request.next().to_vec(), request.next().to_vec());
        assert_ne!(one, two);
        for bytes in [one, two] {
            let text = String::from_utf8(bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["input"].as_object().unwrap().len(), FEATURES + 1);
            assert!((650..=750).contains(&text.len()), "{}", text.len());
        }
    }

    #[test]
    fn subjects_can_be_few() {
        let mut request = Request::new("/v1/x", "key", 7, 2);
        let seen: std::collections::BTreeSet<Vec<u8>> = (0..50)
            .map(|_| {
                let at = request.subject.unwrap();
                request.next()[at..at + SUBJECT].to_vec()
            })
            .collect();
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn bodies_of_another_shape_ask_the_same_under_a_name_of_their_own() {
        let list = format!("{{\"inputs\":[{{\"data\":[{}]}}]}}", numbers());
        let mut named = Request::of("/", &[("idempotency-key", NAME)], &question(), 7, 1000);
        let mut plain = Request::of("/", &[], &list, 7, 1000);
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let body: serde_json::Value = serde_json::from_slice(plain.next_body()).unwrap();
            let text = String::from_utf8(named.next().to_vec()).unwrap();
            let (head, question) = text.split_once("\r\n\r\n").unwrap();
            let question: serde_json::Value = serde_json::from_str(question).unwrap();
            for (feature, number) in body["inputs"][0]["data"].as_array().unwrap().iter().enumerate() {
                assert_eq!(question["input"][format!("f{feature:02}")], *number);
            }
            names.insert(head.split_once("idempotency-key: ").unwrap().1[..NAME.len()].to_owned());
        }
        assert_eq!(names.len(), 50);
    }
}
