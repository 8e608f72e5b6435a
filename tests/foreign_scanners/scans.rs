//! What each scanner finds with the rules for it.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use api_tokens::leak::{Rules, Scanner};

use crate::{
    corpus::{Corpus, Finds, PREFIXES},
    scanners::{BETTERLEAKS, DETECT_SECRETS, Installed, KINGFISHER, SECRETLINT, SEMGREP},
    util::{or_skip, say},
};

/// The corpus, a file of rules beside it, and all of them within it, where nothing may be found.
struct Scene {
    corpus: Corpus,
    rules: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene =
            Self { corpus: Corpus::new(), rules: tempfile::tempdir().expect("a directory") };
        for scanner in Scanner::ALL {
            let file = rules().file(scanner);
            scene.corpus.add(&format!("rules/{}", file.name), &file.contents);
        }
        scene
    }

    fn rules(&self, scanner: Scanner) -> PathBuf {
        let file = rules().file(scanner);
        self.write(file.name, &file.contents)
    }

    fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.rules.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        path
    }

    /// Every token, and nothing else.
    #[track_caller]
    fn tokens_alone(&self, version: &str, blind: &[&str], scan: impl FnOnce(&Path) -> Finds) {
        let found = self.every_token(version, blind, scan);
        let others: Vec<_> = found.difference(&self.corpus.tokens).collect();
        assert!(others.is_empty(), "{version}: found {others:#?}");
    }

    /// Every token, and perhaps what looks like one. Files whose path ends as `blind` says are
    /// those of which the scanner sees a part.
    #[track_caller]
    fn every_token(
        &self,
        version: &str,
        blind: &[&str],
        scan: impl FnOnce(&Path) -> Finds,
    ) -> Finds {
        let begun = Instant::now();
        let found = scan(self.corpus.path());
        let seconds = begun.elapsed().as_secs_f32();
        let Corpus { tokens, corrupted, .. } = &self.corpus;
        say(&format!(
            "{version}: found {} of {} tokens ({} padded), {} of {} corrupted ones, in {seconds:.1} s",
            found.intersection(tokens).count(),
            tokens.len(),
            self.corpus.padded(),
            found.intersection(corrupted).count(),
            corrupted.len(),
        ));
        let missed: Vec<_> = tokens
            .difference(&found)
            .filter(|(path, _)| !blind.iter().any(|end| path.ends_with(end)))
            .collect();
        assert!(missed.is_empty(), "{version}: missed {missed:#?}");
        let in_rules: Vec<_> = found.iter().filter(|(path, _)| path.starts_with("rules")).collect();
        assert!(in_rules.is_empty(), "{version}: found {in_rules:#?}");
        found
    }
}

const NOWHERE: &[&str] = &[];

fn rules() -> Rules {
    let [first, second] = PREFIXES;
    Rules::new("Acme token", first).expect("a name").with_prefix(second)
}

#[test]
fn kingfisher() {
    let Some(kingfisher) = or_skip("Kingfisher", Installed::python(&KINGFISHER)) else { return };
    let scene = Scene::new();
    let rules = scene.rules(Scanner::Kingfisher);
    scene.tokens_alone(KINGFISHER[0], NOWHERE, |place| kingfisher.kingfisher(place, &rules));
}

#[test]
fn detect_secrets() {
    let installed = Installed::python(&DETECT_SECRETS);
    let Some(detect_secrets) = or_skip("detect-secrets", installed) else { return };
    let scene = Scene::new();
    let rules = scene.rules(Scanner::DetectSecrets);
    let known = &scene.corpus.tokens | &scene.corpus.corrupted;
    // In YAML it looks at the values of keys, and passes over plain items of lists.
    scene.tokens_alone(DETECT_SECRETS[0], &["/list.yaml"], |place| {
        detect_secrets.detect_secrets(place, &rules, &known)
    });
}

#[test]
fn betterleaks() {
    let Some(betterleaks) = or_skip("Betterleaks", Installed::python(&BETTERLEAKS)) else { return };
    let scene = Scene::new();
    let rules = scene.rules(Scanner::Betterleaks);
    scene.every_token(BETTERLEAKS[0], NOWHERE, |place| betterleaks.betterleaks(place, &rules));
}

#[test]
fn secretlint() {
    let Some(secretlint) = or_skip("secretlint", Installed::node(&SECRETLINT)) else { return };
    let scene = Scene::new();
    let rules = scene.rules(Scanner::Secretlint);
    scene.every_token(SECRETLINT[0], NOWHERE, |place| secretlint.secretlint(place, &rules));
}

#[test]
fn semgrep() {
    let Some(semgrep) = or_skip("Semgrep", Installed::python(&SEMGREP)) else { return };
    let scene = Scene::new();
    let rules = scene.rules(Scanner::Semgrep);
    scene.every_token(SEMGREP[0], NOWHERE, |place| semgrep.semgrep(place, &rules));
}

/// GitHub looks with the library that Kingfisher looks with: what its form is given, as one pattern.
#[test]
fn the_pattern_for_github() {
    let Some(kingfisher) = or_skip("Kingfisher", Installed::python(&KINGFISHER)) else { return };
    let scene = Scene::new();
    let form = rules().file(Scanner::Github).contents;
    let fields = |name: &str| -> Vec<String> {
        let mark = format!("{name}:\n\n    ");
        let fields = form.split(&mark).skip(1).map(|rest| rest.lines().next().expect("a line"));
        fields.map(str::to_owned).collect()
    };
    let mut yaml = vec!["rules:".to_owned()];
    let befores = fields("Before secret");
    let patterns = fields("Secret format");
    assert_eq!(patterns.len(), PREFIXES.len());
    for (number, pattern) in patterns.iter().enumerate() {
        let (before, after) = (&befores[number], &fields("After secret")[number]);
        let whole = format!("(?:{before})({pattern})(?:{after})");
        let options = "confidence: high, min_entropy: 0.0";
        yaml.push(format!(
            "  - {{name: '{number}', id: custom.n{number}, {options}, pattern: '{whole}'}}"
        ));

        let test = fields("Test string, first part")[number].clone()
            + &fields("Test string, second part, right after the first")[number];
        scene.corpus.add(&format!("test/{number}.txt"), &test);
    }
    // A character between two tokens is part of the first match, and so no longer before the second.
    let rules = scene.write("github.yml", &yaml.join("\n"));
    let found =
        scene.every_token("GitHub's form in Kingfisher", &["/glued.txt", "/server.log"], |place| {
            kingfisher.kingfisher(place, &rules)
        });
    assert_eq!(found.iter().filter(|(path, _)| path.starts_with("test/")).count(), PREFIXES.len());
}
