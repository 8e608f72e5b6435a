//! Names that people may give their tokens, read back by the parsers of others.

use std::{fs, path::Path};

use api_tokens::{
    Prefix, Token,
    leak::{Rules, Scanner},
};
use proptest::{
    collection::vec,
    prelude::{Strategy, any, prop_oneof},
    sample::select,
    strategy::ValueTree,
    test_runner::TestRunner,
};
use rand::{SeedableRng, rngs::ChaCha12Rng};
use serde_json::Value;

use crate::{
    scanners::{DETECT_SECRETS, Installed, KINGFISHER, run},
    util::or_skip,
};

const URL: &str = "https://[2001:db8::1]:8443/a-b_c.d~e%20f/token";

/// What ends or changes a string in one of the formats, or in a template.
const HARD: [&str; 38] = [
    "\"",
    "'",
    "\\",
    "\\\"",
    "\"\"\"",
    "'''",
    "`",
    "```",
    "#",
    " #",
    ": ",
    "- ",
    "{{ TOKEN }}",
    "{%",
    "%}",
    "${a}",
    "$1",
    "%s",
    "{}",
    "{0}",
    "[",
    "]",
    ",",
    "&a",
    "*a",
    "!",
    "|",
    ">",
    "@",
    "~",
    "null",
    "\\u0041",
    "\\x41",
    "-->",
    "\u{fffe}",
    "\u{ffff}",
    "é",
    "😀",
];

/// The same in every run.
fn names(count: usize) -> Vec<String> {
    let part = prop_oneof![
        select(&HARD[..]).prop_map(str::to_owned),
        any::<char>().prop_map(String::from)
    ];
    let name = vec(part, 1..12).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::deterministic();
    let mut names: Vec<String> = HARD.iter().map(|&name| name.to_owned()).collect();
    while names.len() < count {
        let name = name.new_tree(&mut runner).expect("a name").current();
        if Rules::new(&name, prefix(0)).is_ok() {
            names.push(name);
        }
    }
    names
}

fn prefix(number: usize) -> Prefix {
    Prefix::new(&format!("p{number}")).expect("a prefix")
}

fn rules(number: usize, name: &str) -> Rules {
    let rules = Rules::new(name, prefix(number)).expect("a name");
    rules.with_live_check(URL).expect("a URL")
}

/// With Python's usual parser of YAML, its own of TOML and JSON, and detect-secrets' of plugins.
const READ: &str = r#"
import json, pathlib, sys, tomllib, yaml
from detect_secrets.core.plugins.util import get_plugins_from_file

def read(place):
    text = lambda name: (place / name).read_text()
    kingfisher = yaml.safe_load(text("kingfisher.yml"))["rules"][0]
    gitleaks = tomllib.loads(text("gitleaks.toml"))
    betterleaks = tomllib.loads(text("betterleaks.toml"))
    plugin, = get_plugins_from_file(str(place / "detect_secrets_plugin.py"))
    secretlint = json.loads(text("secretlintrc.json"))["rules"][0]["options"]["patterns"][0]
    return {
        "names": {
            "kingfisher": kingfisher["name"],
            "gitleaks": gitleaks["rules"][0]["description"],
            "gitleaks title": gitleaks["title"],
            "betterleaks": betterleaks["rules"][0]["description"],
            "trufflehog": yaml.safe_load(text("trufflehog.yml"))["detectors"][0]["name"],
            "detect-secrets": plugin.secret_type,
            "secretlint": secretlint["name"],
            "semgrep": yaml.safe_load(text("semgrep.yml"))["rules"][0]["message"],
        },
        "patterns": [
            kingfisher["pattern"].strip("()"),
            gitleaks["rules"][0]["regex"],
            betterleaks["rules"][0]["regex"],
            yaml.safe_load(text("trufflehog.yml"))["detectors"][0]["regex"]["token"].strip("()"),
            plugin.denylist[0].pattern,
            secretlint["patterns"][0].strip("/"),
            yaml.safe_load(text("semgrep.yml"))["rules"][0]["pattern-regex"],
        ],
        "urls": [
            kingfisher["validation"]["content"]["request"]["url"],
            kingfisher["revocation"]["content"]["request"]["url"],
            betterleaks["rules"][0]["validate"].split('"')[1],
        ],
    }

places = sorted(pathlib.Path(sys.argv[1]).iterdir(), key=lambda place: int(place.name))
print(json.dumps([read(place) for place in places]))
"#;

#[test]
fn are_read_back() {
    let Some(python) = or_skip("Python", Installed::python(&DETECT_SECRETS)) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let names = names(300);
    for (number, name) in names.iter().enumerate() {
        let place = directory.path().join(number.to_string());
        fs::create_dir(&place).expect("a directory");
        for scanner in Scanner::ALL {
            let file = rules(number, name).file(scanner);
            fs::write(place.join(file.name), file.contents).expect("a file");
        }
    }
    let mut command = python.program("bin/python3", directory.path());
    let output = run(command.args(["-c", READ, "."]), &[0]);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(all.len(), names.len());
    for (number, (name, read)) in names.iter().zip(&all).enumerate() {
        for (place, value) in read["names"].as_object().expect("an object") {
            let value = value.as_str().expect("text");
            let value = value.strip_suffix(": revoke it, then remove it").unwrap_or(value);
            assert_eq!(value, name.trim(), "{place}");
        }
        for pattern in read["patterns"].as_array().expect("a list") {
            let shape = "[0-9A-Za-z]{16}_[0-9A-Za-z]{39}[0-4][0-9A-Za-z]{5}";
            assert_eq!(*pattern, format!("p{number}_{shape}"));
        }
        assert_eq!(read["urls"], serde_json::json!([URL, URL, URL]), "{name:?}");
        for file in ["github-custom-patterns.md", "github-partner.md"] {
            let path = directory.path().join(number.to_string()).join(file);
            let text = fs::read_to_string(path).expect("a file");
            assert!(text.contains(&format!("ame:\n\n    {}\n\n", name.trim())), "{text}");
        }
    }
}

/// With a token for each rule, since it shows the name of none that found nothing.
#[test]
fn are_shown_by_kingfisher() {
    let Some(kingfisher) = or_skip("Kingfisher", Installed::python(&KINGFISHER)) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let at = |path: &str| directory.path().join(path);
    fs::create_dir(at("rules")).expect("a directory");
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let mut tokens = String::new();
    let names = names(100);
    for (number, name) in names.iter().enumerate() {
        let file = rules(number, name).file(Scanner::Kingfisher);
        fs::write(at(&format!("rules/{number}.yml")), file.contents).expect("a file");
        let token = Token::generate(&prefix(number), &mut rng).expect("random numbers");
        tokens.extend([token.expose_secret(), "\n"]);
    }
    fs::write(at("tokens.txt"), tokens).expect("a file");
    let shown = kingfisher.kingfisher_names(directory.path(), Path::new("rules"));
    let names: Vec<_> = names.iter().map(|name| name.trim().to_owned()).collect();
    assert_eq!(shown, names);
}
