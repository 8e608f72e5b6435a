//! Lets the systems themselves, installed from their registries, issue tokens: what they store is
//! what the formats expect. `tests/data/imported` has what they stored once.

mod import_support;
mod util;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use api_tokens::ImportError;
use import_support::{System, tokens};
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
    let Some(python) = or_skip("django packages", virtual_environment("django", &DJANGO)) else {
        return;
    };
    for name in ["rest_framework_api_key", "knox"] {
        System::new(name).check(&run(Command::new(&python).args(["-c", DJANGO_KEYS, name])));
    }
}

#[test]
fn earlier_django_packages() {
    let python = virtual_environment("django-earlier", &DJANGO_EARLIER);
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
    let Some(script) = or_skip("better-auth", node_package("better-auth", &NODE)) else { return };
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

/// A virtual environment of its own, kept for the next time.
fn virtual_environment(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let directory = installed(name, "python3", packages, |directory| {
        let python = directory.join("bin/python3");
        succeed(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        succeed(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(packages))
    })?;
    Ok(directory.join("bin/python3"))
}

/// The script, beside the packages it imports.
fn node_package(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let directory = installed(name, "node", packages, |directory| {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        fs::write(directory.join("package.json"), "{}").map_err(|error| error.to_string())?;
        let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"];
        succeed(Command::new("npm").current_dir(directory).args(options).args(packages))
    })?;
    let script = directory.join("keys.mjs");
    fs::write(&script, BETTER_AUTH).map_err(|error| error.to_string())?;
    Ok(script)
}

/// A directory that `install` filled with these packages for this version of a program, now or
/// earlier.
fn installed(
    name: &str,
    program: &str,
    packages: &[&str],
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import").join(name);
    let version = output(Command::new(program).arg("--version"))?;
    let list = format!("{}{}", String::from_utf8_lossy(&version), packages.join("\n"));
    // Written last, so that an installation that was cut short is made again.
    let finished = directory.join("finished");
    if fs::read_to_string(&finished).is_ok_and(|finished| finished == list) {
        return Ok(directory);
    }
    let _absent = fs::remove_dir_all(&directory);
    install(&directory)?;
    fs::write(&finished, list).map_err(|error| error.to_string())?;
    Ok(directory)
}

fn succeed(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// What a script that must not fail printed.
#[track_caller]
fn run(command: &mut Command) -> Value {
    let printed = output(command).unwrap_or_else(|problem| panic!("{problem}"));
    serde_json::from_slice(&printed).unwrap()
}

fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!(
            "{}: {}{}",
            command.get_program().display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    }
}
