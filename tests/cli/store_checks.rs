//! `scan --check` and `--revoke`, with a store.

use crate::support::{Folder, Ran, id, token};

fn scan(folder: &Folder, arguments: &[&str]) -> Ran {
    let scan =
        ["scan", "--prefix", "acme_live", "--prefix", "acme_test", "--format", "json", "found"];
    folder.on_store(&[&scan[..], arguments].concat())
}

/// What is said of a token.
#[track_caller]
fn status(ran: &Ran, token: &str) -> String {
    let found = ran.json().into_iter().find(|found| found["id"] == id(token)).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

#[test]
fn each_state_is_told() {
    let folder = Folder::with_store();
    let new = |name: &str, expires: &str| {
        let ran = folder.on_store(&[
            "token",
            "new",
            "--prefix",
            "acme_live",
            "--project",
            "acme",
            "--name",
            name,
            "--expires",
            expires,
            "--print",
        ]);
        ran.assert(0);
        ran.out.trim_end().to_owned()
    };
    let [live, revoked, rotated] = ["live", "revoked", "rotated"].map(|name| new(name, "never"));
    let expired = new("expired", "10ms");
    folder.on_store(&["token", "revoke", "--yes", id(&revoked)]).assert(0);
    folder.on_store(&["token", "rotate", id(&rotated), "--overlap", "0s", "--to", "new"]).assert(0);
    let stranger = token(1);
    // The id of a live token with another secret.
    let forged = forge(&live);
    folder.write(
        "found",
        [&live, &revoked, &rotated, &expired, &stranger].map(|token| format!("{token}\n")).concat(),
    );
    let ran = scan(&folder, &["--check"]);
    ran.assert_found(&[&live, &revoked, &rotated, &expired, &stranger]);
    assert_eq!(ran.json().len(), 5);
    for (token, expected) in [
        (&live, "active"),
        (&revoked, "revoked"),
        (&rotated, "rotated_out"),
        (&expired, "expired"),
        (&stranger, "unknown"),
    ] {
        assert_eq!(status(&ran, token), expected);
    }
    folder.write("found", &forged);
    assert_eq!(status(&scan(&folder, &["--check"]), &forged), "unknown");
    // In words for people.
    folder.write("found", &live);
    let text = folder.on_store(&["scan", "--prefix", "acme_live", "found", "--check"]);
    assert!(text.out.ends_with(", live\n"), "{}", text.out);
}

/// With the id of `token`, another secret, and a checksum that is right.
fn forge(token: &str) -> String {
    let other = self::token(77);
    let secret = &crate::support::secret(&other)[..39];
    let before = format!("acme_live_{}_{secret}", id(token));
    let mut rest = u64::from(crc32fast::hash(before.as_bytes()));
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
            [usize::try_from(rest % 62).unwrap()];
        rest /= 62;
    }
    before + str::from_utf8(&digits).unwrap()
}

#[test]
fn only_what_proves_real_is_revoked() {
    let folder = Folder::with_store();
    let [leaked, other, forged_of] =
        ["leaked", "other", "forged of"].map(|name| folder.new_token(name));
    let forged = forge(&forged_of);
    folder.write("found", format!("{leaked}\n{leaked}\n{forged}\n{}\n", token(1)));
    // Nobody can be asked, and nobody said yes.
    let ran = scan(&folder, &["--revoke"]);
    ran.assert(2);
    assert!(ran.err.contains("nothing was changed: there is no terminal"), "{}", ran.err);
    assert_eq!(status(&ran, &leaked), "active");
    let ran = scan(&folder, &["--revoke", "--yes"]);
    ran.assert_found(&[&leaked, &forged]);
    assert_eq!(status(&ran, &leaked), "revoked");
    assert_eq!(status(&ran, &forged), "unknown");

    let list = folder.on_store(&["token", "list", "--json", "--status", "active"]);
    let active: Vec<String> =
        list.json().iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(active.len(), 2);
    assert!(active.contains(&id(&other).to_owned()) && active.contains(&id(&forged_of).to_owned()));
    let show = folder.on_store(&["token", "show", id(&leaked), "--json"]);
    let revocation = &show.json()[0]["revocation"];
    assert_eq!(
        (&revocation["by"], &revocation["reason"]),
        (&"ann".into(), &"leaked: a scan found it".into())
    );
    // A second time there is nothing to do.
    let ran = scan(&folder, &["--revoke"]);
    ran.assert(1);
    assert!(ran.err.contains("No token has to be revoked."), "{}", ran.err);
}

