//! Nodes that keep records in memory, a store that keeps its contract, and everything between them
//! that may be slow, fail, stop or come in another order, in virtual time: no verification goes by
//! a record that is older than promised.
//!
//! A run prints its seed. Each schedule has a seed of its own, which is printed when it fails, and
//! chooses all that happens in it:
//!
//! ```sh
//! API_TOKENS_SIMULATION_REPLAY=17 cargo test --test test_simulation # its steps
//! API_TOKENS_SIMULATION_SCHEDULES=1000000 cargo test --release --test test_simulation
//! ```

mod simulation_support;
mod util;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use rand::{TryRng, rngs::SysRng};

use simulation_support::{coverage::Coverage, schedule};
use util::say;

/// More where that is fast: `.ci/run` has it built with optimization.
const SCHEDULES: u64 = if cfg!(debug_assertions) { 3_000 } else { 100_000 };

#[test]
fn no_verification_is_further_behind_than_promised() {
    if let Some(seed) = number("REPLAY") {
        schedule::run(seed, true);
        return;
    }
    let schedules = number("SCHEDULES").unwrap_or(SCHEDULES);
    let first = number("SEED").unwrap_or_else(|| SysRng.try_next_u64().expect("a seed") >> 16);
    say(&format!("API_TOKENS_SIMULATION_SEED={first}"));
    let begun = Instant::now();
    let coverage = run(first, schedules);
    say(&format!("{schedules} schedules in {} s", begun.elapsed().as_secs()));
    // Long: for who asks for it with `--nocapture`, and if the test fails.
    eprintln!("{coverage}");
    if schedules >= SCHEDULES {
        let rare = coverage.rare(schedules, 500);
        assert!(rare.is_empty(), "too rare to show anything: {rare:?}");
    }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let value = env::var(format!("API_TOKENS_SIMULATION_{name}")).ok()?;
    Some(value.parse().expect("a number"))
}

/// Runs the schedules of so many seeds, on all processors.
fn run(first: u64, schedules: u64) -> Coverage {
    let next = AtomicU64::new(0);
    let has_failed = AtomicBool::new(false);
    let lane = || {
        let mut coverage = Coverage::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= schedules || has_failed.load(Ordering::Relaxed) {
                return coverage;
            }
            let seed = first + number;
            match catch_unwind(AssertUnwindSafe(|| schedule::run(seed, false))) {
                Ok(seen) => coverage.add(&seen),
                Err(panic) => {
                    has_failed.store(true, Ordering::Relaxed);
                    say(&format!(
                        "failed: API_TOKENS_SIMULATION_REPLAY={seed}, after {number} others"
                    ));
                    std::panic::resume_unwind(panic);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let start = |_| thread::Builder::new().stack_size(32 << 20).spawn_scoped(scope, lane);
        let lanes: Vec<_> = (0..threads).map(start).collect();
        let mut all = Coverage::default();
        for lane in lanes {
            all.add(&lane.expect("a thread").join().expect("a schedule fails"));
        }
        all
    })
}
