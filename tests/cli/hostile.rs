//! Repositories, files and servers of strangers, who mean harm.
#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::support::{EXAMPLE, Folder, id, secret, token};

/// Settings that name a program which git may start.
const PROGRAMS: [&str; 14] = [
    "core.fsmonitor",
    "core.pager",
    "pager.log",
    "pager.diff",
    "core.sshCommand",
    "core.askPass",
    "diff.external",
    "diff.bad.textconv",
    "diff.bad.command",
    "filter.bad.clean",
    "filter.bad.smudge",
    "filter.bad.process",
    "gpg.program",
    "credential.helper",
];

/// Lets git start a program that leaves the file `mark`, wherever it can.
fn poison(folder: &Folder, repository: &str) {
    let mark = folder.path().join("mark");
    let program = folder.write("program", format!("#!/bin/sh\necho $0 $* >>{}\n", mark.display()));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let set = |name: &str, value: &str| {
        folder.git(&["-C", repository, "config", name, value]);
    };
    let git_dir = folder.git(&["-C", repository, "rev-parse", "--absolute-git-dir"]);
    let hooks = format!("{}/hooks", git_dir.trim());
    fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-index-change", "reference-transaction", "pre-auto-gc"] {
        fs::copy(program, format!("{hooks}/{hook}")).unwrap();
    }
    // Objects that are not there would be fetched.
    set("remote.origin.url", &format!("ext::{program}"));
    set("remote.origin.promisor", "true");
    set("remote.origin.partialCloneFilter", "blob:none");
    set("protocol.ext.allow", "always");
    set("protocol.allow", "always");
    set("log.showSignature", "true");
    set("log.diffMerges", "off");
    set("i18n.logOutputEncoding", "UTF-16");
    for name in PROGRAMS {
        set(name, program);
    }
}

/// A repository with a token in a commit, a merge, and in the index.
fn repository() -> Folder {
    let folder = Folder::with_repository();
    folder.write("old", token(1));
    folder.write(".gitattributes", "* diff=bad filter=bad\n");
    folder.commit("first");
    folder.git(&["checkout", "--quiet", "-b", "side"]);
    folder.write("side", "");
    folder.commit("side");
    folder.git(&["checkout", "--quiet", "main"]);
    folder.git(&["merge", "--quiet", "--no-ff", "--no-commit", "side"]);
    folder.write("merged", token(2));
    folder.commit("merge");
    folder.write("staged", token(3));
    folder.git(&["add", "--all"]);
    folder
}

#[track_caller]
fn assert_no_mark(folder: &Folder) {
    if let Ok(mark) = fs::read_to_string(folder.path().join("mark")) {
        panic!("a program of the repository ran: {mark}");
    }
}

#[test]
fn a_repository_starts_no_program() {
    let folder = repository();
    poison(&folder, ".");
    folder.scan(&["--staged"]).assert_found(&[&token(3)]);
    assert_no_mark(&folder);
    let ran = folder.scan(&["--git-history"]);
    ran.assert_found(&[&token(1), &token(2)]);
    // With commit and date, whatever the encoding and however merges are to be shown.
    for line in ran.out.lines() {
        assert!(line.starts_with("commit ") && line.contains(" of 2026-01-31, "), "{}", ran.out);
    }
    assert_no_mark(&folder);
    folder.scan(&[]).assert_found(&[&token(1), &token(2), &token(3)]);
    assert_no_mark(&folder);

    // The settings do start programs, or none of this tests anything.
    folder.try_git(&["status"]);
    assert!(folder.path().join("mark").exists());
}

#[test]
fn nothing_is_fetched_from_where_a_repository_says() {
    let folder = repository();
    let object = folder.git(&["rev-parse", "HEAD:old"]);
    let (folder_of, name) = object.trim().split_at(2);
    poison(&folder, ".");
    folder.git(&["config", "core.repositoryFormatVersion", "1"]);
    folder.git(&["config", "extensions.partialClone", "origin"]);
    fs::remove_file(folder.path().join(".git/objects").join(folder_of).join(name)).unwrap();
    folder.scan(&["--git-history"]).assert(2);
    folder.scan(&["--staged"]).assert_found(&[&token(3)]);
    assert_no_mark(&folder);
}

