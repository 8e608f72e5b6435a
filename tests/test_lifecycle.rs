//! The life of a token: create, verify, get, list, revoke, prune, and keys that are replaced;
//! on both stores.

use api_tokens::{
    Changes, Clock, Cursor, DynTokenStore, Found, Issuer, IssuerError, Keyring, ListFilter,
    ListQuery, MasterKey, MemoryStore, NewToken, PageKey, SqliteOptions, Status, StoreError,
    StoreErrorKind, Token, TokenId, TokenRecord, TokenStore, Verifier, VerifyError, prefix,
    testing::ManualClock,
};
use jiff::{SignedDuration, Timestamp};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

type Store = DynTokenStore;

struct Service {
    issuer: Issuer<Store>,
    verifier: Verifier<Store>,
    clock: ManualClock,
    store: Store,
    _directory: TempDir,
}

impl Service {
    fn new(store: Store, directory: TempDir) -> Self {
        let clock = ManualClock::new(start());
        let verifier = Verifier::with_clock(
            prefix!("acme_live"),
            &Keyring::new(key(1)),
            store.clone(),
            clock.clone(),
        );
        let issuer = Issuer::with_rng(&verifier, ChaCha20Rng::seed_from_u64(1));
        Self { issuer, verifier, clock, store, _directory: directory }
    }

    /// Another one on the same store and clock.
    fn beside(&self, prefix: api_tokens::Prefix, keyring: &Keyring) -> Verifier<Store> {
        Verifier::with_clock(prefix, keyring, self.store.clone(), self.clock.clone())
    }

    async fn create(&self, name: &str) -> (Token, TokenRecord) {
        let created = self.issuer.create(new_token(name)).await.expect("create");
        (created.token, created.record)
    }

