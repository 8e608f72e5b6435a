//! Files and folders.

use std::{fs, path::Path, process::Stdio};

use crate::support::{EXAMPLE, Folder, Ran, token};

#[test]
fn hidden_and_binary_files_are_looked_at_and_git_is_not() {
    let folder = Folder::with_repository();
    let [hidden, binary, deep, git] = [1, 2, 3, 4].map(token);
    folder.write(".env", format!("TOKEN={hidden}\n"));
    folder.write("image.png", [b"\x89PNG\0\xff", binary.as_bytes(), b"\0"].concat());
    folder.write(".config/a/b/c.ini", &deep);
    folder.write(".git/description", &git);
    let ran = folder.scan(&[]);
    ran.assert_found(&[&hidden, &binary, &deep]);
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    assert!(ran.err.contains("3 tokens were found in 3 places."), "{}", ran.err);
}

#[test]
fn what_git_ignores_is_left_out_unless_it_is_asked_for() {
    let folder = Folder::with_repository();
    let [ignored, excluded, searched] = [1, 2, 3].map(token);
    folder.write(".gitignore", ".env\n");
    folder.write("app/.env", &ignored);
    folder.write(".git/info/exclude", "notes\n");
    folder.write("notes", &excluded);
    // Search tools read this, and git does not.
    folder.write(".ignore", "data\n");
    folder.write("data", &searched);
    let ran = folder.scan(&[]);
    ran.assert_found(&[&searched]);
    assert_eq!(ran.out.lines().count(), 1);
    folder.scan(&["--no-ignore"]).assert_found(&[&ignored, &excluded, &searched]);
    folder.scan(&["app/.env"]).assert_found(&[&ignored]);
    // From a folder below, the repository's rules hold as well.
    let mut below = folder.command();
    below.current_dir(folder.path().join("app")).args(["scan", "--prefix", "acme_live"]);
    Ran::of(&mut below).assert_found_nothing();
}

