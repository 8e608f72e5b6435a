//! Rows that somebody else damaged: an outage for this token, which names the place.

use api_tokens::StoreErrorKind;

use super::*;

#[tokio::test]
async fn a_damaged_row_is_reported_and_is_never_a_refusal() {
    let Some(fixture) = Fixture::new().await else { return };
    let (issuer, verifier) = issuer(&fixture.store().await);
    let damages = [
        ("prefix", "'Not A Prefix'"),
        ("digest", "'sha256:short'"),
        ("project", "''"),
        ("name", "'a' || chr(10) || 'b'"),
        ("owner", "' a'"),
        ("created_by", "''"),
        ("created_through", "'short'"),
        ("scopes", "'a\"b'"),
        ("metadata", "'{'"),
        ("metadata", "'{\"a\":1}'"),
        ("created_at", "9223372036854775807"),
        ("not_before", "-9223372036854775808"),
        ("revoked_by", "'eve'"),
        ("revocation_reason", "'lost'"),
        ("successor", "'Ky9Pf34qY6Nb3wWD'"),
        ("overlap_ends_at", "1"),
        ("predecessor", "'Ky9Pf34qY6Nb3wWD'"),
        ("family", "'?'"),
        ("family", "'Ky9Pf34qY6Nb3wWD'"),
        ("retires_predecessor", "true"),
        ("version", "-1"),
        ("version", "4294967296"),
    ];
    for (column, value) in damages {
        let token = create(&issuer).await;
        let id = token.id();
        fixture.sql(&format!("UPDATE token SET {column} = {value} WHERE id = '{id}'")).await;
        let error = verifier.verify(token.expose_secret().as_bytes()).await.unwrap_err();
        let VerifyError::Outage(error) = error else { panic!("{column} = {value}: {error}") };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{column} = {value}: {error}");
        let message = error.to_string();
        let table = format!("store corrupt: table \"{}\".token, column ", fixture.schema);
        assert!(message.starts_with(&table), "{message}");
        assert!(message.ends_with(&format!(", id {id}")), "{message}");
    }
}

#[tokio::test]
async fn a_damaged_event_or_usage_is_reported_by_table_column_and_row() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let (issuer, _) = issuer(&store);
    let damages = [
        ("token_event", "at", "9223372036854775807"),
        ("token_event", "project", "''"),
        ("token_event", "by_principal", "' ann'"),
        ("token_event", "by_principal", "NULL, by_token = 'Ky9Pf34qY6Nb3wWD'"),
        ("token_event", "by_token", "'short'"),
        ("token_event", "detail", "''"),
        ("token_event", "detail", "'{\"type\":\"unheard_of\"}'"),
        ("token_event", "detail", "'{\"type\":\"rotated\"}'"),
        ("token_usage", "last_used_at", "-9223372036854775808"),
        ("token_usage", "client_address", "'localhost'"),
        ("token_usage", "client_address", "''"),
    ];
    for (table, column, value) in damages {
        let id = create(&issuer).await.id();
        store.record_usage(&[usage(id, 0)]).await.unwrap();
        let (key, row) = if table == "token_event" {
            let number = store.events(&id, None, 1).await.unwrap()[0].number.0;
            (format!("number = {number}"), format!("number {number}"))
        } else {
            (format!("id = '{id}'"), format!("id {id}"))
        };
        // Past the trigger that refuses it.
        let damage = format!("UPDATE {table} SET {column} = {value} WHERE {key}");
        fixture.sql(&format!("SET session_replication_role = replica; {damage}")).await;
        let error = if table == "token_event" {
            store.events(&id, None, 1).await.unwrap_err()
        } else {
            store.usage(&[id]).await.unwrap_err()
        };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{column} = {value}: {error}");
        let table = format!("\"{}\".{table}", fixture.schema);
        let message = format!("store corrupt: table {table}, column {column}, {row}");
        assert_eq!(error.to_string(), message, "{value}");
    }
}

#[tokio::test]
async fn a_missing_head_is_reported_and_no_token_is_taken_for_unknown() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    insert(&store, id(1)).await;
    fixture.sql("DELETE FROM token_head").await;
    for error in [
        store.find(&id(1)).await.unwrap_err(),
        store.find(&id(2)).await.unwrap_err(),
        store.changes_since(None, 1).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(".token_head, column revision"), "{error}");
    }
}

#[tokio::test]
async fn a_history_that_was_forgotten_is_a_reset() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let start = head(&store).await;
    insert(&store, id(1)).await;
    for version in 2..5 {
        update(&store, id(1), version).await;
    }
    let changes = store.changes_since(Some(&start), 10).await.unwrap();
    assert!(matches!(&changes, Changes::Since { changes, .. } if changes.len() == 3));
    for forgotten in ["revision <= 2", "true"] {
        fixture.sql(&format!("DELETE FROM token_change WHERE {forgotten}")).await;
        let changes = store.changes_since(Some(&start), 10).await.unwrap();
        assert!(matches!(changes, Changes::Reset { next } if next.revision.0 == 3), "{changes:?}");
    }
}

#[tokio::test]
async fn events_cannot_be_altered_and_can_be_deleted() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let (issuer, _) = issuer(&store);
    let id = create(&issuer).await.id();
    let number = store.events(&id, None, 1).await.unwrap()[0].number;
    let alter = format!("UPDATE {}.token_event SET by_principal = 'eve'", fixture.schema);
    let error = sql(&fixture.url, &alter).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23001", "{error}");
    fixture.sql("DELETE FROM token_event").await;
    issuer.revoke(id, &ann(), None).await.unwrap();
    assert!(store.events(&id, None, 1).await.unwrap()[0].number > number);
}
