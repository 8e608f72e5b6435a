//! `keys new`, `status`, `rotate` and `retire`.

use std::fs;

use api_tokens::MasterKey;

use crate::support::{Folder, id};

fn key_id(folder: &Folder, file: &str) -> String {
    MasterKey::from_file(folder.path().join(file)).unwrap().id().to_string()
}

#[test]
fn new_keys() {
    let folder = Folder::new();
    folder.run(&["keys", "new"]).assert_fails("nothing was done: stdout is no terminal");
    let ran = folder.run(&["keys", "new", "--to", "key"]);
    ran.assert(0);
    let text = folder.read("key");
    assert!(ran.out.is_empty() && !ran.err.contains(text.trim_end()));
    assert!(ran.err.contains(&key_id(&folder, "key")), "{}", ran.err);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    folder.run(&["keys", "new", "--to", "key"]).assert_fails("key exists; it was not changed");
    assert_eq!(folder.read("key"), text);
    let ran = folder.run(&["keys", "new", "--print"]);
    ran.assert(0);
    MasterKey::from_base64(&ran.out).unwrap();
}

/// The whole way: two deployments, and in the end nothing is left of the former key.
#[test]
fn a_rotation() {
    let folder = Folder::with_store();
    let token = folder.new_token("before");
    let former = key_id(&folder, "key");
    let text = folder.read("key");
    folder
        .run(&["keys", "rotate", "--key-file", "key", "--finish"])
        .assert_fails("call this without --finish first");
    let ran = folder.run(&["keys", "rotate", "--key-file", "key"]);
    ran.assert(0);
    assert!(
        ran.err.contains("Then: api-tokens keys rotate --key-file key --finish"),
        "{}",
        ran.err
    );
    assert_eq!(folder.read("key"), text, "the former key is the current one still");
    let next = key_id(&folder, "key.upcoming");
    folder.run(&["keys", "rotate", "--key-file", "key"]).assert_fails("a rotation has begun");
    assert_eq!(key_id(&folder, "key.upcoming"), next);

    let ran = folder.run(&["keys", "rotate", "--key-file", "key", "--finish"]);
    ran.assert(0);
    let earlier = format!("key.earlier-{former}");
    assert_eq!((key_id(&folder, "key"), folder.read(&earlier)), (next.clone(), text));
    assert!(!folder.path().join("key.upcoming").exists());
    assert!(ran.err.contains(&earlier), "{}", ran.err);

    let status =
        ["keys", "status", "--prefix", "acme_live", "--store", "sqlite:db", "--key-file", "key"];
    let both = [&status[..], &["--earlier-key-file", &earlier]].concat();
    let ran = folder.run(&both);
    ran.assert(0);
    assert_eq!(
        ran.out,
        format!("KEY           ROLE     TOKENS\n{next}  current  0\n{former}  earlier  1\n")
    );
    // Without the former one, its tokens cannot be verified.
    let ran = folder.run(&status);
    assert!(ran.out.contains(&format!("{former}  missing  1")), "{}", ran.out);
    assert!(ran.err.contains("cannot be verified"), "{}", ran.err);

    let retire = [&["keys", "retire", &former], &both[2..]].concat();
    folder.run(&retire).assert_fails("the key is still needed by 1 token(s)");
    folder.run(&["token", "revoke", "--yes", id(&token), "--store", "sqlite:db"]).assert(0);
    let ran = folder.run(&both);
    assert!(
        ran.err.contains(&format!("No token needs the earlier key {former} any more")),
        "{}",
        ran.err
    );
    folder.run(&retire).assert(0);
}

/// A call that was cut off between its two steps is finished by the next one.
#[test]
fn a_rotation_that_was_cut_off() {
    let folder = Folder::new();
    folder.run(&["keys", "new", "--to", "key"]).assert(0);
    let former = key_id(&folder, "key");
    folder.run(&["keys", "rotate", "--key-file", "key"]).assert(0);
    let earlier = format!("key.earlier-{former}");
    fs::copy(folder.path().join("key"), folder.path().join(&earlier)).unwrap();
    folder.run(&["keys", "rotate", "--key-file", "key", "--finish"]).assert(0);
    assert_eq!(key_id(&folder, &earlier), former);
    assert_ne!(key_id(&folder, "key"), former);
}

#[test]
fn which_key() {
    let folder = Folder::with_store();
    let status = ["keys", "status", "--prefix", "acme_live", "--store", "sqlite:db"];
    folder.run(&status).assert_fails("which key? Add --key-file FILE");
    let ran = folder.run(&[&status[..], &["--unkeyed"]].concat());
    ran.assert(0);
    assert_eq!(ran.out, "KEY   ROLE     TOKENS\nnone  current  0\n");
    folder
        .run(&[&status[..], &["--key-file", "missing"]].concat())
        .assert_fails("key file missing cannot be read");
    folder.write("bad", "not a key");
    folder
        .run(&[&status[..], &["--key-file", "bad"]].concat())
        .assert_fails("key file bad is not base64");
    // A token is base64, too.
    let token = crate::support::EXAMPLE;
    folder.write("bad", format!("{token}\n"));
    let wrong = "key file bad has a token, not a key";
    folder.run(&[&status[..], &["--key-file", "bad"]].concat()).assert_fails(wrong);
    for option in ["--earlier-key-file", "--upcoming-key-file"] {
        folder
            .run(&[&status[..], &["--key-file", "key", option, "bad"]].concat())
            .assert_fails(wrong);
    }
    folder.run(&["keys", "rotate", "--key-file", "bad"]).assert_fails(wrong);
    assert!(!folder.path().join("bad.upcoming").exists());
    let mut command = folder.command();
    let ran = crate::support::Ran::of(command.args(status).env("API_TOKENS_KEY", token));
    ran.assert_fails("API_TOKENS_KEY has a token, not a key");
    assert!(!ran.err.contains(crate::support::secret(token)), "{}", ran.err);
}
