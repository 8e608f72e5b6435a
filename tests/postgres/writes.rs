//! Batches, of several nodes at once.

use api_tokens::{Event, EventKind, ListFilter, StoreErrorKind};

use super::*;

fn event(token: TokenId) -> Event {
    let at = Timestamp::UNIX_EPOCH;
    Event { at, token: Some(token), project: None, by: None, kind: EventKind::ReuseDetected }
}

/// Each relies on the token that another node changes; none relies on what is no longer so.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_several_nodes_that_exclude_each_other_do_not_both_happen() {
    let Some(fixture) = Fixture::new().await else { return };
    let stores = [fixture.store().await, fixture.store().await];
    for round in 0..50 {
        let ids = [id(2 * round), id(2 * round + 1)];
        for id in ids {
            insert(&stores[0], id).await;
        }
        let mut tasks = tokio::task::JoinSet::new();
        for (store, side) in stores.iter().cloned().zip(0..) {
            let batch = WriteBatch {
                unchanged: vec![(ids[1 - side], 1)],
                ..WriteBatch::update(record(ids[side], 2))
            };
            tasks.spawn(async move { store.write(&batch).await.map_err(|error| error.kind()) });
        }
        let mut results = tasks.join_all().await;
        results.sort_by_key(Result::is_err);
        assert_eq!(results, [Ok(()), Err(StoreErrorKind::Conflict)]);
    }
}

/// What is created through a token is there when that is revoked, or is never there.
#[tokio::test(flavor = "multi_thread")]
async fn what_relies_on_a_token_and_its_revocation_exclude_each_other() {
    let Some(fixture) = Fixture::new().await else { return };
    let stores = [fixture.store().await, fixture.store().await];
    for round in 0..30 {
        let first = 100 * round;
        insert(&stores[0], id(first)).await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in first + 1..first + 9 {
            let store = stores[number % 2].clone();
            let unchanged = vec![(id(first), 1)];
            let batch = WriteBatch { unchanged, ..WriteBatch::insert(record(id(number), 1)) };
            tasks.spawn(async move {
                let result = store.write(&batch).await;
                result.map_err(|error| assert_eq!(error.kind(), StoreErrorKind::Conflict)).is_ok()
            });
        }
        let revoke = async {
            update(&stores[1], id(first), 2).await;
            let all = stores[1].list(&ListFilter::default(), None, 10_000).await.unwrap();
            all.iter().filter(|record| record.id > id(first)).count()
        };
        let seen = revoke.await;
        let created = tasks.join_all().await.into_iter().filter(|created| *created).count();
        assert_eq!(created, seen, "one came after the revocation");
    }
}

#[tokio::test]
async fn a_large_batch_is_written_whole_and_in_order() {
    const COUNT: usize = 5_000;
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let all = |version| (0..COUNT).rev().map(|i| record(id(i), version)).collect();
    let events: Vec<_> = (0..COUNT).rev().map(|i| event(id(i))).collect();
    let batch = WriteBatch { inserts: all(1), events: events.clone(), ..WriteBatch::default() };
    store.write(&batch).await.unwrap();
    let start = head(&store).await;
    assert_eq!(start.revision.0, 0, "inserts are no changes");
    let unchanged = vec![(id(0), 1), (id(0), 1), (id(7), 1)];
    let batch = WriteBatch { updates: all(2), unchanged, events, ..WriteBatch::default() };
    store.write(&batch).await.unwrap();
    let Changes::Since { changes, next } =
        store.changes_since(Some(&start), usize::MAX).await.unwrap()
    else {
        panic!("a reset")
    };
    assert_eq!(next.revision.0, COUNT as u64);
    assert!(changes.iter().zip((0..COUNT).rev()).all(|(change, i)| change.id == id(i)));
    let numbers = async |i| -> Vec<u64> {
        let events = store.events(&id(i), None, 10).await.unwrap();
        events.iter().map(|event| event.number.0).collect()
    };
    let count = COUNT as u64;
    assert_eq!(numbers(0).await, [2 * count, count]);
    assert_eq!(numbers(COUNT - 1).await, [count + 1, 1]);

    let error = store.write(&WriteBatch { updates: all(2), ..WriteBatch::default() }).await;
    assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Conflict);
    assert_eq!(head(&store).await, next);
}

