//! Changes come in the order of commits: a reader that tails them misses none, whoever writes.

use std::{
    collections::BTreeMap,
    env,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;

const WRITERS: usize = 16;
const UPDATES: u32 = 60;
const URL: &str = "API_TOKENS_TEST_URL";
const SCHEMA: &str = "API_TOKENS_TEST_SCHEMA";
const FIRST: &str = "API_TOKENS_TEST_FIRST_WRITER";

/// Updates its own record, with others' in between that take longer to commit.
async fn write(store: PostgresStore, writer: usize) {
    insert(&store, id(writer)).await;
    insert(&store, id(1_000 + writer)).await;
    for version in 2..UPDATES + 2 {
        let mut updates = vec![record(id(writer), version)];
        if version % 3 == 0 {
            updates.push(record(id(1_000 + writer), version / 3 + 1));
        }
        store.write(&WriteBatch { updates, ..WriteBatch::default() }).await.expect("update");
    }
}

/// Half of the writers, each on a runtime of its own thread, over two pools.
async fn write_half(options: &PostgresOptions, first: usize) {
    let threads: Vec<_> = (0..2)
        .map(|half| {
            let options = options.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let store = options.open().await.expect("open");
                    let mut tasks = tokio::task::JoinSet::new();
                    let count = WRITERS / 4;
                    for writer in first + half * count..first + (half + 1) * count {
                        tasks.spawn(write(store.clone(), writer));
                    }
                    tasks.join_all().await;
                });
            })
        })
        .collect();
    let join = || threads.into_iter().for_each(|thread| thread.join().expect("the writers"));
    tokio::task::spawn_blocking(join).await.expect("the writers");
}

/// The child: run by the test below, with the store in its environment.
#[tokio::test]
#[ignore = "run by a_reader_that_tails_writers_misses_no_change, as a child process"]
async fn child() {
    let variable = |name| env::var(name).expect("a variable");
    let options = PostgresOptions::new(&variable(URL)).schema(&variable(SCHEMA));
    write_half(&options, variable(FIRST).parse().expect("a number")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_tails_writers_misses_no_change() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let start = head(&store).await;
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "changes::child", "--ignored"])
        .envs([(URL, &fixture.url), (SCHEMA, &fixture.schema)])
        .env(FIRST, (WRITERS / 2).to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("start the child");
    let done = AtomicUsize::new(0);
    let writing = async {
        write_half(&fixture.options(), 0).await;
        let child = tokio::task::spawn_blocking(move || child.wait());
        assert!(child.await.expect("the child").expect("its end").success());
        done.store(1, Ordering::SeqCst);
    };
    let reading = async {
        let (mut cursor, mut seen) = (start, BTreeMap::<TokenId, usize>::new());
        let mut count = 0_u64;
        loop {
            let last = done.load(Ordering::SeqCst) == 1;
            let answer = store.changes_since(Some(&cursor), 1_000).await.expect("changes");
            let Changes::Since { changes, next } = answer else { panic!("a reset") };
            for change in changes {
                count += 1;
                assert_eq!(change.revision.0, count, "none is left out");
                *seen.entry(change.id).or_default() += 1;
                // It shows at once, in the version that the change made or a later one.
                if count.is_multiple_of(50) {
                    let found = store.find(&change.id).await.expect("find").expect("a record");
                    assert!(found.record.version as usize > seen[&change.id]);
                    assert!(found.as_of >= change.revision);
                }
            }
            cursor = next;
            if last {
                return seen;
            }
        }
    };
    let ((), seen) = tokio::join!(writing, reading);
    assert_eq!(seen.len(), 2 * WRITERS);
    for writer in 0..WRITERS {
        assert_eq!(seen[&id(writer)], UPDATES as usize, "writer {writer}");
        assert_eq!(seen[&id(1_000 + writer)], UPDATES as usize / 3, "writer {writer}");
    }
}

/// Old changes go, a thousand at a time, and never one of the latest 100,000.
#[tokio::test]
async fn old_changes_are_forgotten() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let count = async || {
        let count = fixture.sql("SELECT count(*) FROM token_change").await;
        count.expect("a number").parse::<u64>().expect("a number")
    };
    // As if there had been that many.
    fixture
        .sql(
            "INSERT INTO token_change SELECT n, lpad(n::text, 16, '0') \
             FROM generate_series(1, 102500) AS n; UPDATE token_head SET revision = 102500",
        )
        .await;
    insert(&store, id(1)).await;
    update(&store, id(1), 2).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(count().await, 102_501, "not with every write");
    let inserts = (10..1_010).map(|i| record(id(i), 1)).collect();
    store.write(&WriteBatch { inserts, ..WriteBatch::default() }).await.unwrap();
    let updates = (10..1_010).map(|i| record(id(i), 2)).collect();
    store.write(&WriteBatch { updates, ..WriteBatch::default() }).await.unwrap();
    let begun = std::time::Instant::now();
    while count().await != 100_000 {
        assert!(begun.elapsed().as_secs() < 60, "{} are kept", count().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let newest = head(&store).await;
    assert_eq!(newest.revision.0, 103_501);
    let oldest = Cursor { revision: api_tokens::Revision(3_501), ..newest };
    let answer = store.changes_since(Some(&oldest), usize::MAX).await.unwrap();
    assert!(matches!(answer, Changes::Since { changes, .. } if changes.len() == 100_000));
    let older = Cursor { revision: api_tokens::Revision(3_500), ..newest };
    let answer = store.changes_since(Some(&older), 1).await.unwrap();
    assert!(matches!(answer, Changes::Reset { .. }), "{answer:?}");
}