/// What looks like a bare repository may be a folder of somebody's repository.
#[test]
fn a_folder_that_looks_like_a_bare_repository_starts_no_program() {
    let folder = repository();
    folder.git(&["clone", "--quiet", "--bare", ".", "inner"]);
    poison(&folder, "inner");
    folder.git(&["-C", "inner", "config", "core.bare", "false"]);
    folder.git(&["-C", "inner", "config", "core.worktree", ".."]);
    for arguments in [&["--staged", "inner"][..], &["--git-history", "inner"], &["inner"]] {
        folder.scan(arguments);
        assert_no_mark(&folder);
    }
}

/// Grafts tell git of other parents than a commit has, and so hide some.
#[test]
fn grafts_hide_nothing() {
    let folder = Folder::with_repository();
    folder.write("file", EXAMPLE);
    folder.commit("first");
    folder.write("file", "clean");
    let last = folder.commit("second");
    folder.write(".git/info/grafts", last + "\n");
    let ran = folder.scan(&["--git-history"]);
    ran.assert_found(&[EXAMPLE]);
    // git says nothing about it.
    assert!(ran.err.starts_with("1 token was found"), "{}", ran.err);
}

#[test]
fn links_are_replaced_and_not_followed() {
    let folder = Folder::new();
    folder.write("found", EXAMPLE);
    let victim = folder.write("victim", "precious");
    let link = |name: &str| symlink(&victim, folder.path().join(name)).unwrap();
    link("known.json.new");
    folder.scan(&["found", "--baseline", "known.json", "--write-baseline"]).assert(0);
    assert!(folder.read("known.json").contains(id(EXAMPLE)));

    fs::create_dir(folder.path().join("rules")).unwrap();
    link("rules/gitleaks.toml");
    let rules = ["rules", "--prefix", "acme_live", "--scanner", "gitleaks", "--to", "rules"];
    folder.run(&rules).assert(0);
    assert!(folder.read("rules/gitleaks.toml").contains("acme_live"));
    assert_eq!(folder.read("victim"), "precious");

    // Nothing is left of it, neither now nor when it cannot be written.
    fs::create_dir_all(folder.path().join("is-folder/gitleaks.toml/x")).unwrap();
    folder.run(&[&rules[..6], &["is-folder"]].concat()).assert_fails("cannot write is-folder");
    for name in [".", "rules", "is-folder"] {
        for entry in fs::read_dir(folder.path().join(name)).unwrap() {
            let name = entry.unwrap().file_name();
            let name = name.to_str().unwrap();
            assert!(
                name.split('.').next_back() != Some("new") || name == "known.json.new",
                "{name}"
            );
        }
    }
}

/// Whoever may change the baseline could put a live token there.
#[test]
fn a_baseline_hides_no_live_token_from_who_asks() {
    let folder = Folder::with_store();
    let [live, dead] = ["live", "dead"].map(|name| folder.new_token(name));
    folder.on_store(&["token", "revoke", id(&dead), "--yes"]).assert(0);
    folder.write("found", format!("{live}\n{dead}\n{}", token(1)));
    let scan = ["scan", "--prefix", "acme_live", "found", "--baseline", "known.json"];
    let ran = folder.on_store(&[&scan[..], &["--write-baseline"]].concat());
    ran.assert_found_nothing();
    assert!(ran.err.contains("nobody was asked whether they are dead"), "{}", ran.err);
    folder.on_store(&scan).assert_found_nothing();

    let ran = folder.on_store(&[&scan[..], &["--check"]].concat());
    ran.assert_found(&[&live]);
    assert!(ran.out.ends_with(", in the baseline, but live\n"), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    let ran = folder.on_store(&[&scan[..], &["--check", "--format", "json"]].concat());
    assert_eq!(ran.json()[0]["in_baseline"], true);
    let ran = folder.on_store(&[&scan[..], &["--revoke", "--yes"]].concat());
    ran.assert_found(&[&live]);
    assert!(ran.out.ends_with(", in the baseline, but revoked now\n"), "{}", ran.out);
    let ran = folder.on_store(&[&scan[..], &["--check", "--write-baseline"]].concat());
    ran.assert_found_nothing();
    assert!(!ran.err.contains("nobody was asked"), "{}", ran.err);
}

/// A server that gives this answer to everything. Counts what it was asked.
fn server(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            count.fetch_add(1, Ordering::SeqCst);
            let head = "Content-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = write!(stream, "HTTP/1.1 {answer}\r\n{head}");
        }
    });
    (address, asked)
}