    async fn status(&self, token: &Token) -> Status {
        match self.verifier.verify(token.expose_secret().as_bytes()).await {
            Ok(_) => Status::Active,
            Err(VerifyError::NotActive { id, status }) => {
                assert_eq!(id, token.id());
                status
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// One on each store.
fn services() -> [Service; 2] {
    let directory = || tempfile::tempdir().expect("a temporary directory");
    let file = directory();
    let options = SqliteOptions::new(file.path().join("tokens.db"));
    options.migrate().expect("migrate");
    let sqlite = options.open().expect("open");
    [
        Service::new(DynTokenStore::new(MemoryStore::new()), directory()),
        Service::new(DynTokenStore::new(sqlite), file),
    ]
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn key(number: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..32).map(|i: u8| i.wrapping_mul(7).wrapping_add(number)).collect();
    MasterKey::from_bytes(&bytes).expect("a key")
}

fn new_token(name: &str) -> NewToken {
    NewToken::new(
        "acme".parse().expect("a project"),
        "ann".parse().expect("an owner"),
        name.parse().expect("a name"),
    )
}

const fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

#[tokio::test]
async fn a_created_token_verifies_and_stands_for_what_was_asked() {
    for service in services() {
        let new = NewToken {
            created_by: Some("eve".parse().unwrap()),
            ..new_token(" Production REST API ").with_scopes("sources:* flows:run".parse().unwrap())
        };
        let created = service.issuer.create(new).await.unwrap();
        let verified =
            service.verifier.verify(created.token.expose_secret().as_bytes()).await.unwrap();
        assert_eq!(verified.id(), created.token.id());
        assert_eq!(verified.project().as_str(), "acme");
        assert_eq!(verified.owner().as_str(), "ann");
        assert_eq!(verified.name().as_str(), "Production REST API");
        assert_eq!(*verified.record(), created.record);
        assert_eq!(created.record.created_by.as_str(), "eve");
        assert_eq!(created.record.created_at, start());
        assert_eq!(created.record.version, 1);
        verified.require(&"sources:read flows:run".parse().unwrap()).unwrap();
        let missing = verified.require(&"flows:run flows:edit".parse().unwrap()).unwrap_err();
        assert!(matches!(missing, VerifyError::InsufficientScope { .. }));
        assert!(missing.to_string().contains("flows:edit flows:run"), "{missing}");
    }
}

#[tokio::test]
async fn the_store_holds_no_plaintext() {
    for service in services() {
        let (token, record) = service.create("a token").await;
        let json = serde_json::to_string(&record).unwrap();
        let secret = token.expose_secret().split('_').next_back().unwrap();
        assert!(json.contains(token.id().as_str()));
        // Not even in part.
        for part in secret.as_bytes().windows(8) {
            let part = core::str::from_utf8(part).unwrap();
            assert!(!json.contains(part), "{part} in {json}");
        }
    }
}

#[tokio::test]
async fn every_refusal_has_its_reason() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let other =
            Token::generate(&prefix!("acme_live"), &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
        let verify = async |text: &str| service.verifier.verify(text.as_bytes()).await.unwrap_err();

        assert!(matches!(verify("garbage").await, VerifyError::Malformed(_)));
        assert!(matches!(verify(other.expose_secret()).await, VerifyError::UnknownToken));

        let forged = forge(&token, &other);
        let error = verify(&forged).await;
        assert!(matches!(error, VerifyError::WrongSecret { id } if id == token.id()), "{error}");

        let header =
            |value: &'static str| service.verifier.verify_authorization([value.as_bytes()]);
        assert!(matches!(header("").await, Err(VerifyError::NoCredentials)));
        assert!(matches!(header("Basic dTpw").await, Err(VerifyError::OtherScheme)));
        assert!(matches!(header("Bearer").await, Err(VerifyError::InvalidRequest)));
        assert!(matches!(header("Bearer ?").await, Err(VerifyError::MalformedCredentials)));
        assert!(matches!(header("Bearer a").await, Err(VerifyError::Malformed(_))));
    }
}

/// The id of one token with the secret of another, and a right checksum.
fn forge(id: &Token, secret: &Token) -> String {
    let body = format!(
        "acme_live_{}_{}",
        id.id(),
        &secret.expose_secret()["acme_live_0123456789abcdef_".len()..][..39]
    );
    let mut crc = crc32fast::hash(body.as_bytes());
    let mut digits = Vec::new();
    for _ in 0..6 {
        let digit = u8::try_from(crc % 62).unwrap();
        digits.push(char::from(match digit {
            0..10 => b'0' + digit,
            10..36 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        }));
        crc /= 62;
    }
    body + &digits.iter().rev().collect::<String>()
}

#[tokio::test]
async fn the_authorization_field_is_read_and_verified() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let value = format!("bearer  {} ", token.expose_secret());
        let verified = service.verifier.verify_authorization([value.as_bytes()]).await.unwrap();
        assert_eq!(verified.id(), token.id());
        let twice = [value.as_bytes(), value.as_bytes()];
        let error = service.verifier.verify_authorization(twice).await.unwrap_err();
        assert!(matches!(error, VerifyError::InvalidRequest));
    }
}

#[tokio::test]
async fn revocation_is_immediate_final_and_idempotent() {
    for service in services() {
        let (token, record) = service.create("a token").await;
        let (bystander, _) = service.create("another").await;
        service.clock.advance(seconds(5));
        let reason = Some("laptop lost".parse().unwrap());
        let revoked =
            service.issuer.revoke(token.id(), "bob".parse().unwrap(), reason).await.unwrap().record;
        assert_eq!(service.status(&token).await, Status::Revoked);
        assert_eq!(service.status(&bystander).await, Status::Active);
        let revocation = revoked.revocation.clone().unwrap();
        assert_eq!(revocation.at, start() + seconds(5));
        assert_eq!(revocation.by.as_str(), "bob");
        assert_eq!(revocation.reason.unwrap().as_str(), "laptop lost");
        assert_eq!(revoked.version, record.version + 1);

        // Again, by somebody else: what is on record stays.
        service.clock.advance(seconds(5));
        let again =
            service.issuer.revoke(token.id(), "eve".parse().unwrap(), None).await.unwrap().record;
        assert_eq!(again, revoked);
        assert_eq!(service.issuer.get(token.id()).await.unwrap(), Some(revoked));
        // Whatever the clock says.
        service.clock.set(start() - seconds(1000));
        assert_eq!(service.status(&token).await, Status::Revoked);
    }
}

#[tokio::test]
async fn revoking_an_unknown_token_says_so() {
    for service in services() {
        let id: TokenId = "0123456789abcdef".parse().unwrap();
        let error = service.issuer.revoke(id, "ann".parse().unwrap(), None).await.unwrap_err();
        assert!(matches!(error, IssuerError::NotFound), "{error}");
        assert_eq!(service.issuer.get(id).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_revocations_at_once_leave_one_on_record() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let issuer = Arc::new(service.issuer);
        let mut tasks = tokio::task::JoinSet::new();
        for i in 0..32 {
            let (issuer, id) = (Arc::clone(&issuer), token.id());
            tasks.spawn(async move {
                issuer
                    .revoke(id, format!("person {i}").parse().unwrap(), None)
                    .await
                    .unwrap()
                    .record
            });
        }
        let records = tasks.join_all().await;
        assert!(records.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(records[0].version, 2);
    }
}

#[tokio::test]
async fn a_token_is_accepted_from_not_before_until_expires_at() {
    for service in services() {
        let new = NewToken {
            not_before: Some(start() + seconds(10)),
            expires_at: Some(start() + seconds(20)),
            ..new_token("a token")
        };
        let token = service.issuer.create(new).await.unwrap().token;
        let microsecond = SignedDuration::from_micros(1);
        for (time, status) in [
            (start(), Status::NotYetValid),
            (start() + seconds(10) - microsecond, Status::NotYetValid),
            (start() + seconds(10), Status::Active),
            (start() + seconds(20) - microsecond, Status::Active),
            (start() + seconds(20), Status::Expired),
            (start() + seconds(20_000), Status::Expired),
        ] {
            service.clock.set(time);
            assert_eq!(service.status(&token).await, status, "{time}");
        }
    }
}

/// Counts how often it is asked.
#[derive(Clone, Default)]
struct CountingClock(Arc<AtomicU32>);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::Relaxed);
        start()
    }
}

