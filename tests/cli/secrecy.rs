//! No secret is in anything that any command says, but where it is shown once.

use crate::support::{Folder, Ran, id, secret, token};

#[test]
fn secrets_are_shown_once_and_nowhere_else() {
    let folder = Folder::with_store();
    folder.git(&["init", "--quiet"]);
    let live = folder.new_token("live");
    let stranger = token(1);
    let key = folder.read("key").trim_end().to_owned();
    folder.write("plain", format!("{live}\n{stranger}"));
    folder.write(format!("name-{stranger}"), &live);
    folder.write("cut", &stranger[..stranger.len() - 3]);
    folder.git(&["add", "plain"]);
    folder.commit(&live);
    folder.write("staged", &live);
    folder.git(&["add", "staged"]);
    let scan = ["scan", "--prefix", "acme_live"];
    let cut = &stranger[..stranger.len() - 3];
    // Each with how it ends: one that fails has little to tell.
    let commands: Vec<(i32, Vec<&str>)> = vec![
        (1, [&scan[..], &["--no-ignore"]].concat()),
        (1, [&scan[..], &["--format", "json"]].concat()),
        (1, [&scan[..], &["--format", "sarif"]].concat()),
        (1, [&scan[..], &["--git-history"]].concat()),
        (1, [&scan[..], &["--git-history", "--format", "json"]].concat()),
        (1, [&scan[..], &["--staged", "--format", "sarif"]].concat()),
        (1, [&scan[..], &["--check"]].concat()),
        (2, [&scan[..], &[cut, &live]].concat()),
        (2, [&scan[..], &["--check", "--api", "http://127.0.0.1:1"]].concat()),
        (2, [&scan[..], &["plain", "--check", "--api", &live]].concat()),
        (2, [&scan[..], &["--baseline", &live]].concat()),
        (0, vec!["token", "list"]),
        (0, vec!["token", "list", "--json"]),
        (0, vec!["token", "show", id(&live)]),
        (0, vec!["token", "show", id(&live), "--json"]),
        (2, vec!["token", "list", "--store", &live]),
        (2, vec!["token", "revoke", id(&live)]),
        (0, vec!["keys", "status", "--prefix", "acme_live"]),
        (0, vec!["keys", "rotate", "--key-file", "key"]),
        (2, vec!["keys", "rotate", "--key-file", &live]),
        (0, vec!["rules", "--prefix", "acme_live", "--to", "rules"]),
        (1, [&scan[..], &["--revoke", "--yes"]].concat()),
        (1, [&scan[..], &["--check", "--baseline", "known.json", "--write-baseline"]].concat()),
    ];
    let (live, stranger) = (secret(&live), &secret(&stranger)[..39]);
    for (code, command) in commands {
        let ran = folder.on_store(&command);
        ran.assert(code);
        let Ran { out, err, .. } = ran;
        for text in [&out, &err] {
            for secret in [live, stranger, key.as_str()] {
                assert!(!text.contains(secret), "{command:?}: {text}");
            }
            assert!(!text.contains("panicked"), "{command:?}: {text}");
        }
    }
    assert!(!folder.read("known.json").contains(live));
}
