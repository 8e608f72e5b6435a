//! All that the refs of a git repository reach.

use serde_json::{Value, json};

use crate::support::{EXAMPLE, Folder, token};

fn history(folder: &Folder) -> Vec<Value> {
    let ran = folder.scan(&["--git-history", "--format", "json"]);
    assert!(matches!(ran.code, 0 | 1), "{}", ran.err);
    ran.json()
}

#[test]
fn a_file_that_was_deleted_long_ago() {
    let folder = Folder::with_repository();
    folder.commit("before");
    folder.write("config/app.py", format!("\nTOKEN = '{EXAMPLE}'\n"));
    let commit = folder.commit("oops");
    folder.git(&["rm", "--quiet", "config/app.py"]);
    folder.commit("remove the token");
    folder.scan(&[]).assert_found_nothing();
    for packed in [false, true] {
        if packed {
            folder.git(&["gc", "--quiet", "--aggressive", "--prune=now"]);
        }
        let found = history(&folder);
        assert_eq!(found.len(), 1);
        let expected = json!({
            "within": "history", "path": "config/app.py", "line": 2, "column": 10,
            "commit": commit, "author_date": "2026-01-31T12:00:00Z", "id": "Ky9Pf34qY6Nb3wWD",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&found[0][name], value, "{name}");
        }
    }
    let ran = folder.scan(&["--git-history"]);
    let start = format!("commit {} of 2026-01-31, config/app.py:2:10: ", &commit[..12]);
    assert!(ran.out.starts_with(&start), "{}", ran.out);
    ran.assert_found(&[EXAMPLE]);
}

#[test]
fn every_place_that_a_ref_reaches() {
    let folder = Folder::with_repository();
    let tokens: Vec<String> = (0..7).map(token).collect();
    let [branch, message, tag, note, stash, merge, shared] = &tokens[..] else { panic!() };
    folder.write("a", "a");
    folder.commit("first");
    folder.git(&["checkout", "--quiet", "-b", "side"]);
    folder.write("only/here", branch);
    folder.commit("in a branch");
    folder.git(&["checkout", "--quiet", "main"]);
    folder.write("b", shared);
    let first_with_shared = folder.commit(&format!("message\n\nsee {message}"));
    folder.write("copy", shared);
    folder.commit("the same content once more");
    // A merge that brings what neither side had.
    folder.git(&["merge", "--quiet", "--no-commit", "--no-ff", "side"]);
    folder.write("evil", merge);
    let merged = folder.commit("merge");
    folder.git(&["tag", "--annotate", "--message", &format!("about\n{tag}"), "v1"]);
    folder.git(&["notes", "add", "--message", note, "HEAD~1"]);
    folder.write("a", stash);
    folder.git(&["stash", "push", "--quiet"]);

    let found = history(&folder);
    let of = |token: &str| {
        let all: Vec<_> =
            found.iter().filter(|found| found["id"] == crate::support::id(token)).collect();
        assert_eq!(all.len(), 1, "{token}: {found:?}");
        all[0]
    };
    assert_eq!(of(branch)["path"], "only/here");
    assert_eq!(
        (&of(message)["within"], &of(message)["line"], &of(message)["column"]),
        (&json!("commit_message"), &json!(3), &json!(5))
    );
    assert_eq!(
        (&of(tag)["within"], &of(tag)["path"], &of(tag)["line"]),
        (&json!("tag_message"), &json!("v1"), &json!(2))
    );
    assert_eq!(of(note)["within"], "note");
    assert_eq!(of(stash)["path"], "a");
    assert_eq!((&of(merge)["path"], &of(merge)["commit"]), (&json!("evil"), &json!(merged)));
    // Each blob once, with the commit that brought it first.
    assert_eq!(
        (&of(shared)["path"], &of(shared)["commit"]),
        (&json!("b"), &json!(first_with_shared))
    );
    assert_eq!(found.len(), 7);
}

#[test]
fn a_file_that_only_a_tag_has() {
    let folder = Folder::with_repository();
    folder.commit("first");
    let file = folder.write("file", EXAMPLE);
    let blob = folder.git(&["hash-object", "-w", file.to_str().unwrap()]);
    std::fs::remove_file(file).unwrap();
    folder.git(&["tag", "lost", blob.trim_end()]);
    let found = history(&folder);
    assert_eq!(
        (&found[0]["within"], &found[0]["path"]),
        (&json!("object"), &json!(blob.trim_end()))
    );
}

#[test]
fn replaced_objects_are_looked_at() {
    let folder = Folder::with_repository();
    folder.write("file", EXAMPLE);
    folder.commit("first");
    let object = folder.git(&["rev-parse", "HEAD:file"]);
    let clean = folder.write("clean", "nothing");
    let other = folder.git(&["hash-object", "-w", clean.to_str().unwrap()]);
    folder.git(&["replace", object.trim_end(), other.trim_end()]);
    assert_eq!(history(&folder).len(), 1);
}