/// Committed, and then ignored: it is pushed all the same.
#[test]
fn what_is_tracked_is_looked_at_although_git_ignores_it() {
    let folder = Folder::with_repository();
    let [first, below, forced, nested, ignored, deleted] = [1, 2, 3, 4, 5, 6].map(token);
    folder.write(".env", &first);
    folder.write("build/deep/.env", &below);
    folder.write("gone", &deleted);
    folder.commit("oops");
    folder.write(".gitignore", ".env\nbuild/\nforced\ngone\n/inner\n");
    folder.write("app/forced", &forced);
    folder.git(&["add", "--force", "app/forced"]);
    folder.write("app/.env", &ignored);
    std::fs::remove_file(folder.path().join("gone")).unwrap();
    // A repository within, which the outer one does not know.
    folder.git(&["init", "--quiet", "other/repository"]);
    folder.write("other/repository/.env", &nested);
    folder.git(&["-C", "other/repository", "add", ".env"]);
    let ran = folder.scan(&[]);
    ran.assert_found(&[&first, &below, &forced, &nested]);
    let places: Vec<&str> = ran.out.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(places, [".env", "app/forced", "build/deep/.env", "other/repository/.env"]);
    // Below a path that is given, and nowhere else; what two paths have is told once.
    let ran = folder.scan(&["app", "./app/forced"]);
    ran.assert_found(&[&forced]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    // From outside of any repository, and in a hook, for which git names another one.
    let elsewhere = Folder::with_repository();
    let mut command = elsewhere.command();
    command.env("GIT_DIR", elsewhere.path().join(".git"));
    Ran::of(command.args(["scan", "--prefix", "acme_live"]).arg(folder.path()))
        .assert_found(&[&first, &below, &forced, &nested]);
}

/// What is no repository, or names a program in its configuration.
#[cfg(unix)]
#[test]
fn repositories_are_not_trusted() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    folder.write("submodule/.git", "gitdir: ../../nowhere\n");
    folder.write("submodule/file", EXAMPLE);
    folder.scan(&[]).assert_found(&[EXAMPLE]);
    folder.git(&["init", "--quiet", "repository"]);
    let program = folder.write("program", "#!/bin/sh\ntouch \"$(dirname \"$0\")/ran\"\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    folder.write("repository/file", "");
    folder.git(&["-C", "repository", "add", "file"]);
    folder.git(&["-C", "repository", "config", "core.fsmonitor", program]);
    folder.scan(&["repository"]).assert_found_nothing();
    folder.scan(&["--staged", "repository"]).assert_found_nothing();
    assert!(!folder.path().join("ran").exists());
}

#[test]
fn without_git() {
    let folder = Folder::with_repository();
    folder.write("a", EXAMPLE);
    let mut command = folder.command();
    let ran = Ran::of(command.env("PATH", "/nonexistent").args(["scan", "--prefix", "acme_live"]));
    ran.assert_found(&[EXAMPLE]);
    assert!(ran.err.contains("note: there is no git here"), "{}", ran.err);
}

#[test]
fn names_that_are_like_options() {
    let folder = Folder::new();
    for name in ["--help", "-x.txt", "--baseline=x.json", "-"] {
        folder.write(name, EXAMPLE);
        let ran = folder.scan(&["--", name]);
        ran.assert_found(&[EXAMPLE]);
        assert!(ran.out.starts_with(&format!("{name}:1:1: ")), "{}", ran.out);
    }
    folder.scan(&["-", "--help"]).assert(0);
    for paths in [&["-", "x"][..], &["x", "-"], &["-", "--", "x"], &["--git-history", "-"]] {
        folder.scan(paths).assert_fails("- stands for stdin, and must be alone; use --stdin");
    }
    folder.scan(&["--stdin", "x"]).assert_fails("--stdin and paths");
    folder.scan(&["--stdin", "-"]).assert_found_nothing();
    folder.scan(&["--stdin", "--no-ignore"]).assert_fails("cannot be used with");
}

#[test]
fn only_the_prefixes_that_are_named() {
    let folder = Folder::new();
    folder.write("a", EXAMPLE);
    folder.run(&["scan", "--prefix", "acme_test"]).assert_found_nothing();
    folder
        .run(&["scan", "--prefix", "acme_test", "--prefix", "acme_live"])
        .assert_found(&[EXAMPLE]);
    folder.run(&["scan"]).assert_fails("which tokens? Add --prefix");
    folder.run(&["scan", "--prefix", "Acme"]).assert_fails("a token prefix must");
    let from_environment = |value: &str| {
        Ran::of(folder.command().arg("scan").env("API_TOKENS_PREFIXES", value).stdin(Stdio::null()))
    };
    from_environment("acme_test,acme_live").assert_found(&[EXAMPLE]);
    from_environment("acme_test").assert_found_nothing();
    from_environment("acme live!").assert_fails("API_TOKENS_PREFIXES: a token prefix must");
}

#[test]
fn encodings() {
    let folder = Folder::new();
    let utf16: Vec<u8> = EXAMPLE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    folder.write("utf16", utf16);
    folder.write("percent", EXAMPLE.replace('_', "%5F"));
    let ran = folder.scan(&[]);
    ran.assert_found(&[EXAMPLE]);
    assert!(ran.out.contains("in utf16") && ran.out.contains("in percent"), "{}", ran.out);
    folder.scan(&["--encoding", "plain"]).assert_found_nothing();
    let ran = folder.scan(&["--encoding", "utf16,hex"]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    folder.scan(&["--encoding", "rot13"]).assert_fails(
        "invalid value 'rot13' for '--encoding <NAMES>'\n  [possible values: plain, utf16, percent",
    );
}

/// A file is read in pieces of 256 KiB: a token is found wherever it lies.
#[test]
fn borders_of_pieces() {
    const PIECE: usize = 256 * 1024;
    let folder = Folder::new();
    for before in 0..=EXAMPLE.len() {
        let start = PIECE - before;
        let mut text = vec![b'\n'; start];
        text.extend_from_slice(EXAMPLE.as_bytes());
        text.resize(3 * PIECE + before, b' ');
        folder.write("big", text);
        let ran = folder.scan(&["--format", "json"]);
        ran.assert_found(&[EXAMPLE]);
        let found = &ran.json()[0];
        assert_eq!((&found["offset"], &found["line"]), (&start.into(), &(start + 1).into()));
    }
    // Exactly one piece, and one with nothing after it.
    for len in [PIECE, PIECE + EXAMPLE.len()] {
        let mut text = vec![b' '; len - EXAMPLE.len()];
        text.extend_from_slice(EXAMPLE.as_bytes());
        folder.write("big", text);
        folder.scan(&[]).assert_found(&[EXAMPLE]);
    }
    folder.write("big", "");
    folder.scan(&[]).assert_found_nothing();
}

#[test]
fn stdin() {
    let folder = Folder::new();
    for arguments in
        [&["scan", "--prefix", "acme_live", "-"], &["scan", "--prefix", "acme_live", "--stdin"]]
    {
        let ran = folder.run_with(arguments, format!("a\nb {EXAMPLE}").as_bytes());
        ran.assert_found(&[EXAMPLE]);
        assert!(ran.out.starts_with("stdin:2:3: "), "{}", ran.out);
        folder.run_with(arguments, b"nothing").assert_found_nothing();
    }
}

#[test]
fn what_cannot_be_read_is_told_and_hides_nothing() {
    let folder = Folder::new();
    folder.write("a", EXAMPLE);
    let ran = folder.scan(&["a", "missing", "."]);
    ran.assert(2);
    ran.assert_names(&[EXAMPLE]);
    assert!(
        ran.err.contains("warning: cannot read missing: no such file or directory"),
        "{}",
        ran.err
    );
    assert_eq!(folder.scan(&["missing"]).code, 2);
}

/// Whoever is not root, and root as somebody else.
#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_told_and_hides_nothing() {
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    };

    const NOBODY: u32 = 65534;
    let folder = Folder::new();
    let secret = folder.write("secret", EXAMPLE);
    let closed = folder.write("closed/file", EXAMPLE);
    folder.write("open", EXAMPLE);
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mut command = if fs::metadata(&secret).unwrap().uid() == 0 {
        // The build may be where only root can go.
        let program = folder.path().join("program");
        fs::copy(env!("CARGO_BIN_EXE_api-tokens"), &program).unwrap();
        mode(&program, 0o755);
        mode(folder.path(), 0o755);
        let mut command = std::process::Command::new(program);
        command.uid(NOBODY).gid(NOBODY).current_dir(folder.path());
        command
    } else {
        folder.command()
    };
    mode(&secret, 0o000);
    mode(closed.parent().unwrap(), 0o000);
    let ran = Ran::of(command.args(["scan", "--prefix", "acme_live"]).stdin(Stdio::null()));
    mode(closed.parent().unwrap(), 0o700);
    ran.assert(2);
    ran.assert_names(&[EXAMPLE]);
    assert!(ran.out.starts_with("open:1:1: "), "{}", ran.out);
    for what in ["secret", "closed"] {
        assert!(
            ran.err.contains(&format!("cannot read ./{what}: permission denied")),
            "{}",
            ran.err
        );
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_pipes_not_waited_for() {
    let folder = Folder::new();
    let outside = Folder::new();
    let target = outside.write("token", EXAMPLE);
    std::os::unix::fs::symlink(&target, folder.path().join("file")).unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink(".", folder.path().join("loop")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status();
    assert!(made.unwrap().success());
    folder.scan(&[]).assert_found_nothing();
    // Those that are named are meant.
    folder.scan(&["file"]).assert_found(&[EXAMPLE]);
    folder.scan(&["folder/"]).assert_found(&[EXAMPLE]);
}

#[cfg(unix)]
#[test]
fn names_are_shown_so_that_no_terminal_acts_on_them() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let folder = Folder::new();
    folder.write(OsStr::from_bytes(b"a\xff\x1b[2J\n"), EXAMPLE);
    let ran = folder.scan(&[]);
    ran.assert_found(&[EXAMPLE]);
    assert!(ran.out.starts_with(r"a\xff\x1b[2J\x0a:1:1: "), "{}", ran.out);
    let ran = folder.scan(&["--format", "sarif"]);
    assert!(ran.out.contains("a%FF%1B%5B2J%0A"), "{}", ran.out);
}

#[test]
fn tokens_in_names_are_found_and_not_shown() {
    let folder = Folder::new();
    let [file, directory, gone] = [1, 2, 3].map(token);
    folder.write(format!("{directory}/{file}.txt"), "");
    let ran = folder.scan(&[]);
    ran.assert_found(&[&file, &directory]);
    assert!(ran.out.contains("in the name"), "{}", ran.out);
    // Nor in a warning.
    let ran = folder.scan(&[&gone]);
    ran.assert(2);
    assert!(!ran.err.contains(crate::support::secret(&gone)), "{}", ran.err);
}

#[test]
fn whoever_stops_reading_gets_no_error() {
    let folder = Folder::new();
    for number in 0..2000 {
        folder.write(format!("files/{number}"), EXAMPLE);
    }
    let mut command = folder.command();
    command.args(["scan", "--prefix", "acme_live"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    ran.assert(1);
    assert!(!ran.err.contains("error"), "{}", ran.err);
}
