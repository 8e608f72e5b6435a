//! Rule files.

use std::fs;

use api_tokens::{
    leak::{Rules, Scanner},
    prefix,
};

use crate::support::Folder;

#[test]
fn scanners_are_listed() {
    let ran = Folder::new().run(&["rules"]);
    ran.assert(0);
    for scanner in Scanner::ALL {
        assert!(ran.out.contains(scanner.as_str()), "{}", ran.out);
    }
}

#[test]
fn one_file_or_all() {
    let folder = Folder::new();
    let rules = Rules::new("Acme API token", prefix!("acme_live"))
        .unwrap()
        .with_prefix(prefix!("acme_test"))
        .with_live_check("https://acme.example/api/token")
        .unwrap();
    let arguments = [
        "rules",
        "--prefix",
        "acme_live",
        "--prefix",
        "acme_test",
        "--name",
        "Acme API token",
        "--live-check",
        "https://acme.example/api/token",
    ];
    let ran = folder.run(&[&arguments[..], &["--scanner", "kingfisher"]].concat());
    ran.assert(0);
    assert_eq!(ran.out, rules.file(Scanner::Kingfisher).contents);
    let ran = folder.run(&[&arguments[..], &["--to", "new/rules"]].concat());
    ran.assert(0);
    assert_eq!(ran.out, "");
    for scanner in Scanner::ALL {
        let file = rules.file(scanner);
        let written = fs::read_to_string(folder.path().join("new/rules").join(file.name)).unwrap();
        assert_eq!(written, file.contents);
    }
    assert_eq!(fs::read_dir(folder.path().join("new/rules")).unwrap().count(), Scanner::ALL.len());
}

#[test]
fn mistakes() {
    let folder = Folder::new();
    folder.run(&["rules", "--scanner", "nobody"]).assert_fails(
        "invalid value 'nobody' for '--scanner <NAME>'\n  [possible values: kingfisher, gitleaks",
    );
    folder.run(&["rules", "--scanner", "gitleaks"]).assert_fails("which tokens? Add --prefix");
    let prefix = ["rules", "--scanner", "gitleaks", "--prefix", "acme_live"];
    folder
        .run(&[&prefix[..], &["--scanner", "semgrep"]].concat())
        .assert_fails("the files of several scanners do not go into one: add --to FOLDER");
    folder.run(&[&prefix[..], &["--name", ""]].concat()).assert_fails("--name: ");
    folder.run(&[&prefix[..], &["--live-check", "x"]].concat()).assert_fails("--live-check: ");
}

/// The names of rules depend on it.
#[test]
fn prefixes_stay_in_their_order() {
    let folder = Folder::new();
    let file = |prefixes: [&str; 3]| {
        let [a, b, c] = prefixes;
        let prefixes = ["--prefix", a, "--prefix", b, "--prefix", c];
        folder.run(&[&["rules", "--scanner", "github"][..], &prefixes].concat()).out
    };
    let rules = Rules::new("API token", prefix!("zeta")).unwrap().with_prefix(prefix!("acme_live"));
    assert_eq!(file(["zeta", "acme_live", "zeta"]), rules.file(Scanner::Github).contents);
}