#[test]
fn large_blobs_and_strange_names() {
    let folder = Folder::with_repository();
    let large = format!("{}{EXAMPLE}", "x\n".repeat(130_000) + "xxx");
    folder.write("a \"b\"\n\u{e4}", large);
    folder.commit("first");
    let found = history(&folder);
    assert_eq!(found[0]["path"], "a \"b\"\\x0a\u{e4}");
    assert_eq!(found[0]["line"], 130_001);
}

#[test]
fn a_part_of_the_history_is_not_taken_for_all_of_it() {
    let folder = Folder::with_repository();
    folder.write("file", EXAMPLE);
    folder.commit("first");
    std::fs::remove_file(folder.path().join("file")).unwrap();
    folder.commit("second");
    let clone = Folder::new();
    let url = format!("file://{}", folder.path().display());
    clone.git(&["clone", "--quiet", "--depth=1", &url, "."]);
    let ran = clone.scan(&["--git-history"]);
    ran.assert(2);
    assert!(
        ran.err.contains("cannot read .: this shallow clone has a part of the history only"),
        "{}",
        ran.err
    );
    assert!(!folder.scan(&["--git-history"]).err.contains("a part of the history"));
}

#[test]
fn several_repositories_by_their_paths() {
    let [one, two] = [1, 2].map(|seed| {
        let folder = Folder::with_repository();
        folder.write("file", token(seed));
        folder.commit("first");
        folder
    });
    let paths = [&one, &two].map(|folder| folder.path().to_str().unwrap());
    let elsewhere = Folder::new();
    let both = ["--git-history", paths[0], paths[1]];
    let ran = elsewhere.scan(&both);
    ran.assert_found(&[&token(1), &token(2)]);
    for (path, seed) in paths.into_iter().zip([1, 2]) {
        let line = ran.out.lines().find(|line| line.starts_with(&format!("{path}: commit ")));
        assert!(line.unwrap().contains(crate::support::id(&token(seed))), "{}", ran.out);
    }
    for found in elsewhere.scan(&[&both[..], &["--format", "json"]].concat()).json() {
        let seed = if found["repository"] == paths[0] { 1 } else { 2 };
        assert_eq!(
            (&found["path"], &found["repository"]),
            (&"file".into(), &paths[seed - 1].into())
        );
        assert_eq!(found["id"], crate::support::id(&token(seed as u64)));
    }
    let sarif = elsewhere.scan(&[&both[..], &["--format", "sarif"]].concat()).out;
    for path in paths {
        assert!(sarif.contains(&format!("\"uri\":\"file://{path}/file\"")), "{sarif}");
    }
    // Alone, it needs no name.
    let alone = elsewhere.scan(&["--git-history", paths[0], "--format", "json"]);
    assert!(alone.json()[0].get("repository").is_none());
    // One that is none does not hide what is in the other.
    let ran = elsewhere.scan(&["--git-history", ".", paths[1]]);
    ran.assert_fails("error: . is not in a git repository");
    ran.assert_names(&[&token(2)]);
    elsewhere.scan(&["--staged"]).assert_fails("error: . is not in a git repository");
}

#[test]
fn a_repository_without_commits_and_one_that_is_damaged() {
    let folder = Folder::with_repository();
    folder.scan(&["--git-history"]).assert_found_nothing();
    folder.write("file", "x");
    folder.commit("first");
    let blob = folder.git(&["rev-parse", "HEAD:file"]);
    let (start, end) = blob.trim_end().split_at(2);
    std::fs::remove_file(folder.path().join(".git/objects").join(start).join(end)).unwrap();
    assert_eq!(folder.scan(&["--git-history"]).code, 2);
}

/// However often the file was changed; in another file it is told again.
#[test]
fn a_token_is_told_once_with_the_oldest_commit_that_has_it() {
    let folder = Folder::with_repository();
    folder.commit("before");
    folder.write("a", format!("one\n{EXAMPLE}\n"));
    let first = folder.commit("first");
    for version in 2..5 {
        folder.write("a", format!("{version}\n\n{EXAMPLE}\n{EXAMPLE}\n{}", token(version)));
        folder.commit("later");
    }
    folder.write("b", format!("b: {EXAMPLE}"));
    let moved = folder.commit("in another file");
    let found = history(&folder);
    let of = |path: &str, token: &str| {
        let id = crate::support::id(token);
        let all: Vec<&Value> =
            found.iter().filter(|found| found["path"] == path && found["id"] == id).collect();
        assert_eq!(all.len(), 1, "{found:?}");
        all[0]
    };
    assert_eq!(
        (&of("a", EXAMPLE)["commit"], &of("a", EXAMPLE)["line"]),
        (&json!(first), &json!(2))
    );
    assert_eq!(of("b", EXAMPLE)["commit"], json!(moved));
    of("a", &token(3));
    assert_eq!(found.len(), 5);
}
