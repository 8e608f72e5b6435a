//! Schemas and migrations.

use api_tokens::StoreErrorKind;

use super::*;

/// Everything that is in a schema.
async fn objects(url: &str, schema: &str) -> String {
    let query = format!(
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
         SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' \
           || coalesce(collation_name, '') || coalesce(column_default, '') || is_identity AS line \
           FROM information_schema.columns WHERE table_schema = '{schema}' \
         UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}' \
         UNION ALL SELECT tgname || ' ' || tgtype::text FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid \
           WHERE NOT tgisinternal AND relnamespace = '{schema}'::regnamespace \
         UNION ALL SELECT conname || ' ' || contype::text FROM pg_constraint \
           WHERE connamespace = '{schema}'::regnamespace) AS lines"
    );
    let objects = sql(url, &query).await.expect("the catalogue").unwrap_or_default();
    objects.replace(schema, "SCHEMA")
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_or_at_once_changes_nothing() {
    let Some(options) = options() else { return };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let options = options.clone();
        tasks.spawn(async move {
            options.migrate().await.expect("migrate");
            options.open().await.expect("open")
        });
    }
    let stores = tasks.join_all().await;
    insert(&stores[0], id(1)).await;
    options.migrate().await.unwrap();
    assert!(stores[1].find(&id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_sql_text_makes_what_migrate_makes() {
    let Some(fixture) = Fixture::new().await else { return };
    let by_hand = new_schema();
    let options = fixture.options().schema(&by_hand);
    for migration in options.migrations().unwrap() {
        sql(&fixture.url, &format!("BEGIN; {migration}; COMMIT")).await.unwrap();
    }
    options.open().await.unwrap();
    let made = objects(&fixture.url, &fixture.schema).await;
    assert!(made.contains("token_usage last_used_at bigint NO"), "{made}");
    assert_eq!(objects(&fixture.url, &by_hand).await, made);
}

#[tokio::test]
async fn a_role_that_may_only_use_the_schema_migrates_into_it() {
    let Some(fixture) = Fixture::new().await else { return };
    let schema = new_schema();
    let role = format!("{schema}_role");
    let create = format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA {schema}; \
         GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}; \
         REVOKE CREATE ON DATABASE postgres FROM {role}"
    );
    sql(&fixture.url, &create).await.unwrap();
    let url = fixture.url.replace("postgres@", &format!("{role}@"));
    let options = PostgresOptions::new(&url).schema(&schema);
    options.migrate().await.unwrap();
    let store = options.open().await.unwrap();
    insert(&store, id(1)).await;
    update(&store, id(1), 2).await;
    store.record_usage(&[usage(id(1), 1)]).await.unwrap();
    assert_eq!(head(&store).await.revision.0, 1);
    let error = PostgresOptions::new(&url).schema("another_schema_1").migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
}

#[tokio::test]
async fn our_tables_live_beside_the_hosts() {
    let Some(fixture) = Fixture::new().await else { return };
    let other = fixture.options().schema(&new_schema());
    other.migrate().await.unwrap();
    let (here, there) = (fixture.store().await, other.open().await.unwrap());
    insert(&here, id(1)).await;
    insert(&there, id(2)).await;
    assert!(here.find(&id(1)).await.unwrap().is_some());
    assert!(here.find(&id(2)).await.unwrap().is_none(), "schemas are apart");
    assert!(there.find(&id(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_table_of_the_hosts_that_is_in_the_way_is_left_alone() {
    let Some(server) = shared() else { return };
    let (url, schema) = (server.url("postgres"), new_schema());
    let host = format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.token_event (mine text); \
         INSERT INTO {schema}.token_event VALUES ('kept')"
    );
    sql(&url, &host).await.unwrap();
    let before = objects(&url, &schema).await;
    let error = PostgresOptions::new(&url).schema(&schema).migrate().await.unwrap_err();
    assert!(error.to_string().contains("42P07"), "{error}");
    assert_eq!(objects(&url, &schema).await, before);
    let kept = sql(&url, &format!("SELECT mine FROM {schema}.token_event")).await.unwrap();
    assert_eq!(kept.as_deref(), Some("kept"));
}

#[tokio::test]
async fn missing_tables_are_an_error_that_says_what_to_do() {
    let Some(options) = options() else { return };
    let error = options.open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    let error = error.to_string();
    assert!(error.contains("at version 0 and this program needs 1"), "{error}");
    assert!(error.contains("run PostgresOptions::migrate"), "{error}");
}

#[tokio::test]
async fn tables_of_a_newer_program_are_used_unless_that_says_no() {
    let Some(fixture) = Fixture::new().await else { return };
    let set = async |version: i64, breaking: bool| {
        let insert = "INSERT INTO token_migration (version, breaking) VALUES";
        fixture.sql(&format!("{insert} ({version}, {breaking})")).await;
    };
    set(2, false).await;
    fixture.options().migrate().await.unwrap();
    let running = fixture.store().await;
    insert(&running, id(1)).await;
    set(3, true).await;
    set(4, false).await;
    let error = fixture.options().open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    let text = error.to_string();
    assert!(text.contains("at version 3, which this program is too old to read"), "{text}");
    // A node that runs finds out with its next connection.
    let backends = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE application_name = 'api-tokens' AND query LIKE '%{}%' AND pid <> pg_backend_pid()",
        fixture.schema
    );
    fixture.sql(&backends).await;
    let begun = std::time::Instant::now();
    let error = loop {
        match running.find(&id(1)).await {
            Ok(_) => assert!(begun.elapsed().as_secs() < 60, "it finds out nothing"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    assert!(error.to_string().contains("too old to read"), "{error}");
}

/// Such as a newer program may add without breaking older ones, while these run.
#[tokio::test]
async fn columns_that_this_program_does_not_know_are_left_alone() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    let tables = ["token", "token_usage", "token_event"];
    let (issuer, verifier) = issuer(&store);
    let earlier = create(&issuer).await;
    for table in tables {
        fixture.sql(&format!("ALTER TABLE {table} ADD COLUMN new text DEFAULT 'kept'")).await;
    }
    assert!(is_accepted(&verifier, &earlier).await);
    let token = create(&issuer).await;
    store.record_usage(&[usage(token.id(), 1)]).await.unwrap();
    issuer.revoke(token.id(), &ann(), None).await.unwrap();
    assert!(!is_accepted(&verifier, &token).await);
    for table in tables {
        let new = fixture.sql(&format!("SELECT DISTINCT new FROM {table}")).await;
        assert_eq!(new.as_deref(), Some("kept"), "{table}");
    }
}

#[tokio::test]
async fn a_schema_is_checked() {
    let Some(options) = options() else { return };
    let long = "a".repeat(48);
    for schema in ["a", "_", "user", "table", "app1", long.as_str()] {
        let options = options.clone().schema(schema);
        options.migrate().await.unwrap();
        let store = options.open().await.unwrap();
        insert(&store, id(1)).await;
        update(&store, id(1), 2).await;
        assert_eq!(head(&store).await.revision.0, 1);
    }
    let long = "a".repeat(49);
    for schema in ["", "1a", "A", "a-", "a b", "\"", "a\";--", "a'", "pg_a", "ä", &long] {
        let options = options.clone().schema(schema);
        for error in [options.migrate().await.unwrap_err(), options.open().await.unwrap_err()] {
            assert!(error.to_string().contains("a schema must have"), "{schema}: {error}");
        }
        options.migrations().unwrap_err();
    }
}
