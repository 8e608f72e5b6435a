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
    let commands: Vec<Vec<&str>> = vec![
        [&scan[..], &["--no-ignore"]].concat(),
        [&scan[..], &["--format", "json"]].concat(),
        [&scan[..], &["--format", "sarif"]].concat(),
        [&scan[..], &["--git-history"]].concat(),
        [&scan[..], &["--git-history", "--format", "json"]].concat(),
        [&scan[..], &["--staged", "--format", "sarif"]].concat(),
        [&scan[..], &["--check"]].concat(),
        [&scan[..], &[cut, &live]].concat(),
        [&scan[..], &["--check", "--api", "http://127.0.0.1:1"]].concat(),
        [&scan[..], &["plain", "--check", "--api", &live]].concat(),
        [&scan[..], &["--baseline", &live]].concat(),
        vec!["token", "list"],
        vec!["token", "list", "--json"],
        vec!["token", "show", id(&live)],
        vec!["token", "show", id(&live), "--json"],
        vec!["token", "list", "--store", &live],
        vec!["token", "revoke", id(&live)],
        vec!["keys", "status", "--prefix", "acme_live"],
        vec!["keys", "rotate", "--key-file", "key"],
        vec!["keys", "rotate", "--key-file", &live],
        vec!["rules", "--prefix", "acme_live", "--to", "rules"],
        [&scan[..], &["--revoke", "--yes"]].concat(),
        [&scan[..], &["--check", "--baseline", "known.json", "--write-baseline"]].concat(),
    ];
    let (live, stranger) = (secret(&live), &secret(&stranger)[..39]);
    for command in commands {
        let Ran { out, err, .. } = folder.on_store(&command);
        for text in [&out, &err] {
            for secret in [live, stranger, key.as_str()] {
                assert!(!text.contains(secret), "{command:?}: {text}");
            }
            assert!(!text.contains("panicked"), "{command:?}: {text}");
        }
    }
    assert!(!folder.read("known.json").contains(live));
}
