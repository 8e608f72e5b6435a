//! Promise 4: nobody gains rights. Whoever holds one token does whatever they like through it and
//! through all that they make with it, and never holds more than it gave them.

use api_tokens::{
    Actor, Edit, Expiry, Issuer, IssuerError, Keyring, MemoryStore, NewToken, Rotate, Scopes,
    Selection, Status, Token, TokenId, TokenRecord, Verifier, prefix, testing::ManualClock,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha20Rng};

use crate::{ann, seconds, start};

const PROJECTS: [&str; 2] = ["acme", "other"];
const SCOPES: [&str; 7] =
    ["sources:read", "sources:write", "sources:*", "flows:run", "flows:*", "*", "users:read"];

/// An operation; numbers choose among what there is, modulo how much there is.
#[derive(Debug, Clone)]
enum Step {
    Create {
        project: usize,
        for_another: bool,
        scopes: Vec<usize>,
        expiry: Expiry,
    },
    Rotate {
        target: usize,
        expiry: Expiry,
        overlap: i64,
        retire_on_use: bool,
        key: Option<u8>,
    },
    FinishRotation {
        target: usize,
    },
    CancelRotation {
        target: usize,
    },
    Edit {
        target: usize,
        scopes: Option<Vec<usize>>,
        expiry: Option<Expiry>,
    },
    Disable {
        target: usize,
    },
    Enable {
        target: usize,
    },
    Revoke {
        target: usize,
    },
    RevokeFamily {
        target: usize,
    },
    RevokeOwn,
    List,
    /// Not of the thief: time goes on.
    Wait {
        seconds: i64,
    },
    /// Not of the thief: somebody disables or narrows one of their tokens.
    Narrowed {
        target: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let scopes = || prop::collection::vec(0..SCOPES.len(), 0..3);
    let expiry = || {
        prop_oneof![
            2 => Just(Expiry::Default),
            1 => Just(Expiry::Never),
            3 => (-10..2000_i64).prop_map(|after| Expiry::After(seconds(after))),
            3 => (-10..2000_i64).prop_map(|after| Expiry::At(start() + seconds(after))),
        ]
    };
    let target = || any::<usize>();
    let step = prop_oneof![
        6 => (0..2_usize, prop::bool::weighted(0.1), scopes(), expiry()).prop_map(
            |(project, for_another, scopes, expiry)| {
                Step::Create { project, for_another, scopes, expiry }
            }
        ),
        4 => (target(), expiry(), 0..100_i64, any::<bool>(), prop::option::of(0..3_u8)).prop_map(
            |(target, expiry, overlap, retire_on_use, key)| {
                Step::Rotate { target, expiry, overlap, retire_on_use, key }
            }
        ),
        1 => target().prop_map(|target| Step::FinishRotation { target }),
        2 => target().prop_map(|target| Step::CancelRotation { target }),
        4 => (target(), prop::option::of(scopes()), prop::option::of(expiry()))
            .prop_map(|(target, scopes, expiry)| Step::Edit { target, scopes, expiry }),
        1 => target().prop_map(|target| Step::Disable { target }),
        2 => target().prop_map(|target| Step::Enable { target }),
        1 => target().prop_map(|target| Step::Revoke { target }),
        1 => target().prop_map(|target| Step::RevokeFamily { target }),
        1 => Just(Step::RevokeOwn),
        1 => Just(Step::List),
        2 => (1..200_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => target().prop_map(|target| Step::Narrowed { target }),
    ];
    prop::collection::vec((any::<usize>(), step), 1..40)
}

struct World {
    issuer: Issuer<MemoryStore>,
    verifier: Verifier<MemoryStore>,
    clock: ManualClock,
    /// All tokens there are.
    ids: Vec<TokenId>,
    /// Those whose plaintext the thief has.
    held: Vec<Token>,
    /// What the first of them gave.
    given: TokenRecord,
}

fn scopes(chosen: &[usize]) -> Scopes {
    Scopes::new(chosen.iter().map(|i| SCOPES[*i].parse().unwrap())).unwrap()
}

fn pick<T>(from: &[T], number: usize) -> &T {
    &from[number % from.len()]
}

impl World {
    async fn new(given: &[usize], life: Option<i64>) -> Self {
        let clock = ManualClock::new(start());
        let verifier =
            Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
                .clock(clock.clone())
                .without_background();
        let issuer = Issuer::with_rng(&verifier, ChaCha20Rng::seed_from_u64(1));
        let create = async |project: &str, scopes: Scopes, expiry| {
            let new = NewToken::new(
                project.parse().unwrap(),
                "ann".parse().unwrap(),
                "a token".parse().unwrap(),
            );
            issuer.create(new.with_scopes(scopes).with_expiry(expiry), &ann()).await.unwrap()
        };
        let mut ids = Vec::new();
        // What others have: in both projects, with few and many rights, also disabled or in the
        // middle of a rotation.
        for project in PROJECTS {
            for scopes in ["sources:read", "*", "flows:run users:read"] {
                let made = create(project, scopes.parse().unwrap(), Expiry::Never).await;
                ids.push(made.record.id);
                let disabled = create(project, scopes.parse().unwrap(), Expiry::Never).await;
                issuer.disable(disabled.record.id, &ann()).await.unwrap();
                ids.push(disabled.record.id);
                let rotate = Rotate::with_overlap(seconds(500));
                let rotated = issuer.rotate(made.record.id, &ann(), rotate).await.unwrap();
                ids.push(rotated.record.id);
            }
        }
        let expiry = life.map_or(Expiry::Never, |life| Expiry::After(seconds(life)));
        let given = create("acme", scopes(given), expiry).await;
        ids.push(given.record.id);
        Self { issuer, verifier, clock, ids, held: vec![given.token], given: given.record }
    }

    async fn records(&self) -> Vec<TokenRecord> {
        let mut records = Vec::new();
        for id in &self.ids {
            records.push(self.issuer.get(*id, &ann()).await.unwrap().unwrap());
        }
        records
    }

    async fn take(&mut self, actor: &Actor, step: Step) -> Result<(), IssuerError> {
        let id = |target| *pick(&self.ids, target);
        match step {
            Step::Create { project, for_another, scopes: chosen, expiry } => {
                let owner = if for_another { "ben" } else { "ann" };
                let new = NewToken::new(
                    PROJECTS[project].parse().unwrap(),
                    owner.parse().unwrap(),
                    "made".parse().unwrap(),
                );
                let new = new.with_scopes(scopes(&chosen)).with_expiry(expiry);
                let created = self.issuer.create(new, actor).await?;
                assert_eq!(owner, "ann", "a token for somebody else");
                self.ids.push(created.record.id);
                self.held.push(created.token);
            }
            Step::Rotate { target, expiry, overlap, retire_on_use, key } => {
                let rotate = Rotate {
                    expiry,
                    overlap: seconds(overlap),
                    retire_on_use,
                    idempotency_key: key.map(|key| key.to_string().parse().unwrap()),
                };
                let rotated = self.issuer.rotate(id(target), actor, rotate).await?;
                self.ids.push(rotated.record.id);
                self.held.push(rotated.token);
            }
            Step::FinishRotation { target } => {
                self.issuer.finish_rotation(id(target), actor).await?;
            }
            Step::CancelRotation { target } => {
                self.issuer.cancel_rotation(id(target), actor).await?;
            }
            Step::Edit { target, scopes: chosen, expiry } => {
                let scopes = chosen.map(|chosen| scopes(&chosen));
                let edit = Edit { scopes, expiry, ..Edit::default() };
                self.issuer.edit(id(target), actor, edit).await?;
            }
            Step::Disable { target } => {
                self.issuer.disable(id(target), actor).await?;
            }
            Step::Enable { target } => {
                self.issuer.enable(id(target), actor).await?;
            }
            Step::Revoke { target } => {
                self.issuer.revoke(id(target), actor, None).await?;
            }
            Step::RevokeFamily { target } => {
                self.issuer.revoke_family(id(target), actor, None).await?;
            }
            Step::RevokeOwn => {
                let own =
                    Selection { created_through: Some(self.given.id), ..Selection::default() };
                self.issuer.revoke_all(own, actor, None)?.run().await?;
            }
            Step::List => {
                let page = self.issuer.list(&Selection::default(), actor, None, 1000).await?;
                for record in page.records {
                    assert_eq!(record.project, self.given.project, "another project is listed");
                }
            }
            Step::Wait { seconds: time } => self.clock.advance(seconds(time)),
            Step::Narrowed { target } => {
                let id = pick(&self.held, target).id();
                let edit = Edit { scopes: Some(Scopes::default()), ..Edit::default() };
                // It may have come to its end.
                let _ = self.issuer.edit(id, &ann(), edit.clone()).await;
            }
        }
        Ok(())
    }

    /// Whatever the thief holds is accepted for no more than the first token gave, now and later.
    async fn check_held(&self) {
        for later in [0, 100, 1000, 100_000] {
            let now = self.clock_now();
            self.clock.advance(seconds(later));
            for token in &self.held {
                let text = token.expose_secret().as_bytes();
                let Ok(verified) = self.verifier.verify(text).await else { continue };
                assert_eq!(verified.project(), &self.given.project, "another project");
                let record = verified.record();
                assert!(
                    self.given.scopes.covers(&record.scopes),
                    "{} of {}",
                    record.scopes,
                    self.given.scopes
                );
                assert!(
                    self.given.expires_at.is_none_or(|end| self.clock_now() < end),
                    "accepted after {:?}",
                    self.given.expires_at
                );
            }
            self.clock.set(now);
        }
    }

    fn clock_now(&self) -> Timestamp {
        use api_tokens::Clock;
        self.clock.now()
    }
}

/// Whether a token of others came to more than it was, beyond what the thief could give.
fn gained(before: &TokenRecord, after: &TokenRecord, given: &TokenRecord) -> Option<&'static str> {
    let end = |record: &TokenRecord| record.ends_at().unwrap_or(Timestamp::MAX);
    if before == after {
        None
    } else if after.project != given.project {
        Some("changed in another project")
    } else if !after.scopes.iter().all(|scope| {
        let scope = Scopes::new([scope.clone()]).unwrap();
        let is_given = given.scopes.covers(&scope) && end(after) <= end(given);
        before.scopes.covers(&scope) || is_given
    }) {
        Some("widened")
    } else if end(after) > end(before) && end(after) > end(given) {
        Some("lengthened")
    } else if before.disabled && !after.disabled && !given.scopes.covers(&after.scopes) {
        Some("enabled")
    } else if before.revocation.is_some() && after.revocation.is_none() {
        Some("revived")
    } else {
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_chain_of_operations_escalates(
        given in prop::collection::vec(0..SCOPES.len(), 0..3),
        life in prop::option::of(1..1000_i64),
        steps in steps(),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut world = World::new(&given, life).await;
            for (through, step) in steps {
                let text = pick(&world.held, through).expose_secret().as_bytes();
                // A token that is not accepted is no actor at all; one that was may be used on.
                let Ok(verified) = world.verifier.verify(text).await else { continue };
                let before = world.records().await;
                let actor = Actor::from(&verified);
                let _ = world.take(&actor, step.clone()).await;
                let after = world.records().await;
                for (before, after) in before.iter().zip(&after) {
                    let gained = gained(before, after, &world.given);
                    assert_eq!(gained, None, "{step:?}\n{before:?}\n{after:?}");
                }
                world.check_held().await;
            }
        });
    }

