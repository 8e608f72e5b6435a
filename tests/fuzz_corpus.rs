//! Replays the corpus of the fuzz targets, which otherwise run only where cargo-fuzz does.
//!
//! Not in the published package, nor are the targets.

use std::{fs, path::Path};

use proptest::prelude::*;

#[expect(unreachable_pub, reason = "public in the package of the fuzz targets")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Runs `target` on every file of its corpus. A corpus that is gone would pass unnoticed.
#[track_caller]
fn replay(corpus: &str, target: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let mut replayed = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        // Shown by the test harness if the target panics.
        println!("{}", path.display());
        target(&fs::read(&path).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 10, "only {replayed} files in {}", directory.display());
}

#[test]
fn authorization() {
    replay("authorization", fuzz::authorization);
}

#[test]
fn token() {
    replay("token", fuzz::token);
}

#[test]
fn digest() {
    replay("digest", fuzz::digest);
}

#[test]
fn scopes() {
    replay("scopes", fuzz::scopes);
}

#[test]
fn reports() {
    replay("reports", |data| (0..fuzz::ROUTES).for_each(|route| fuzz::report(data, route)));
}

#[test]
fn finder() {
    replay("finder", fuzz::leak::finder);
}

#[test]
fn redactor() {
    replay("redactor", fuzz::leak::redactor);
}

// Of what the two read as fragments of tokens, random bytes make texts that are worth a try.
proptest! {
    // The slow ways are that, without optimization.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn finder_of_any_fragments(data in prop::collection::vec(any::<u8>(), 0..8)) {
        fuzz::leak::finder(&data);
    }

    #[test]
    fn redactor_of_any_fragments(data in prop::collection::vec(any::<u8>(), 0..8)) {
        fuzz::leak::redactor(&data);
    }
}