/// Ids in any order, and two tables: nobody is told of a deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_overlap_do_not_hinder_each_other_for_long() {
    let Some(fixture) = Fixture::new().await else { return };
    let stores = [fixture.store().await, fixture.store().await];
    let inserts = (0..20).map(|i| record(id(i), 1)).collect();
    stores[0].write(&WriteBatch { inserts, ..WriteBatch::default() }).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8_usize {
        let store = stores[worker % 2].clone();
        tasks.spawn(async move {
            let mut written = 0;
            for round in 0..20_usize {
                let mut updates = Vec::new();
                for i in 0..20 {
                    let i = if worker % 2 == 0 { i } else { 19 - i };
                    let found = store.find(&id((i * 7 + round) % 20)).await.unwrap().unwrap();
                    let version = found.record.version + 1;
                    updates.push(TokenRecord { version, ..(*found.record).clone() });
                }
                let usages: Vec<_> =
                    (0..20).map(|i| usage(id(i), 1 + i64::try_from(round).unwrap())).collect();
                store.record_usage(&usages).await.unwrap();
                match store.write(&WriteBatch { updates, ..WriteBatch::default() }).await {
                    Ok(()) => written += 1,
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}"),
                }
            }
            written
        });
    }
    let written: u64 = tasks.join_all().await.into_iter().sum();
    assert!(written > 0);
    assert_eq!(head(&stores[0]).await.revision.0, 20 * written);
}

/// While records are pruned, their usage is recorded: none is left behind, and nobody fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_usage_outlives_its_record() {
    let Some(fixture) = Fixture::new().await else { return };
    let (here, there) = (fixture.store().await, fixture.store().await);
    let ended = |i| {
        let expires_at = Some(Timestamp::from_second(1).unwrap());
        TokenRecord { expires_at, ..record(id(i), 1) }
    };
    for _ in 0..10 {
        let inserts = (0..200).map(ended).collect();
        here.write(&WriteBatch { inserts, ..WriteBatch::default() }).await.unwrap();
        let prune = async {
            let mut pruned = 0;
            while pruned < 200 {
                pruned += here.prune(Timestamp::from_second(2).unwrap(), 20).await.unwrap();
            }
        };
        let record = async {
            for second in 0..10 {
                let usages: Vec<_> = (0..200).map(|i| usage(id(i), second)).collect();
                there.record_usage(&usages).await.unwrap();
            }
        };
        tokio::join!(prune, record);
        assert_eq!(fixture.sql("SELECT count(*) FROM token_usage").await.as_deref(), Some("0"));
    }
}

#[tokio::test]
async fn a_user_agent_with_a_nul_is_kept_without_it() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    insert(&store, id(1)).await;
    let odd = Usage { user_agent: Some("a\0b".to_owned()), ..usage(id(1), 1) };
    store.record_usage(&[odd]).await.unwrap();
    assert_eq!(store.usage(&[id(1)]).await.unwrap()[0].user_agent.as_deref(), Some("ab"));
}

/// Whatever the default of the role is, a commit waits for the disk.
#[tokio::test]
async fn commits_are_durable_whatever_the_default() {
    let Some(fixture) = Fixture::new().await else { return };
    let role = format!("{}_hasty", fixture.schema);
    // What is set when the transaction ends.
    fixture
        .sql(&format!(
            "CREATE ROLE {role} SUPERUSER LOGIN; \
             CREATE TABLE seen (setting text); \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO {0}.seen VALUES (current_setting('synchronous_commit')); \
             RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON token \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {0}.see()",
            fixture.schema
        ))
        .await;
    let url = fixture.url.replace("postgres@", &format!("{role}@"));
    for (default, expected) in [
        ("off", "on"),
        ("local", "on"),
        ("remote_write", "on"),
        ("on", "on"),
        ("remote_apply", "remote_apply"),
    ] {
        for pooler in [false, true] {
            let set = format!("ALTER ROLE {role} SET synchronous_commit = '{default}'");
            fixture.sql(&format!("{set}; TRUNCATE token, seen, token_usage")).await;
            let options = PostgresOptions::new(&url).schema(&fixture.schema);
            let store = options.transaction_pooler(pooler).open().await.unwrap();
            let ended = Some(Timestamp::from_second(1).unwrap());
            let ended = TokenRecord { expires_at: ended, ..record(id(1), 1) };
            store.write(&WriteBatch::insert(ended)).await.unwrap();
            let again =
                TokenRecord { expires_at: Timestamp::from_second(1).ok(), ..record(id(1), 2) };
            store.write(&WriteBatch::update(again)).await.unwrap();
            assert_eq!(store.prune(Timestamp::from_second(2).unwrap(), 9).await.unwrap(), 1);
            let seen = fixture.sql("SELECT string_agg(setting, ' ') FROM seen").await.unwrap();
            assert_eq!(seen, [expected; 3].join(" "), "{default}");
        }
    }
}

#[tokio::test]
async fn the_last_instant_there_is_comes_back_to_the_second() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let last = Timestamp::MAX;
    store
        .write(&WriteBatch::insert(TokenRecord { expires_at: Some(last), ..record(id(1), 1) }))
        .await
        .unwrap();
    let found = store.find(&id(1)).await.unwrap().unwrap();
    assert_eq!(found.record.expires_at.unwrap().as_second(), last.as_second());
}