/// It takes a good part of a verification from memory.
#[tokio::test]
async fn the_clock_is_read_only_for_a_token_with_a_time() {
    let clock = CountingClock::default();
    let keyring = Keyring::new(key(1));
    let store = MemoryStore::new();
    let verifier = Verifier::with_clock(prefix!("acme_live"), &keyring, store, clock.clone());
    let issuer = Issuer::new(&verifier);
    let later = Some(start() + seconds(10));
    let plain = new_token("for ever");
    let expiring = NewToken { expires_at: later, ..new_token("expiring") };
    let both = NewToken { not_before: Some(start()), ..expiring.clone() };
    for (new, reads) in [(plain, 0), (expiring, 1), (both, 1)] {
        let token = issuer.create(new).await.unwrap().token;
        clock.0.store(0, Ordering::Relaxed);
        verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
        assert_eq!(clock.0.load(Ordering::Relaxed), reads);
    }
}

#[tokio::test]
async fn a_token_that_would_never_be_valid_is_refused() {
    for service in services() {
        for (not_before, expires_at, message) in [
            (None, start(), "expires_at must lie in the future"),
            (None, start() - seconds(1), "expires_at must lie in the future"),
            (None, start() + SignedDuration::from_nanos(999), "expires_at must lie in the future"),
            (
                Some(start() + seconds(9)),
                start() + seconds(9),
                "expires_at must be after not_before",
            ),
            (
                Some(start() + seconds(9)),
                start() + seconds(5),
                "expires_at must be after not_before",
            ),
        ] {
            let new = NewToken { not_before, expires_at: Some(expires_at), ..new_token("a token") };
            let error = service.issuer.create(new).await.unwrap_err();
            let IssuerError::Invalid(error) = error else { panic!("{error}") };
            assert_eq!((error.field(), error.to_string().as_str()), ("expires_at", message));
        }
        let page = service.issuer.list(&ListQuery::default()).await.unwrap();
        assert!(page.records.is_empty());
    }
}

