//! The requests of the load: one template of about 700 bytes whose subject and 32 numbers are overwritten in place before each
//! send, so that no two requests are alike and making one costs a fraction of a microsecond.

/// Number of features of the benchmark's model.
pub(crate) const FEATURES: usize = 32;

/// A request that can be made different again and again.
#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    subject: usize,
    numbers: Vec<usize>,
    state: u64,
    /// How many different subjects are sent; `u64::MAX` when every request is another one.
    subjects: u64,
}

/// Digits of a subject.
const SUBJECT: usize = 12;
/// Digits of a number behind its sign and `0.`.
const DIGITS: usize = 6;

impl Request {
    /// A request to this path; `seed` decides the sequence of inputs, `subjects` bounds how many people they are about.
    pub(crate) fn new(path: &str, key: &str, seed: u64, subjects: u64) -> Self {
        let mut body = format!("{{\"input\":{{\"id\":\"{}\"", "0".repeat(SUBJECT));
        for feature in 0..FEATURES {
            body.push_str(&format!(",\"f{feature:02}\":0.{}", "0".repeat(DIGITS)));
        }
        body.push_str("}}");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let text = head + &body;
        let subject = text.find("\"id\":\"").map_or(0, |at| at + 6);
        let numbers = text.match_indices(":0.").map(|(at, _)| at + 3).collect();
        Self { bytes: text.into_bytes(), subject, numbers, state: 1, subjects }.seeded(seed)
    }

    /// The same request with another sequence of inputs, as each connection needs it.
    pub(crate) fn seeded(&self, seed: u64) -> Self {
        let mixed = self.state ^ seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { state: mixed | 1, ..self.clone() }
    }

    /// The next request's bytes.
    pub(crate) fn next(&mut self) -> &[u8] {
        let subject = self.random() % self.subjects % 10_u64.pow(SUBJECT as u32);
        write_digits(&mut self.bytes, self.subject, SUBJECT, subject);
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
                let at = request.subject;
                request.next()[at..at + SUBJECT].to_vec()
            })
            .collect();
        assert_eq!(seen.len(), 2);
    }
}
