//! Makes inputs out of inputs: bytes flipped, ranges taken out, doubled, moved or exchanged with another input's, numbers at their
//! ends, words of the target's language, brackets a thousand deep. All from one seed.

use tendon_testkit::Rng;

/// Longest input that is made.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Numbers at which arithmetic ends.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "127",
    "256",
    "65535",
    "2147483647",
    "-2147483649",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e-400",
    "-0.0",
    "1e999",
    "NaN",
    "Infinity",
    "0x7f",
    "1_000",
    "٣",
];

/// Bytes that mean something to many languages.
const BYTES: &[u8] = b"\0\t\n\r \"'\\/{}[]()<>:;,.|&!?*+-=%#@$~^`0aZ\x7f\x80\xc0\xe2\xff";

/// Makes an input from another one; the pool is where parts of it may come from. `words`: of the target's language.
pub(crate) fn mutate(rng: &mut Rng, base: &[u8], pool: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = base.to_vec();
    // Mostly one change: of several, one that breaks everything hides the others.
    let more = if rng.chance(2, 3) { 0 } else { rng.below(4) };
    for _ in 0..=more {
        step(rng, &mut input, pool, words);
    }
    input.truncate(LONGEST);
    input
}

/// A range inside of so many bytes, mostly a short one.
fn range(rng: &mut Rng, len: usize) -> (usize, usize) {
    let start = rng.index(len.max(1));
    let most = if rng.chance(3, 4) { 16 } else { len };
    (start.min(len), (start + rng.index(most.max(1)) + 1).min(len))
}

fn step(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>], words: &[&str]) {
    let len = input.len();
    let (start, end) = range(rng, len);
    match rng.below(12) {
        0 if len > 0 => input[start.min(len - 1)] ^= 1 << rng.below(8),
        1 if len > 0 => input[start.min(len - 1)] = BYTES[rng.index(BYTES.len())],
        2 => drop(input.drain(start..end)),
        3 => {
            let part = input[start..end].to_vec();
            insert(input, end, &part);
        }
        4 => {
            let count = rng.index(8) + 1;
            let bytes = rng.bytes(count);
            insert(input, start, &bytes);
        }
        5 | 6 if !words.is_empty() => insert(input, start, words[rng.index(words.len())].as_bytes()),
        7 => {
            let other = &pool[rng.index(pool.len())];
            let (from, to) = range(rng, other.len());
            let part = other[from..to].to_vec();
            input.splice(start..end, part);
        }
        8 => number(rng, input, start),
        9 => {
            let (other, to) = range(rng, len);
            let part = input[other..to].to_vec();
            input.splice(start..end, part);
        }
        10 => deep(rng, input, start, end),
        11 => input.truncate(start),
        _ => insert(input, start, &[BYTES[rng.index(BYTES.len())]]),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if input.len() + bytes.len() <= LONGEST {
        input.splice(at..at, bytes.iter().copied());
    }
}

/// Puts another number where one stands, at or behind a place.
fn number(rng: &mut Rng, input: &mut Vec<u8>, from: usize) {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let number = NUMBERS[rng.index(NUMBERS.len())].as_bytes().iter().copied();
    let Some(start) = input[from..].iter().position(digit).map(|at| from + at) else { return };
    let end = input[start..].iter().position(|byte| !digit(byte)).map_or(input.len(), |at| start + at);
    input.splice(start..end, number);
}

/// Repeats a short part so often that whoever follows it by calling himself runs out of stack.
fn deep(rng: &mut Rng, input: &mut Vec<u8>, start: usize, end: usize) {
    let part = if rng.chance(1, 2) {
        let openers = ["(", "[", "{", "-", "!", "a.", "{\"a\":", "[[", "- ", "? ", "a: ", "not ", "1+", "f(", "a?b:"];
        openers[rng.index(openers.len())].as_bytes().to_vec()
    } else {
        input[start..end.min(start + 8)].to_vec()
    };
    let times = 1 << rng.below(13);
    insert(input, start, &part.repeat(times));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_they_differ() {
        let pool = [b"{\"age\": 40}".to_vec(), Vec::new(), b"x".to_vec()];
        let make = |seed| {
            let mut rng = Rng::new(seed);
            (0..2000).map(|at| mutate(&mut rng, &pool[at % pool.len()], &pool, &["word"])).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        let mut made = make(2);
        assert!(made.iter().all(|input| input.len() <= LONGEST) && made.iter().any(|input| input.len() > 4000));
        made.sort();
        made.dedup();
        assert!(made.len() > 700, "{} different inputs of 2000", made.len());
    }
}