#[tokio::test]
async fn the_last_instant_there_is_can_be_an_expiry() {
    for service in services() {
        let new = NewToken { expires_at: Some(Timestamp::MAX), ..new_token("for ever") };
        let created = service.issuer.create(new).await.unwrap();
        assert_eq!(service.status(&created.token).await, Status::Active);
        assert_eq!(service.issuer.get(created.token.id()).await.unwrap(), Some(created.record));
    }
}

#[tokio::test]
async fn lists_filter_and_page() {
    for service in services() {
        let mut ids = Vec::new();
        for (project, owner, name) in [
            ("acme", "ann", "Production REST API"),
            ("acme", "bob", "Claude Integration"),
            ("other", "ann", "production mirror"),
            ("acme", "ann", "ÄPFEL"),
        ] {
            service.clock.advance(seconds(1));
            let new = NewToken::new(
                project.parse().unwrap(),
                owner.parse().unwrap(),
                name.parse().unwrap(),
            );
            ids.push(service.issuer.create(new).await.unwrap().token.id());
        }
        service.issuer.revoke(ids[1], "ann".parse().unwrap(), None).await.unwrap();
        let list = async |query: ListQuery| -> Vec<usize> {
            let page = service.issuer.list(&query).await.unwrap();
            assert_eq!(page.next, None);
            let position = |record: &TokenRecord| ids.iter().position(|id| *id == record.id);
            page.records.iter().filter_map(position).collect()
        };
        let acme = || Some("acme".parse().unwrap());
        let ann = || Some("ann".parse().unwrap());
        let all = ListQuery::default;
        assert_eq!(list(all()).await, [3, 2, 1, 0]);
        assert_eq!(list(ListQuery { project: acme(), ..all() }).await, [3, 1, 0]);
        assert_eq!(list(ListQuery { owner: ann(), ..all() }).await, [3, 2, 0]);
        assert_eq!(list(ListQuery { project: acme(), owner: ann(), ..all() }).await, [3, 0]);
        let status = |status| ListQuery { status: Some(status), ..all() };
        assert_eq!(list(status(Status::Active)).await, [3, 2, 0]);
        assert_eq!(list(status(Status::Revoked)).await, [1]);
        assert_eq!(list(status(Status::Expired)).await, [0_usize; 0]);
        let name = |name: &str| ListQuery { name_contains: Some(name.to_owned()), ..all() };
        assert_eq!(list(name("PRODUCTION")).await, [2, 0]);
        assert_eq!(list(name("äpf")).await, [3]);
        assert_eq!(list(name("%")).await, [0_usize; 0]);

        for limit in [1, 2, 3] {
            let mut query = ListQuery { status: Some(Status::Active), limit, ..all() };
            let mut listed = Vec::new();
            loop {
                let page = service.issuer.list(&query).await.unwrap();
                assert!(!page.records.is_empty() && page.records.len() <= limit);
                listed.extend(page.records.iter().map(|record| record.id));
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, [ids[3], ids[2], ids[0]], "pages of {limit}");
        }
    }
}

