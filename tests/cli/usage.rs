//! Help, completions, and what is wrong with arguments.

use std::process::{Command, Stdio};

use crate::{
    support::{Folder, secret, token},
    util::or_skip,
};

const COMMANDS: [&[&str]; 12] = [
    &[],
    &["scan"],
    &["token", "new"],
    &["token", "list"],
    &["token", "show"],
    &["token", "rotate"],
    &["token", "revoke"],
    &["keys", "status"],
    &["keys", "rotate"],
    &["rules"],
    &["migrate"],
    &["completions"],
];

#[test]
fn every_command_has_help_that_fits() {
    let folder = Folder::new();
    for command in COMMANDS {
        let ran = folder.run(&[command, &["--help"]].concat());
        ran.assert(0);
        assert!(ran.out.contains("Usage: api-tokens"), "{}", ran.out);
        for line in ran.out.lines() {
            assert!(line.chars().count() <= 100, "{command:?}: {line}");
        }
    }
    let version = folder.run(&["--version"]);
    assert_eq!(version.out, format!("api-tokens {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_are_scripts() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = folder.run(&["completions", shell]);
        ran.assert(0);
        assert!(ran.out.contains("api-tokens") && ran.out.contains("git-history"), "{shell}");
    }
    let script = folder.write("completions", folder.run(&["completions", "bash"]).out);
    let bash = |arguments: &[&str]| {
        let output =
            Command::new("bash").args(arguments).arg(&script).stdin(Stdio::null()).output();
        output.map_err(|error| error.to_string())
    };
    let Some(parsed) = or_skip("bash", bash(&["-n"])) else { return };
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    let complete = "source \"$0\"; COMP_WORDS=(api-tokens token r); COMP_CWORD=2; \
                    _api__tokens api-tokens r token; echo \"${COMPREPLY[@]}\"";
    let completed = bash(&["-c", complete]).unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "rotate revoke\n");
}

#[test]
fn a_token_in_the_arguments_is_not_repeated() {
    let folder = Folder::new();
    let token = token(1);
    for arguments in [&["scan", "--prefix", &token][..], &[&token]] {
        let ran = folder.run(arguments);
        ran.assert(2);
        assert!(ran.err.contains("[a token?]"), "{}", ran.err);
        assert!(!ran.err.contains(secret(&token)), "{}", ran.err);
    }
}

#[test]
fn a_token_in_the_place_of_its_id_is_not_repeated() {
    let folder = Folder::new();
    let token = token(1);
    let cut = &token[..token.len() - 20];
    let with_prefix = format!("acme_live_{}", crate::support::id(&token));
    for command in [&["token", "show"][..], &["token", "rotate"], &["token", "revoke", "--yes"]] {
        for wrong in [&token, cut, &with_prefix] {
            let ran = folder.run(&[command, &[wrong]].concat());
            ran.assert_fails("error: give only the id: the 16 characters after the prefix\n");
            assert!(!ran.err.contains(wrong), "{}", ran.err);
        }
    }
}