#[test]
fn an_api_that_has_enough_is_left_alone() {
    let folder = Folder::new();
    let tokens: Vec<String> = (1..6).map(token).collect();
    folder.write("found", tokens.join("\n"));
    for (answer, expected) in
        [("429 Too Many Requests", 1), ("503 Service Unavailable", 1), ("404 Not Found", 5)]
    {
        let (api, asked) = server(answer);
        let ran = folder.scan(&["found", "--check", "--api", &api]);
        ran.assert(2);
        ran.assert_names(&tokens.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(asked.load(Ordering::SeqCst), expected, "{answer}: {}", ran.err);
        let says = ran.err.contains("5 token(s) could not be asked about");
        assert_eq!(says, expected == 1, "{}", ran.err);
    }
}

#[test]
fn an_api_is_asked_about_a_thousand_tokens_in_one_run() {
    let folder = Folder::new();
    folder.write("found", (1..1004).map(token).collect::<Vec<_>>().join("\n"));
    let (api, asked) = server("404 Not Found");
    let ran = folder.scan(&["found", "--check", "--api", &api]);
    ran.assert_fails("3 token(s) were not asked about");
    assert_eq!(asked.load(Ordering::SeqCst), 1000);
}

#[test]
fn names_do_not_mislead_whoever_reads_them() {
    let folder = Folder::new();
    let name = "a\u{202e}b\u{200b}\x1b[2Jc";
    folder.write(name, EXAMPLE);
    let mut texts = vec![folder.scan(&[]).out];
    folder.write("bad.json\u{202e}\x1b[2J", "");
    texts.push(folder.scan(&["--baseline", "bad.json\u{202e}\x1b[2J"]).err);
    texts.push(folder.scan(&["--baseline", name]).err);
    texts.push(folder.scan(&["--baseline", "gone\u{202e}\x1b[2J"]).err);
    texts.push(folder.scan(&["--git-history", "gone\u{202e}\x1b[2J"]).err);
    texts.push(folder.run(&["keys", "new", "--to", name]).err);
    texts.push(folder.run(&["keys", "new", "--to", "new\u{202e}\x1b[2J"]).err);
    let as_key = ["keys", "rotate", "--key-file", name, "--finish"];
    texts.push(folder.run(&as_key).err);
    for text in texts {
        assert!(text.contains("\\u{202e}") && text.contains("\\x1b[2J"), "{text}");
        assert!(!text.contains(['\u{202e}', '\u{200b}', '\x1b']), "{text}");
    }
}

#[test]
fn a_token_in_the_place_of_something_else_is_not_repeated() {
    let folder = Folder::with_repository();
    // Whole, and without its end.
    let cut = &EXAMPLE[..EXAMPLE.len() - 20];
    for token in [EXAMPLE, cut] {
        for arguments in [
            &["scan", "--prefix", "acme_live", "--git-history", token][..],
            &["scan", "--prefix", "acme_live", "--staged", token],
            &["scan", "--prefix", "acme_live", "--baseline", token],
            &["token", "revoke", token],
            &["token", "show", token],
            &["scan", token, token, "--prefix", token],
        ] {
            let ran = folder.run(arguments);
            ran.assert(2);
            for text in [&ran.out, &ran.err] {
                assert!(!text.contains(&secret(EXAMPLE)[..10]), "{text}");
            }
        }
    }
    // Of another prefix, and in what git itself says of a branch that is broken.
    folder.commit("first");
    folder.write(format!(".git/refs/heads/{EXAMPLE}"), "broken\n");
    let ran = folder.scan(&["--git-history"]);
    assert!(ran.err.contains("[a token?]"), "{}", ran.err);
    assert!(!ran.err.contains(&secret(EXAMPLE)[..10]), "{}", ran.err);
}
