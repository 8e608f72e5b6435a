//! What the PostgreSQL store adds to the database: `find` against the same statement by the bare
//! driver, on one server and in one run, so that the ratio means something on any machine. And
//! what writes cost, which is mostly the disk.

#[path = "../tests/postgres_support/mod.rs"]
mod postgres_support;
#[path = "../tests/util/mod.rs"]
mod util;

use std::time::Instant;

use api_tokens::{Issuer, Keyring, PostgresStore, Token, TokenStore, Verifier, WriteBatch, prefix};
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use tokio_postgres::NoTls;
use util::{ann, id, new_token, record};

fn postgres(criterion: &mut Criterion) {
    let Some(server) = postgres_support::Server::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let options = api_tokens::PostgresOptions::new(&server.url("postgres"));
    let (store, client) = runtime.block_on(async {
        options.migrate().await.expect("migrate");
        let store = options.open().await.expect("open");
        for batch in 0..20 {
            let inserts = (batch * 5_000..(batch + 1) * 5_000).map(|i| record(id(i), 1)).collect();
            store.write(&WriteBatch { inserts, ..WriteBatch::default() }).await.expect("insert");
        }
        let url = server.url("postgres");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("connect");
        tokio::spawn(connection);
        client.batch_execute("ANALYZE; CHECKPOINT").await.expect("analyze");
        (store, client)
    });
    let mut bench = Bench { group: criterion.benchmark_group("postgres"), runtime: &runtime };
    let mut ids = (0..).map(|i| id(i * 7_919 % 100_000));
    let select = runtime
        .block_on(client.prepare(
            "SELECT t.*, h.revision FROM api_tokens.token_head h \
             LEFT JOIN api_tokens.token t ON t.id = $1 WHERE h.one = 1",
        ))
        .expect("prepare");
    bench.run("select by the bare driver", async || {
        let id = ids.next().expect("an id");
        let row = client.query_one(&select, &[&id.as_str()]).await.expect("a row");
        assert_eq!(row.get::<_, &str>(0), id.as_str());
    });
    bench.run("find", async || {
        let id = ids.next().expect("an id");
        store.find(&id).await.expect("find").expect("a record");
    });
    let verifier = Verifier::new(prefix!("bench"), &Keyring::unkeyed(), store.clone());
    let tokens = runtime.block_on(tokens(&verifier));
    let mut tokens = tokens.iter().cycle();
    bench.run("verify without a cache", async || {
        let text = tokens.next().expect("a token").expose_secret().as_bytes();
        verifier.verify(text).await.expect("accepted");
    });
    bench.run("changes_since, none", async || {
        store.changes_since(None, 100).await.expect("changes");
    });
    let mut versions = 2..;
    bench.run("update one record", async || {
        let update = WriteBatch::update(record(id(1), versions.next().expect("a version")));
        store.write(&update).await.expect("update");
    });
    let update = runtime
        .block_on(client.prepare("UPDATE api_tokens.token_head SET revision = revision"))
        .expect("prepare");
    bench.run("update one number by the bare driver", async || {
        client.execute(&update, &[]).await.expect("update");
    });
}

struct Bench<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    runtime: &'a tokio::runtime::Runtime,
}

impl Bench<'_> {
    fn run(&mut self, name: &str, mut call: impl AsyncFnMut()) {
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                self.runtime.block_on(async {
                    let begun = Instant::now();
                    for _ in 0..times {
                        call().await;
                    }
                    begun.elapsed()
                })
            });
        });
    }
}

async fn tokens(verifier: &Verifier<PostgresStore>) -> Vec<Token> {
    let issuer = Issuer::new(verifier);
    let mut tokens = Vec::new();
    for _ in 0..1_000 {
        tokens.push(issuer.create(new_token("a token"), &ann()).await.expect("create").token);
    }
    tokens
}

criterion_group!(benches, postgres);
criterion_main!(benches);
