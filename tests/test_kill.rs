//! A process that creates and revokes on SQLite is killed at random moments: whatever it had
//! acknowledged still holds, and nothing is half there.
//!
//! This is about the death of a process. That a power failure loses nothing rests on SQLite's
//! `synchronous = FULL`, which `test_sqlite.rs` cannot show.

mod util;

use std::{
    collections::{HashMap, HashSet},
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use api_tokens::{
    Event, EventKind, Issuer, Keyring, MasterKey, SqliteOptions, SqliteStore, Status, Token,
    TokenId, TokenRecord, TokenStore, Verifier, VerifyError, WriteBatch, prefix,
};
use rand::{
    RngExt, SeedableRng,
    rngs::{ChaCha8Rng, SysRng},
};
use util::{ann, new_token, print, say};

const ROUNDS: u32 = 100;
const DATABASE: &str = "API_TOKENS_KILL_TEST_DATABASE";

fn open(path: &Path) -> (SqliteStore, Verifier<SqliteStore>) {
    let options = SqliteOptions::new(path);
    options.migrate().expect("migrate");
    let store = options.open().expect("open");
    let key: Vec<u8> = (0..32).collect();
    let keyring = Keyring::new(MasterKey::from_bytes(&key).expect("a key"));
    (store.clone(), Verifier::new(prefix!("kill"), &keyring, store))
}

/// The child: run by the test below, with the database in its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run by acknowledged_changes_survive_a_kill, as a child process"]
async fn child() {
    let path = PathBuf::from(env::var_os(DATABASE).expect("the database"));
    let (store, verifier) = open(&path);
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let issuer = Issuer::new(&verifier);
        let store = store.clone();
        tasks.spawn(async move {
            for i in 0_u32.. {
                let new = new_token(&format!("token {worker}.{i}"));
                let created = issuer.create(new, &ann()).await.expect("create");
                let token = created.token;
                print(&format!("created {} {}", token.id(), token.expose_secret()));
                if i % 2 == 0 {
                    print(&format!("revoking {}", token.id()));
                    issuer.revoke(token.id(), &ann(), None).await.expect("revoke");
                    print(&format!("revoked {}", token.id()));
                } else {
                    let second = Token::generate(&prefix!("kill"), &mut SysRng).expect("a token");
                    let pair = format!("{} {}", token.id(), second.id());
                    print(&format!("pairing {pair}"));
                    store.write(&pairing(created.record, second.id())).await.expect("write");
                    print(&format!("paired {pair}"));
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Updates the first token, inserts the second, and appends an event of each.
fn pairing(first: TokenRecord, second: TokenId) -> WriteBatch {
    let event = |token| Event {
        at: first.created_at,
        token: Some(token),
        project: None,
        by: None,
        kind: EventKind::ReuseDetected,
    };
    WriteBatch {
        events: vec![event(first.id), event(second)],
        inserts: vec![TokenRecord { id: second, ..first.clone() }],
        updates: vec![TokenRecord { version: 2, ..first }],
        ..WriteBatch::default()
    }
}

#[derive(Default)]
struct Acknowledged {
    created: HashMap<String, String>,
    /// May have happened.
    revoking: HashSet<String>,
    /// Has happened.
    revoked: HashSet<String>,
    /// May have happened, but not by half.
    pairing: HashSet<(TokenId, TokenId)>,
    /// Has happened.
    paired: HashSet<(TokenId, TokenId)>,
}

impl Acknowledged {
    fn read(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("created"), Some(id), Some(token)) => {
                self.created.insert(id.to_owned(), token.to_owned());
            }
            (Some("revoking"), Some(id), None) => {
                self.revoking.insert(id.to_owned());
            }
            (Some("revoked"), Some(id), None) => {
                self.revoked.insert(id.to_owned());
            }
            (Some(word @ ("pairing" | "paired")), Some(first), Some(second)) => {
                let pairs = if word == "paired" { &mut self.paired } else { &mut self.pairing };
                pairs.insert((first.parse().expect("an id"), second.parse().expect("an id")));
            }
            // What the test harness prints.
            _ => {}
        }
    }

    async fn check(&self, path: &Path, when: &str) {
        let (store, verifier) = open(path);
        for (id, token) in &self.created {
            let accepted = match verifier.verify(token.as_bytes()).await {
                Ok(_) => true,
                Err(VerifyError::NotActive { status: Status::Revoked, .. }) => false,
                Err(error) => panic!("{when}: {error}"),
            };
            if self.revoked.contains(id) {
                assert!(!accepted, "{when}: revoked token {id} was accepted");
            } else if !self.revoking.contains(id) {
                assert!(accepted, "{when}: created token {id} was refused");
            }
        }
        for pair @ (first, second) in &self.pairing {
            let parts = parts_of_a_pair(&store, first, second).await;
            let whole = [[true; 4], [false; 4]].contains(&parts);
            assert!(whole, "{when}: the batch of {first} and {second} is half there: {parts:?}");
            assert!(parts[0] || !self.paired.contains(pair), "{when}: {second} was lost");
        }
    }
}

/// Which parts of [`pairing`] are there.
async fn parts_of_a_pair(store: &SqliteStore, first: &TokenId, second: &TokenId) -> [bool; 4] {
    let version = async |id| {
        let found = store.find(id).await.expect("find");
        found.map_or(0, |found| found.record.version)
    };
    let has_event = async |id| {
        let events = store.events(id, None, 10).await.expect("events");
        events.iter().any(|event| event.event.kind == EventKind::ReuseDetected)
    };
    [
        version(first).await == 2,
        version(second).await == 1,
        has_event(first).await,
        has_event(second).await,
    ]
}

#[tokio::test]
async fn acknowledged_changes_survive_a_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("tokens.db");
    let mut rng = ChaCha8Rng::seed_from_u64(20_260_101);
    let mut all = Acknowledged::default();
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the child");
        let output = child.stdout.take().expect("its output");
        let reader = std::thread::spawn(move || {
            let mut acknowledged = Acknowledged::default();
            for line in BufReader::new(output).lines() {
                acknowledged.read(&line.expect("a line"));
            }
            acknowledged
        });
        std::thread::sleep(Duration::from_micros(rng.random_range(10_000..80_000)));
        child.kill().expect("kill the child");
        child.wait().expect("wait for the child");
        let acknowledged = reader.join().expect("the reader");
        acknowledged.check(&path, &format!("round {round}")).await;
        all.created.extend(acknowledged.created);
        all.revoking.extend(acknowledged.revoking);
        all.revoked.extend(acknowledged.revoked);
        all.pairing.extend(acknowledged.pairing);
        all.paired.extend(acknowledged.paired);
    }
    all.check(&path, "in the end").await;
    let (created, revoked, paired) = (all.created.len(), all.revoked.len(), all.paired.len());
    say(&format!(
        "{ROUNDS} kills; {created} creations, {revoked} revocations and {paired} batches held"
    ));
    // Kills that come before the first change prove nothing.
    assert!(
        created > 100 && revoked > 30 && paired > 30,
        "too few changes: {created}, {revoked}, {paired}"
    );
}
