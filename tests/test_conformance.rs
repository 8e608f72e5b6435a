//! The conformance suite on every store of this crate, each by its type and erased.

mod postgres_support;
mod util;

use api_tokens::{DynTokenStore, MemoryStore, SqliteOptions, SqliteStore, conformance_tests};
use tempfile::TempDir;

fn sqlite() -> (SqliteStore, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = SqliteOptions::new(directory.path().join("tokens.db"));
    options.migrate().expect("migrate");
    (options.open().expect("open"), directory)
}

/// Ends the test where there is no server.
macro_rules! postgres {
    ($make:expr) => {{
        let Some(store) = postgres_support::store().await else { return };
        (($make)(store), ())
    }};
}

mod memory {
    use super::*;
    conformance_tests! { #[tokio::test] (MemoryStore::new(), ()) }
}

mod memory_erased {
    use super::*;
    conformance_tests! {
        #[tokio::test]
        (DynTokenStore::new(MemoryStore::new()), ())
    }
}

mod sqlite_current_thread {
    use super::*;
    conformance_tests! { #[tokio::test] sqlite() }
}

mod sqlite_multi_thread {
    use super::*;
    conformance_tests! { #[tokio::test(flavor = "multi_thread", worker_threads = 4)] sqlite() }
}

mod sqlite_erased {
    use super::*;
    conformance_tests! {
        #[tokio::test]
        {
            let (store, directory) = sqlite();
            (DynTokenStore::new(store), directory)
        }
    }
}

mod postgres_current_thread {
    use super::*;
    conformance_tests! { #[tokio::test] postgres!(|store| store) }
}

mod postgres_multi_thread {
    use super::*;
    conformance_tests! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        postgres!(|store| store)
    }
}

/// Reads are commits there.
mod postgres_confirmed_reads {
    use super::*;
    conformance_tests! {
        #[tokio::test]
        {
            let Some(options) = postgres_support::options() else { return };
            let options = options.confirmed_reads(true);
            options.migrate().await.expect("migrate");
            (options.open().await.expect("open"), ())
        }
    }
}

mod postgres_erased {
    use super::*;
    conformance_tests! { #[tokio::test] postgres!(DynTokenStore::new) }
}

/// The macro lists the functions by hand; a promise that is not listed is not tested.
#[test]
fn the_macro_lists_every_function() {
    let macro_source = include_str!("../src/testing/conformance.rs");
    let modules = macro_source.lines().filter_map(|line| line.strip_prefix("mod "));
    let mut functions = Vec::new();
    for module in modules {
        let module = module.trim_end_matches(';');
        let path = format!("{}/src/testing/conformance/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).expect("a module of the suite");
        let names = source.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        let names: Vec<_> =
            names.filter_map(|line| line.split('(').next()).map(str::to_owned).collect();
        assert!(!names.is_empty(), "{module}");
        functions.extend(names);
    }
    assert!(functions.len() > 30, "{functions:?}");
    let list = macro_source.split("@each").nth(1).expect("the list in the macro");
    let listed: Vec<&str> = list.lines().skip(1).map(str::trim).take(functions.len()).collect();
    assert_eq!(listed, functions);
    assert_eq!(list.lines().nth(functions.len() + 1).map(str::trim), Some("}"), "the list's end");
}
