//! Drives one target through many inputs in this process: seeds first, then inputs made of those that showed something new. There is
//! no instrumentation, so "new" is what the target itself tells apart: which error, at which place, which way through. Finds panics,
//! broken promises, and use of memory or time that the length of the input does not explain. What kills the process is found by whoever
//! started it: the input under way always stands in a file.

use std::{
    collections::HashSet,
    fs::File,
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::{Duration, Instant},
};

use peak_alloc::PeakAlloc;
use tendon_testkit::Rng;

use crate::{
    mutate::mutate,
    targets::{Run, Target, Verdict},
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What the last panic said, and where.
static SAID: Mutex<String> = Mutex::new(String::new());

/// Most inputs that are kept for being new.
const POOL: usize = 4000;
/// Longest time for one input: far above what any input needs. A machine that pauses does so once, so only an input that is as slow
/// three times is slow. Memory is counted for the whole process, and other threads may take some at that moment: the same holds for it.
const SLOWEST: Duration = Duration::from_secs(2);

/// What a target went through.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Inputs.
    pub(crate) inputs: u64,
    /// Of them, taken and not refused.
    pub(crate) taken: u64,
    /// Outcomes that the target tells apart.
    pub(crate) kinds: usize,
    /// Most memory that one input used.
    pub(crate) memory: usize,
    /// Seconds.
    pub(crate) seconds: f64,
}

/// An input that did what none may do.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) what: String,
    pub(crate) input: Vec<u8>,
}

/// Where panics are noted instead of printed.
pub(crate) fn listen() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut said) = SAID.lock() {
            *said = panic.to_string().replace('\n', " ");
        }
    }));
}

/// Runs one input.
///
/// # Errors
/// A sentence when it did what none may do; its first word says what kind of fault.
pub(crate) fn once(target: &Target, run: &mut dyn Run, input: &[u8], memory: &mut usize) -> Result<Verdict, String> {
    let allowed = target.memory.0 + target.memory.1 * input.len();
    let (mut fastest, mut least) = (Duration::MAX, usize::MAX);
    for _ in 0..3 {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let told = catch_unwind(AssertUnwindSafe(|| run.run(input)));
        fastest = fastest.min(start.elapsed());
        least = least.min(MEMORY.peak_usage().saturating_sub(before));
        let told = told.map_err(|_| format!("panic: {}", SAID.lock().map(|said| said.clone()).unwrap_or_default()))?;
        let verdict = told.map_err(|why| format!("promise: {why}"))?;
        if least <= allowed && fastest <= SLOWEST {
            *memory = least.max(*memory);
            return Ok(verdict);
        }
    }
    if least > allowed {
        return Err(format!("memory: {least} bytes for an input of {}, {allowed} are allowed", input.len()));
    }
    Err(format!("slow: {fastest:?} for an input of {} bytes", input.len()))
}

/// Goes through the seeds and so many inputs made from them. `last` always holds the input under way: eight bytes of length, then
/// the input.
///
/// # Errors
/// The first fault.
pub(crate) fn drive(
    target: &Target,
    run: &mut dyn Run,
    mut pool: Vec<Vec<u8>>,
    (inputs, seed): (u64, u64),
    last: Option<&File>,
) -> Result<Tally, Fault> {
    let mut rng = Rng::stream(seed, target.name);
    let (mut tally, mut seen) = (Tally::default(), HashSet::new());
    let (start, seeds) = (Instant::now(), pool.len());
    // Which inputs of the pool were taken: what is new is mostly a new way to be refused, and behind a refusal nothing is met.
    let mut good: Vec<usize> = Vec::new();
    for at in 0..seeds as u64 + inputs {
        let seed = usize::try_from(at).ok().and_then(|at| pool.get(at).filter(|_| at < seeds).cloned());
        let input = seed.unwrap_or_else(|| {
            let any = rng.index(pool.len());
            let base = if good.is_empty() || rng.chance(1, 2) { any } else { good[rng.index(good.len())] };
            mutate(&mut rng, &pool[base], &pool, target.words)
        });
        if let Some(file) = last {
            let head = (input.len() as u64).to_le_bytes();
            // Whoever starts this looks at the file only when the process died; then a lost note is told as such.
            let _ = file.write_all_at(&[&head[..], &input].concat(), 0);
        }
        match once(target, run, &input, &mut tally.memory) {
            Ok(Verdict { kind, taken }) => {
                tally.taken += u64::from(taken);
                let new = seen.insert(kind) && at >= seeds as u64 && pool.len() < POOL;
                if new {
                    pool.push(input);
                }
                if taken && (new || at < seeds as u64) {
                    good.push(if new { pool.len() - 1 } else { usize::try_from(at).unwrap_or_default() });
                }
            }
            Err(what) => return Err(Fault { what, input }),
        }
        tally.inputs += 1;
    }
    tally.kinds = seen.len();
    tally.seconds = start.elapsed().as_secs_f64();
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::kind;

    /// A parser with a fault of each sort, reached in steps that are told apart.
    struct Faulty(&'static str);

    impl Run for Faulty {
        fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
            let depth = b"BUG!".iter().zip(input).take_while(|(wanted, byte)| wanted == byte).count();
            if depth == 4 {
                match self.0 {
                    "panic" => {
                        return input
                            .get(input.len())
                            .map(|_| Verdict { kind: 0, taken: true })
                            .ok_or_else(|| panic!("bug"));
                    }
                    "memory" => drop(std::hint::black_box(vec![1_u8; 1 << 21])),
                    _ => return Err("it broke".to_owned()),
                }
            }
            Ok(Verdict { kind: kind(&[&depth]), taken: depth > 0 })
        }
    }

    fn target() -> Target {
        Target {
            name: "faulty",
            about: "",
            words: &["B", "U", "G", "!"],
            memory: (1 << 20, 16),
            short: 0,
            open: || unreachable!(),
        }
    }

    #[test]
    fn a_fault_of_each_sort_is_found_by_what_the_target_tells_apart() {
        listen();
        for sort in ["panic", "memory", "promise"] {
            let fault = drive(&target(), &mut Faulty(sort), vec![b"x".to_vec()], (200_000, 1), None).unwrap_err();
            assert!(fault.what.starts_with(sort) && fault.input.starts_with(b"BUG!"), "{sort}: {fault:?}");
        }
    }

    #[test]
    fn the_same_seed_finds_the_same() {
        let find =
            || drive(&target(), &mut Faulty("promise"), vec![b"x".to_vec()], (200_000, 7), None).unwrap_err().input;
        assert_eq!(find(), find());
        assert!(drive(&target(), &mut Faulty("promise"), vec![b"x".to_vec()], (50, 7), None).is_ok());
    }
}