#[tokio::test]
async fn a_rare_match_is_found_behind_many_others() {
    for service in services() {
        let (rare, _) = service.create("the rare one").await;
        for i in 0..1100 {
            service.clock.advance(seconds(1));
            service.create(&format!("number {i}")).await;
        }
        let query =
            ListQuery { name_contains: Some("rare".to_owned()), limit: 1, ..ListQuery::default() };
        let page = service.issuer.list(&query).await.unwrap();
        assert_eq!(page.records.len(), 1);
        assert_eq!(page.records[0].id, rare.id());
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn pruning_deletes_only_what_has_long_been_dead() {
    for service in services() {
        let (revoked, _) = service.create("revoked").await;
        let (alive, _) = service.create("alive").await;
        let expiring =
            NewToken { expires_at: Some(start() + seconds(50)), ..new_token("expiring") };
        let expiring = service.issuer.create(expiring).await.unwrap().token;
        service.issuer.revoke(revoked.id(), "ann".parse().unwrap(), None).await.unwrap();
        service.clock.advance(seconds(100));

        assert_eq!(service.issuer.prune(start()).await.unwrap(), 0);
        // What ends in the future has not ended.
        let later = NewToken { expires_at: Some(start() + seconds(500)), ..new_token("later") };
        let later = service.issuer.create(later).await.unwrap().token;
        assert_eq!(service.issuer.prune(start() + seconds(1)).await.unwrap(), 1);
        let error = service.verifier.verify(revoked.expose_secret().as_bytes()).await.unwrap_err();
        assert!(matches!(error, VerifyError::UnknownToken), "{error}");
        assert_eq!(service.status(&expiring).await, Status::Expired);
        assert_eq!(service.issuer.prune(start() + seconds(51)).await.unwrap(), 1);
        assert_eq!(service.issuer.get(expiring.id()).await.unwrap(), None);
        assert_eq!(service.issuer.prune(Timestamp::MAX).await.unwrap(), 0);
        assert_eq!(service.status(&alive).await, Status::Active);
        assert_eq!(service.status(&later).await, Status::Active);
    }
}

#[tokio::test]
async fn a_used_token_is_digested_again_under_the_current_key() {
    for service in services() {
        let (token, old) = service.create("a token").await;
        let (unused, unused_record) = service.create("unused").await;
        let rotated = Keyring::new(key(2)).with_earlier(key(1));
        let verifier = service.beside(prefix!("acme_live"), &rotated);
        let text = token.expose_secret().as_bytes();

        let verified = verifier.verify(text).await.unwrap();
        let new = service.issuer.get(token.id()).await.unwrap().unwrap();
        assert_eq!(new.digest.key_id(), Some(key(2).id()));
        assert_ne!(new.digest, old.digest);
        assert_eq!(*verified.record(), new);
        assert_eq!(new, TokenRecord { digest: new.digest, version: old.version + 1, ..old });
        // Once is enough.
        verifier.verify(text).await.unwrap();
        assert_eq!(service.issuer.get(token.id()).await.unwrap(), Some(new));
        // A wrong secret moves nothing.
        verifier.verify(forge(&unused, &token).as_bytes()).await.unwrap_err();
        assert_eq!(service.issuer.get(unused.id()).await.unwrap(), Some(unused_record));

        // A node without the old key: the used token works, the other one cannot be judged.
        let only_new = service.beside(prefix!("acme_live"), &Keyring::new(key(2)));
        only_new.verify(text).await.unwrap();
        let error = only_new.verify(unused.expose_secret().as_bytes()).await.unwrap_err();
        assert!(matches!(error, VerifyError::UnknownKey { id } if id == unused.id()), "{error}");
    }
}

/// A store on which something happens whenever a record is about to be updated.
struct Eventful(MemoryStore, Event);

enum Event {
    /// Somebody else revokes the token, so that the update finds another version.
    Revoked,
    /// The same, and then the store does not answer.
    RevokedAndUnavailable,
    /// It takes an hour.
    Hour(ManualClock),
}

impl TokenStore for Eventful {
    async fn insert(&self, record: &TokenRecord) -> Result<(), StoreError> {
        self.0.insert(record).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.0.find(id).await
    }

    async fn update(&self, record: &TokenRecord) -> Result<(), StoreError> {
        if let Event::Hour(clock) = &self.1 {
            clock.advance(seconds(3600));
            return self.0.update(record).await;
        }
        let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), self.0.clone());
        let revoked = Issuer::new(&verifier).revoke(record.id, "eve".parse().unwrap(), None).await;
        revoked.expect("revoke");
        match self.1 {
            Event::RevokedAndUnavailable => {
                Err(StoreError::new(StoreErrorKind::Unavailable, "update a record"))
            }
            _ => self.0.update(record).await,
        }
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.0.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.0.changes_since(cursor, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.prune(ended_before, limit).await
    }
}

#[tokio::test]
async fn what_happens_while_a_token_is_digested_again_counts() {
    let clock = ManualClock::new(start());
    for (event, expected) in [
        (Event::Revoked, Status::Revoked),
        (Event::RevokedAndUnavailable, Status::Revoked),
        (Event::Hour(clock.clone()), Status::Expired),
    ] {
        let (prefix, memory) = (prefix!("acme_live"), MemoryStore::new());
        let old = Keyring::new(key(1));
        let before = Verifier::with_clock(prefix, &old, memory.clone(), clock.clone());
        let expires_at = Some(start() + seconds(60));
        let new = NewToken { expires_at, ..new_token("a token") };
        let created = Issuer::new(&before).create(new).await.unwrap();

        let rotated = Keyring::new(key(2)).with_earlier(key(1));
        let store = Eventful(memory, event);
        let verifier = Verifier::with_clock(prefix, &rotated, store, clock.clone());
        let error = verifier.verify(created.token.expose_secret().as_bytes()).await.unwrap_err();
        assert!(
            matches!(error, VerifyError::NotActive { status, .. } if status == expected),
            "{expected}: {error}"
        );
    }
}

/// While keys are replaced, some nodes have the old one as current and some the new one.
#[tokio::test]
async fn nodes_that_disagree_on_the_current_key_do_not_undo_one_another() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let text = token.expose_secret().as_bytes();
        let old = service.beside(prefix!("acme_live"), &Keyring::new(key(1)).with_upcoming(key(2)));
        let new = service.beside(prefix!("acme_live"), &Keyring::new(key(2)).with_earlier(key(1)));
        for _ in 0..3 {
            old.verify(text).await.unwrap();
            new.verify(text).await.unwrap();
        }
        let record = service.issuer.get(token.id()).await.unwrap().unwrap();
        assert_eq!((record.version, record.digest.key_id()), (2, Some(key(2).id())));
    }
}