/// A check is no use of the token.
#[test]
fn to_ask_a_store_leaves_no_trace() {
    let folder = Folder::with_store();
    let live = folder.new_token("live");
    folder.write("found", &live);
    assert_eq!(status(&scan(&folder, &["--check"]), &live), "active");
    let show = folder.on_store(&["token", "show", id(&live), "--json"]);
    assert!(show.json()[0]["last_used"].is_null(), "{}", show.out);
}

#[test]
fn without_a_store_or_its_key() {
    let folder = Folder::with_store();
    let live = folder.new_token("live");
    folder.write("found", &live);
    folder.scan(&["--check"]).assert_fails("whom to ask about the tokens? Add --store");
    folder.scan(&["--check", "--store", "sqlite:db"]).assert_fails("which key? Add --key-file");
    // Another key: then nothing can be said, which is not the same as that it is unknown.
    folder.run(&["keys", "new", "--to", "other"]).assert(0);
    let ran = folder.scan(&["found", "--check", "--store", "sqlite:db", "--key-file", "other"]);
    ran.assert(2);
    ran.assert_names(&[&live]);
    assert!(ran.err.contains("is not in the keyring: add its file"), "{}", ran.err);
    assert!(ran.out.ends_with(", not known: could not be asked\n"), "{}", ran.out);
    // A store that cannot be reached hides nothing.
    let ran = folder.scan(&["found", "--check", "--store", "sqlite:nowhere", "--key-file", "key"]);
    ran.assert_fails("there is no store nowhere; make one: api-tokens migrate --store STORE");
    ran.assert_names(&[&live]);
    assert!(ran.out.ends_with(", not known: could not be asked\n"), "{}", ran.out);
}

/// Options that would do nothing are refused, before anything is looked at.
#[test]
fn options_without_the_one_that_they_are_for() {
    let folder = Folder::with_store();
    for option in [
        &["--store", "sqlite:db"][..],
        &["--key-file", "key"],
        &["--api", "https://acme.example"],
        &["--unkeyed"],
        &["--root-certificate", "x"],
        &["--yes"],
        &["--actor", "ann"],
        &["--check", "--yes"],
    ] {
        folder.scan(option).assert_fails("the following required arguments were not provided");
    }
    folder
        .on_store(&["scan", "--prefix", "acme_live", "--check", "--revoke"])
        .assert_found_nothing();
    // What is in the environment for other commands is no mistake.
    folder.on_store(&["scan", "--prefix", "acme_live"]).assert_found_nothing();
}

/// Who revokes is asked for before, and not for what no event tells.
#[test]
fn who_revokes() {
    let folder = Folder::with_store();
    let live = folder.new_token("live");
    folder.write("found", &live);
    let scan = |option: &str| {
        let mut command = folder.command();
        command.args(["scan", "--prefix", "acme_live", "found", option]);
        command.args(["--store", "sqlite:db", "--key-file", "key"]);
        for name in ["USER", "LOGNAME", "USERNAME"] {
            command.env_remove(name);
        }
        Ran::of(&mut command)
    };
    scan("--check").assert_found(&[&live]);
    let ran = scan("--revoke");
    ran.assert_fails("who does this?");
    assert_eq!(ran.out, "");
}
