//! Lets the systems themselves, installed from their registries, issue tokens: what they store is
//! what the formats expect. `tests/data/imported` has what they stored once.

mod import_support;
mod packages_support;
mod util;

use std::{fs, path::PathBuf, process::Command};

use api_tokens::ImportError;
use import_support::{System, tokens};
use packages_support::{node_packages, output, succeed, virtual_environment};
use serde_json::Value;
use util::or_skip;

const DJANGO_KEYS: &str = include_str!("import_support/django_keys.py");
const HASHED: &str = include_str!("import_support/hashed.py");
const BETTER_AUTH: &str = include_str!("import_support/better_auth.mjs");

const DJANGO: [&str; 4] = [
    "Django==5.2.19",
    "djangorestframework==3.18.3",
    "djangorestframework-api-key==3.1.0",
    "django-rest-knox==5.1.0",
];

/// Before both changed their digests.
const DJANGO_EARLIER: [&str; 4] = [
    "Django==5.2.19",
    "djangorestframework==3.18.3",
    "djangorestframework-api-key==2.3.0",
    "django-rest-knox==4.2.0",
];

/// Those below the first two are what they ask for as peers, in versions that fit together.
const NODE: [&str; 6] = [
    "better-auth@1.7.5",
    "@better-auth/api-key@1.7.5",
    "@better-auth/core@1.7.5",
    "@better-auth/utils@0.4.2",
    "better-call@1.4.0",
    "node-sqlite3-wasm@0.8.60",
];

#[test]
fn django_packages() {
    let Some(python) = or_skip("django packages", python_with("django", &DJANGO)) else {
        return;
    };
    for name in ["rest_framework_api_key", "knox"] {
        System::new(name).check(&run(Command::new(&python).args(["-c", DJANGO_KEYS, name])));
    }
}

#[test]
fn earlier_django_packages() {
    let python = python_with("django-earlier", &DJANGO_EARLIER);
    let Some(python) = or_skip("earlier django packages", python) else { return };
    let keys = |name| run(Command::new(&python).args(["-W", "ignore", "-c", DJANGO_KEYS, name]));
    System::new("knox_4").check(&keys("knox"));

    let issued = keys("rest_framework_api_key");
    let system = System::new("rest_framework_api_key");
    for (_, row) in tokens(&issued) {
        assert_eq!(system.import(row), Err(ImportError::PasswordHash), "{row}");
    }
}

#[test]
fn better_auth() {
    let Some(script) = or_skip("better-auth", node_with("better-auth", &NODE)) else { return };
    System::new("better_auth").check(&run(Command::new("node").arg(script)));
}

/// The formats without a system that could be installed: their fixtures are what Python's own
/// hashes give.
#[test]
fn python_hashes() {
    let python = succeed(Command::new("python3").args(["-c", "import hashlib, zlib"]));
    let Some(()) = or_skip("Python's hashes", python) else { return };
    for name in ["sha256", "sanctum"] {
        let issued = run(Command::new("python3").args(["-c", HASHED, name]));
        System::new(name).check(&issued);
    }
}

/// The interpreter of a virtual environment with the packages.
fn python_with(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    Ok(virtual_environment(name, packages)?.join("bin/python3"))
}

/// The script, beside the packages it imports.
fn node_with(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let script = node_packages(name, packages)?.join("keys.mjs");
    fs::write(&script, BETTER_AUTH).map_err(|error| error.to_string())?;
    Ok(script)
}

/// What a script that must not fail printed.
#[track_caller]
fn run(command: &mut Command) -> Value {
    let printed = output(command).unwrap_or_else(|problem| panic!("{problem}"));
    serde_json::from_slice(&printed).unwrap()
}