#[tokio::test]
async fn a_refused_token_is_not_digested_again() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let revoked =
            service.issuer.revoke(token.id(), "ann".parse().unwrap(), None).await.unwrap().record;
        let rotated = Keyring::new(key(2)).with_earlier(key(1));
        let verifier = service.beside(prefix!("acme_live"), &rotated);
        verifier.verify(token.expose_secret().as_bytes()).await.unwrap_err();
        assert_eq!(service.issuer.get(token.id()).await.unwrap(), Some(revoked));
    }
}

#[tokio::test]
async fn a_token_of_one_prefix_never_passes_for_one_of_another() {
    for service in services() {
        for keyring in [Keyring::new(key(1)), Keyring::unkeyed()] {
            let test = service.beside(prefix!("acme_test"), &keyring);
            let live = service.beside(prefix!("acme_live"), &keyring);
            let created = Issuer::new(&test).create(new_token("a test token")).await.unwrap();
            let text = created.token.expose_secret();
            test.verify(text.as_bytes()).await.unwrap();
            let error = live.verify(text.as_bytes()).await.unwrap_err();
            assert!(matches!(error, VerifyError::Malformed(_)), "{error}");
            // Even with a prefix and a checksum that were put right.
            let error =
                live.verify(forge(&created.token, &created.token).as_bytes()).await.unwrap_err();
            assert!(matches!(error, VerifyError::WrongSecret { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn the_same_random_numbers_twice_never_overwrite_a_token() {
    for service in services() {
        let (token, _) = service.create("the first").await;
        let again = Issuer::with_rng(&service.verifier, ChaCha20Rng::seed_from_u64(1));
        let error = again.create(new_token("the second")).await.unwrap_err();
        let IssuerError::Store(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
        let record = service.issuer.get(token.id()).await.unwrap().unwrap();
        assert_eq!(record.name.as_str(), "the first");
        // The generator has gone on.
        again.create(new_token("the third")).await.unwrap();
    }
}

#[tokio::test]
async fn a_generator_that_fails_is_an_error() {
    struct Broken;
    impl rand::TryRng for Broken {
        type Error = std::io::Error;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Err(std::io::Error::other("broken"))
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Err(std::io::Error::other("broken"))
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            Err(std::io::Error::other("broken"))
        }
    }
    impl rand::TryCryptoRng for Broken {}

    for service in services() {
        let issuer = Issuer::with_rng(&service.verifier, Broken);
        let error = issuer.create(new_token("a token")).await.unwrap_err();
        assert!(matches!(error, IssuerError::Random), "{error}");
        assert!(service.store.list(&ListFilter::default(), None, 1).await.unwrap().is_empty());
    }
}
