//! What is about to be committed.

use crate::support::{EXAMPLE, Folder, token};

#[test]
fn the_index_counts_and_not_the_files() {
    let folder = Folder::with_repository();
    folder.scan(&["--staged"]).assert_found_nothing();
    folder.write("committed", token(1));
    folder.write("file", EXAMPLE);
    folder.git(&["add", "committed", "file"]);
    // Before the first commit, too.
    folder.scan(&["--staged"]).assert_found(&[&token(1), EXAMPLE]);
    folder.git(&["rm", "--quiet", "--cached", "file"]);
    folder.git(&["commit", "--quiet", "--message", "first"]);
    folder.scan(&["--staged"]).assert_found_nothing();

    // Staged with the token, and then cleaned without staging that.
    folder.git(&["add", "file"]);
    folder.write("file", "clean");
    let ran = folder.scan(&["--staged"]);
    ran.assert_found(&[EXAMPLE]);
    assert!(ran.out.starts_with("file:1:1: "), "{}", ran.out);
    // Cleaned and staged, and then with the token again.
    folder.git(&["add", "file"]);
    folder.write("file", EXAMPLE);
    folder.scan(&["--staged"]).assert_found_nothing();
}

#[test]
fn renamed_and_equal_files_are_told_and_deleted_ones_are_not() {
    let folder = Folder::with_repository();
    folder.write("old", EXAMPLE);
    folder.commit("first");
    folder.git(&["mv", "old", "new"]);
    folder.write("copy", EXAMPLE);
    folder.write("empty", "");
    folder.git(&["add", "--all"]);
    folder.git(&["config", "diff.renames", "copies"]);
    folder.git(&["config", "diff.noprefix", "true"]);
    let ran = folder.scan(&["--staged"]);
    ran.assert_found(&[EXAMPLE]);
    let places: Vec<&str> = ran.out.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(places, ["copy", "new"]);
    folder.git(&["rm", "--quiet", "--force", "new", "copy"]);
    folder.scan(&["--staged"]).assert_found_nothing();
}

#[test]
fn from_a_folder_below() {
    let folder = Folder::with_repository();
    folder.write("top", EXAMPLE);
    folder.write("below/x", "");
    folder.git(&["add", "--all"]);
    folder.git(&["config", "diff.relative", "true"]);
    let mut command = folder.command();
    command.current_dir(folder.path().join("below"));
    command.args(["scan", "--prefix", "acme_live", "--staged"]);
    crate::support::Ran::of(&mut command).assert_found(&[EXAMPLE]);
}
