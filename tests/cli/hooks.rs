//! Hooks that keep a commit with a token from being made.

use std::{fs, path::Path, process::Command};

use crate::{
    packages_support::virtual_environment,
    support::{EXAMPLE, Folder, Ran},
    util::or_skip,
};

/// A commit with a token is refused, and one without is made.
fn assert_blocks(folder: &Folder, commit: impl Fn() -> Ran) {
    folder.write("file", EXAMPLE);
    folder.git(&["add", "file"]);
    let refused = commit();
    assert_ne!(refused.code, 0, "{refused:?}");
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("file:1:1: token acme_live_Ky9Pf34qY6Nb3wWD_"), "{said}");
    assert_ne!(folder.try_git(&["rev-parse", "--verify", "--quiet", "HEAD:file"]).code, 0);
    folder.write("file", "clean");
    folder.git(&["add", "file"]);
    let made = commit();
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(folder.git(&["show", "HEAD:file"]), "clean");
}

fn bin() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_api-tokens")).parent().unwrap()
}

#[cfg(unix)]
#[test]
fn a_hook_of_git() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::with_repository();
    let program = env!("CARGO_BIN_EXE_api-tokens");
    let hook = format!("#!/bin/sh\nexec '{program}' scan --staged --prefix acme_live\n");
    let hook = folder.write(".git/hooks/pre-commit", hook);
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    assert_blocks(&folder, || folder.try_git(&["commit", "--message", "first"]));
    // A part of what is there, for which git makes an index of its own.
    folder.write("other", EXAMPLE);
    folder.write("file", "changed");
    folder.git(&["add", "other"]);
    folder.git(&["commit", "--quiet", "--message", "only the file", "file"]);
    assert_ne!(folder.try_git(&["commit", "--quiet", "--all", "--message", "all"]).code, 0);
}

/// With the tool itself, and the hooks that this repository has ready for it.
#[test]
fn pre_commit() {
    let environment = virtual_environment("pre-commit", &["pre-commit==4.3.0"]);
    let Some(environment) = or_skip("pre-commit", environment) else { return };
    let hooks = Folder::with_repository();
    hooks.write(".pre-commit-hooks.yaml", include_str!("../../.pre-commit-hooks.yaml"));
    hooks.commit("the hooks");
    for (hook, arguments) in [
        ("api-tokens", "args: [--prefix, acme_live]"),
        ("api-tokens-files", "args: [--prefix, acme_live, --]"),
        ("api-tokens-files", ""),
    ] {
        let folder = Folder::with_repository();
        folder.write(
            ".pre-commit-config.yaml",
            format!(
                "repos:\n- repo: {}\n  rev: {}\n  hooks:\n  - id: {hook}\n    {arguments}\n",
                hooks.path().display(),
                hooks.git(&["rev-parse", "HEAD"]).trim_end(),
            ),
        );
        folder.git(&["add", "--all"]);
        let pre_commit = |of_it: &[&str]| {
            let mut command = Command::new(environment.join("bin/pre-commit"));
            let path = std::env::join_paths(
                [bin().to_owned()]
                    .into_iter()
                    .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
            );
            command
                .env("PATH", path.unwrap())
                .env("HOME", folder.path())
                .current_dir(folder.path());
            command.env_remove("API_TOKENS_PREFIXES").env("GIT_CONFIG_NOSYSTEM", "1");
            if arguments.is_empty() {
                command.env("API_TOKENS_PREFIXES", "acme_live");
            }
            for who in ["AUTHOR", "COMMITTER"] {
                command
                    .env(format!("GIT_{who}_NAME"), "Ann")
                    .env(format!("GIT_{who}_EMAIL"), "a@b");
            }
            Ran::of(command.args(of_it))
        };
        let run = || {
            let ran = pre_commit(&["run"]);
            if ran.code == 0 {
                folder.git(&["commit", "--quiet", "--message", "checked"]);
            }
            ran
        };
        assert_blocks(&folder, run);
        // Names that an option has.
        for name in ["--help", "-x.txt", "--baseline=x.json", "-"] {
            folder.write(name, EXAMPLE);
            folder.git(&["add", "--", name]);
            let ran = run();
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.out.contains(&format!("\n{name}:1:1: token")), "{ran:?}");
            folder.git(&["rm", "--quiet", "--force", "--", name]);
        }
        if hook == "api-tokens-files" {
            folder.write(".git/message", EXAMPLE);
            let stage = ["--hook-stage", "commit-msg", "--commit-msg-filename", ".git/message"];
            let ran = pre_commit(&[&["run"][..], &stage].concat());
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.out.contains("\n.git/message:1:1: token"), "{ran:?}");
        }
        // All files, as a build service does it.
        folder.write("late", EXAMPLE);
        folder.commit("past the hook");
        let all = pre_commit(&["run", "--all-files"]);
        assert_eq!(all.code == 0, hook == "api-tokens", "{all:?}");
    }
}
