//! A file that changes: what is seen of it, when, and what happens if it cannot be read.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::Command,
    time::Duration,
};

use api_tokens::client::{ClientToken, TokenSource};
use tokio::time::advance;

use crate::{Files, Log, load, text};

const SECOND: Duration = Duration::from_secs(1);

/// The seed of the token that is held now, if it is one of ours.
async fn seed(token: &ClientToken) -> u64 {
    let held = token.current().await;
    (1..9).find(|seed| held.expose_secret() == text(*seed)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_file_is_looked_at_once_a_second() {
    let files = Files::new();
    let token = load(TokenSource::file(files.write("token", text(1)))).await.unwrap();
    files.write("token", text(2));
    assert_eq!(seed(&token).await, 1);
    advance(Duration::from_millis(999)).await;
    assert_eq!(seed(&token).await, 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(seed(&token).await, 2);

    // The second begins anew with each look.
    files.write("token", text(3));
    advance(SECOND / 2).await;
    assert_eq!(seed(&token).await, 2);
    advance(SECOND / 2).await;
    assert_eq!(seed(&token).await, 3);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_not_read() {
    let files = Files::new();
    let log = files.path("log");
    let script = format!("echo >>{}; echo {}", log.display(), text(1));
    // The file is looked at because it may come to be.
    let source =
        TokenSource::file(files.path("token")).or(TokenSource::command("sh", ["-c", &script]));
    // A clock that stands still would fire the command's timeout at once.
    tokio::time::resume();
    let token = load(source).await.unwrap();
    tokio::time::pause();
    for _ in 0..10 {
        advance(SECOND).await;
        assert_eq!(seed(&token).await, 1);
    }
    assert_eq!(files.lines("log"), 1);

    files.write("token", text(2));
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
    assert_eq!(files.lines("log"), 1);
}

/// As Kubernetes replaces the files of a secret: `token` → `..data/token`, `..data` → a folder of
/// its time, and the middle link is replaced.
#[tokio::test(start_paused = true)]
async fn a_symlink_that_is_turned_is_seen() {
    let files = Files::new();
    for (folder, seed) in [("..2026_1", 1), ("..2026_2", 2)] {
        fs::create_dir(files.path(folder)).unwrap();
        files.write(&format!("{folder}/token"), text(seed));
    }
    symlink("..2026_1", files.path("..data")).unwrap();
    symlink("..data/token", files.path("token")).unwrap();
    let token = load(TokenSource::file(files.path("token"))).await.unwrap();
    assert_eq!(seed(&token).await, 1);

    symlink("..2026_2", files.path("..data_tmp")).unwrap();
    fs::rename(files.path("..data_tmp"), files.path("..data")).unwrap();
    fs::remove_dir_all(files.path("..2026_1")).unwrap();
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
}

/// Waits until the file system's clock has moved on: it may do so every few milliseconds only.
fn let_the_clock_tick() {
    std::thread::sleep(Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_written_over_in_place_is_seen() {
    let files = Files::new();
    let path = files.write("token", text(1));
    let inode = fs::metadata(&path).unwrap().ino();
    let token = load(TokenSource::file(&path)).await.unwrap();
    let_the_clock_tick();
    fs::write(&path, text(2)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
}

/// Also if a tool keeps its time of modification, as `rsync --inplace --times` does.
#[tokio::test(start_paused = true)]
async fn a_file_that_looks_as_old_as_before_is_seen() {
    let files = Files::new();
    let touch = |path: &Path| {
        let status = Command::new("touch").args(["-d", "2026-01-01"]).arg(path).status().unwrap();
        assert!(status.success());
    };
    let path = files.write("token", text(1));
    touch(&path);
    let token = load(TokenSource::file(&path)).await.unwrap();
    let_the_clock_tick();
    fs::write(&path, text(2)).unwrap();
    touch(&path);
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
}

#[tokio::test(start_paused = true)]
async fn the_file_of_a_dotenv_source_is_looked_at_too() {
    let files = Files::new();
    let path = files.write(".env", format!("ACME_API_TOKEN={}\n", text(1)));
    let token = load(TokenSource::dotenv(&path, "ACME_API_TOKEN")).await.unwrap();
    files.write(".env", format!("ACME_API_TOKEN={}\n", text(2)));
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_leaves_the_old_token_and_is_warned_of_once_for_each_change() {
    let files = Files::new();
    let path = files.write("token", text(1));
    let token = load(TokenSource::file(&path)).await.unwrap();
    let (log, _guard) = Log::start();

    files.write("token", "");
    for _ in 0..3 {
        advance(SECOND).await;
        assert_eq!(seed(&token).await, 1);
    }
    let expected = |problem: &str| {
        vec![format!(
            "WARN message=cannot read the API token again, so the old one stays error=file {} \
             {problem}: expected a token, which begins with acme_live_",
            path.display()
        )]
    };
    assert_eq!(log.take(), expected("is empty"));

    fs::remove_file(&path).unwrap();
    for _ in 0..3 {
        advance(SECOND).await;
        assert_eq!(seed(&token).await, 1);
    }
    assert_eq!(log.take(), expected("does not exist"));

    files.write("token", text(2));
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
    let ids = format!("old={} new={}", &text(1)[10..26], &text(2)[10..26]);
    assert_eq!(log.take(), [format!("INFO message=took a new API token {ids}")]);
    // That it works again ends the matter: the next failure is another.
    fs::remove_file(&path).unwrap();
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);
    assert_eq!(log.take(), expected("does not exist"));
}

/// Though the files are as they were at the look before.
/// The token of the next place may be one for something else.
#[tokio::test(start_paused = true)]
async fn while_a_file_is_replaced_no_other_place_is_asked() {
    let files = Files::new();
    let path = files.write("token", text(1));
    let source = TokenSource::file(&path).or(TokenSource::file(files.write("other", text(3))));
    let token = load(source).await.unwrap();
    fs::remove_file(&path).unwrap();
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 1);
    files.write("token", text(2));
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 2);

    // But a place before it, where there was nothing, is.
    let source = TokenSource::file(files.path("first")).or(TokenSource::file(&path));
    let token = load(source).await.unwrap();
    assert_eq!(seed(&token).await, 2);
    files.write("first", text(4));
    advance(SECOND).await;
    assert_eq!(seed(&token).await, 4);
}

/// A command that says when it runs, and a file whose change makes it run again.
async fn watched_command(files: &Files, script: &str) -> ClientToken {
    let script = format!("echo >>{}; {script}", files.path("log").display());
    let command = TokenSource::command("sh", ["-c", &script]);
    // A clock that stands still would fire the command's timeout at once.
    tokio::time::resume();
    let token = load(command.or(TokenSource::file(files.path("watched")))).await.unwrap();
    tokio::time::pause();
    token
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_tried_again_at_the_next_look() {
    let files = Files::new();
    let path = files.write("token", text(1));
    let token = watched_command(&files, &format!("cat {}", path.display())).await;
    fs::remove_file(&path).unwrap();
    files.write("watched", "");
    for count in 2..=4 {
        advance(SECOND).await;
        tokio::time::resume();
        assert_eq!(seed(&token).await, 1);
        tokio::time::pause();
        assert_eq!(files.lines("log"), count);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_though_no_second_has_passed() {
    let files = Files::new();
    let path = files.write("token", text(1));
    let token = load(TokenSource::file(&path)).await.unwrap();
    let used = token.current().await;
    assert!(token.renew(&used).await.is_none());
    tokio::time::advance(5 * SECOND).await;
    files.write("token", text(2));
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
    assert_eq!(seed(&token.clone()).await, 2);
}

/// Not every 401 is about the token, and none may hide that it was rotated meanwhile.
#[tokio::test(start_paused = true)]
async fn a_file_that_had_nothing_new_is_read_as_soon_as_it_has() {
    let files = Files::new();
    let token = load(TokenSource::file(files.write("token", text(1)))).await.unwrap();
    let used = token.current().await;
    assert!(token.renew(&used).await.is_none());
    files.write("token", text(2));
    assert_eq!(token.renew(&used).await.unwrap().expose_secret(), text(2));
}

/// Whoever comes while another one looks does not wait.
#[tokio::test(start_paused = true)]
async fn one_caller_looks_for_all() {
    let files = Files::new();
    let token = watched_command(&files, &format!("echo {}", text(1))).await;
    files.write("watched", "");
    advance(SECOND).await;
    tokio::time::resume();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let token = token.clone();
            tokio::spawn(async move { seed(&token).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 1);
    }
    assert_eq!(files.lines("log"), 2);
}
