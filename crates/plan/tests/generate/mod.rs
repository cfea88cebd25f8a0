//! Random expressions by type: mostly well typed, now and then with a part of another type. The same number gives the
//! same expression.

struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick(&mut self, from: &[&str]) -> String {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].to_owned()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Int,
    Double,
    Text,
    Time,
    Duration,
}

const KINDS: [Kind; 6] = [Kind::Bool, Kind::Int, Kind::Double, Kind::Text, Kind::Time, Kind::Duration];

/// The expression of a number.
pub(crate) fn expression(number: u64) -> String {
    let mut random = Random(number);
    let kind = KINDS[usize::try_from(random.below(5)).unwrap()];
    make(&mut random, kind, 4)
}

fn make(random: &mut Random, kind: Kind, depth: u64) -> String {
    let kind = if random.below(60) == 0 { KINDS[usize::try_from(random.below(6)).unwrap()] } else { kind };
    if depth == 0 || random.below(5) == 0 {
        return leaf(random, kind);
    }
    let depth = depth - 1;
    if random.below(8) == 0 {
        let (test, yes, no) = (make(random, Kind::Bool, depth), make(random, kind, depth), make(random, kind, depth));
        return format!("({test} ? {yes} : {no})");
    }
    if random.below(8) == 0 {
        return guarded(random, kind, depth);
    }
    match kind {
        Kind::Bool => condition(random, depth),
        Kind::Int => match random.below(7) {
            0 => format!("size({})", make(random, Kind::Text, depth)),
            1 => format!("int({})", make(random, Kind::Double, depth)),
            2 => format!("-({})", make(random, Kind::Int, depth)),
            3 => format!(
                "({}).{}()",
                make(random, Kind::Time, depth),
                random.pick(&["getFullYear", "getMonth", "getDayOfYear", "getHours"])
            ),
            _ => operator(random, kind, &["+", "-", "*", "/", "%"], depth),
        },
        Kind::Double => match random.below(6) {
            0 => format!("double({})", make(random, Kind::Int, depth)),
            1 => format!("days({})", make(random, Kind::Duration, depth)),
            2 => format!("-({})", make(random, Kind::Double, depth)),
            _ => operator(random, kind, &["+", "-", "*", "/"], depth),
        },
        Kind::Text => match random.below(3) {
            0 => {
                let inner = [Kind::Int, Kind::Bool, Kind::Time, Kind::Text][usize::try_from(random.below(4)).unwrap()];
                format!("string({})", make(random, inner, depth))
            }
            _ => operator(random, kind, &["+"], depth),
        },
        Kind::Time => {
            let (time, span) = (make(random, Kind::Time, depth), make(random, Kind::Duration, 0));
            format!("({time} {} {span})", random.pick(&["+", "-"]))
        }
        Kind::Duration => match random.below(3) {
            0 => operator(random, kind, &["+", "-"], depth),
            _ => format!("({} - {})", make(random, Kind::Time, depth), make(random, Kind::Time, depth)),
        },
    }
}

fn operator(random: &mut Random, kind: Kind, signs: &[&str], depth: u64) -> String {
    let (left, right) = (make(random, kind, depth), make(random, kind, depth));
    format!("({left} {} {right})", random.pick(signs))
}

fn condition(random: &mut Random, depth: u64) -> String {
    match random.below(9) {
        0 => format!("!({})", make(random, Kind::Bool, depth)),
        1 | 2 => operator(random, Kind::Bool, &["&&", "||"], depth),
        3 => {
            let (text, part) = (make(random, Kind::Text, depth), make(random, Kind::Text, 0));
            format!("({text}).{}({part})", random.pick(&["contains", "startsWith", "endsWith"]))
        }
        4 => {
            let kind = KINDS[usize::try_from(random.below(4)).unwrap()];
            let items: Vec<String> = (0..random.below(4)).map(|_| make(random, kind, 0)).collect();
            format!("({} in [{}])", make(random, kind, depth), items.join(", "))
        }
        5 => format!("{} {} null", nullable(random).1, random.pick(&["==", "!="])),
        6 => format!("has({})", nullable(random).1),
        _ => {
            let kind = KINDS[usize::try_from(random.below(6)).unwrap()];
            operator(random, kind, &["==", "!=", "<", "<=", ">", ">="], depth)
        }
    }
}

fn nullable(random: &mut Random) -> (Kind, &'static str) {
    let fields = [
        (Kind::Int, "input.ni"),
        (Kind::Double, "input.nd"),
        (Kind::Text, "input.ns"),
        (Kind::Bool, "input.nb"),
        (Kind::Time, "input.nt"),
    ];
    fields[usize::try_from(random.below(5)).unwrap()]
}

/// A use of a nullable field behind a guard of some form, right or nearly right.
fn guarded(random: &mut Random, kind: Kind, depth: u64) -> String {
    let (of, field) = nullable(random);
    let test = random.pick(&[
        "F != null",
        "null != F",
        "has(F)",
        "!(F == null)",
        "!(!has(F))",
        "F == F",
        "F != null && input.b",
    ]);
    let test = test.replace('F', field);
    let other = make(random, kind, depth);
    let used = if of == kind { field.to_owned() } else { make(random, kind, depth) };
    let fits = [Kind::Int, Kind::Double, Kind::Text].contains(&of) && of == kind;
    let used = if fits { format!("({used} + {})", make(random, kind, 0)) } else { used };
    match (kind, random.below(3)) {
        (Kind::Bool, 0) if of == Kind::Bool => format!("({test} && {field})"),
        (Kind::Bool, 1) if of == Kind::Bool => format!("(!({test}) || {field})"),
        (_, 2) => format!("(!({test}) ? {other} : {used})"),
        _ => format!("({test} ? {used} : {other})"),
    }
}

fn leaf(random: &mut Random, kind: Kind) -> String {
    random.pick(match kind {
        Kind::Bool => &["true", "false", "input.b", "input.b", "input.nb"],
        Kind::Int => &["0", "1", "-3", "7", "input.i", "input.i", "9223372036854775807", "input.ni"],
        Kind::Double => &["0.0", "1.5", "-2.25", "1e18", "input.d", "input.d", "output", "input.nd"],
        Kind::Text => &["''", "'a'", "'retired'", "'é'", "input.s", "input.s", "band", "input.ns"],
        Kind::Time => &["now", "input.t", "timestamp('2026-01-01T00:00:00Z')", "timestamp(86400)", "input.nt"],
        Kind::Duration => {
            &["duration('1h')", "duration('-90m')", "duration('36h')", "duration('1.5s')", "(now - input.t)"]
        }
    })
}