    /// The same, but the thief's actors are from requests that began before, so that their tokens
    /// may have been narrowed, disabled or revoked since.
    #[test]
    fn an_actor_of_an_earlier_request_does_not_escalate(
        given in prop::collection::vec(0..SCOPES.len(), 1..3),
        steps in steps(),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let mut world = World::new(&given, Some(1000)).await;
            let text = world.held[0].expose_secret().as_bytes();
            let actor = Actor::from(&world.verifier.verify(text).await.unwrap());
            for (_, step) in steps {
                let own = world.issuer.get(world.given.id, &ann()).await.unwrap().unwrap();
                let was_active = own.status(world.clock_now()) == Status::Active;
                let is_theirs = !matches!(step, Step::Wait { .. } | Step::Narrowed { .. });
                let done = world.take(&actor, step.clone()).await;
                if is_theirs && !was_active {
                    let refused = matches!(done, Err(IssuerError::ActorNotActive(_)));
                    assert!(refused, "{step:?} through a dead token: {done:?}");
                }
                world.check_held().await;
            }
        });
    }
}

/// The limits themselves, each at its edge.
#[tokio::test]
async fn what_is_made_through_a_token_reaches_as_far_as_it_and_no_further() {
    let world = World::new(&[2], Some(1000)).await; // sources:*
    let text = world.held[0].expose_secret().as_bytes();
    let actor = Actor::from(&world.verifier.verify(text).await.unwrap());
    let create = async |scopes: &str, expiry| {
        let new =
            NewToken::new("acme".parse().unwrap(), "ann".parse().unwrap(), "made".parse().unwrap());
        let new = new.with_scopes(scopes.parse().unwrap()).with_expiry(expiry);
        world.issuer.create(new, &actor).await.map(|created| created.record.expires_at)
    };
    let end = start() + seconds(1000);
    assert_eq!(create("sources:*", Expiry::At(end)).await.unwrap(), Some(end));
    assert_eq!(create("sources:read", Expiry::Default).await.unwrap(), Some(end));
    assert_eq!(create("", Expiry::Default).await.unwrap(), Some(end));
    let exceeds = |error: IssuerError| match error {
        IssuerError::Exceeds(limit) => limit.to_string(),
        other => panic!("{other}"),
    };
    let over = end + SignedDuration::from_micros(1);
    assert_eq!(exceeds(create("", Expiry::At(over)).await.unwrap_err()), "lifetime");
    assert_eq!(exceeds(create("", Expiry::Never).await.unwrap_err()), "lifetime");
    assert_eq!(exceeds(create("*", Expiry::Default).await.unwrap_err()), "scopes");
    assert_eq!(exceeds(create("flows:run", Expiry::Default).await.unwrap_err()), "scopes");
}

/// A token that is being replaced lives on only until the overlap ends.
#[tokio::test]
async fn a_token_in_its_overlap_gives_no_more_time_than_it_has() {
    let world = World::new(&[0], None).await;
    let text = world.held[0].expose_secret().as_bytes();
    let actor = Actor::from(&world.verifier.verify(text).await.unwrap());
    let rotate = Rotate::with_overlap(seconds(10));
    world.issuer.rotate(world.given.id, &ann(), rotate).await.unwrap();
    let new =
        NewToken::new("acme".parse().unwrap(), "ann".parse().unwrap(), "made".parse().unwrap());
    let made = world.issuer.create(new, &actor).await.unwrap();
    assert_eq!(made.record.expires_at, Some(start() + seconds(10)));
}
