//! Two processes do conflicting things to one SQLite file, at random small offsets: whichever
//! comes first, no revocation is lost and no token gains rights.
//!
//! A run prints its seed, which chooses what is done and how long the pauses are. The rest is up to
//! the scheduler, so that a failure may take some runs to come back:
//!
//! ```sh
//! API_TOKENS_INTERLEAVINGS_SEED=1 API_TOKENS_INTERLEAVINGS_PAIRS=100000 \
//!     cargo test --test test_interleavings
//! ```

mod interleavings_support;
mod util;

use std::env;

use api_tokens::{Actor, Expiry, IssuerError, NewToken, Selection, State, Status, TokenId};
use jiff::SignedDuration;
use rand::{RngExt, TryRng, rngs::SysRng};

use interleavings_support::{
    act::{Act, Creation, Job, Made, Outcome, Refusal, admin},
    other::serve,
    pair::{Pair, Side, parse},
    run::{Scenario, run},
};

const PAIRS: u64 = 13_000;

const SCENARIOS: [Scenario; 13] = [
    Scenario::new(["rotate", "revoke"], |pair| Box::pin(rotate_against_revoke(pair))),
    Scenario::new(["rotate", "rotate too"], |pair| Box::pin(rotate_against_rotate(pair))),
    Scenario::new(["narrow", "rotate"], |pair| Box::pin(narrow_against_rotate(pair))),
    Scenario::new(["rotate", "revoke the family"], |pair| {
        Box::pin(rotate_against_revoke_family(pair))
    }),
    Scenario::new(["create through a token", "revoke it"], |pair| {
        Box::pin(create_through_against_revoke(pair))
    }),
    Scenario::new(["gain rights through a token", "narrow it"], |pair| {
        Box::pin(gain_through_against_narrow(pair))
    }),
    Scenario::new(["act through a token", "end it"], |pair| {
        Box::pin(act_through_against_end(pair))
    }),
    Scenario::new(["create through a token", "revoke in bulk"], |pair| {
        Box::pin(create_against_bulk(pair))
    }),
    Scenario::new(["rotate", "revoke in bulk"], |pair| Box::pin(rotate_against_bulk(pair))),
    Scenario::new(["create with a key", "create with the same key"], |pair| {
        Box::pin(create_against_the_same(pair))
    }),
    Scenario::new(["rotate with a key", "rotate with the same key"], |pair| {
        Box::pin(rotate_against_the_same(pair))
    }),
    Scenario::new(["disable or enable", "revoke"], |pair| Box::pin(switch_against_revoke(pair))),
    Scenario::new(["cancel a rotation", "finish it"], |pair| Box::pin(cancel_against_finish(pair))),
];

/// The revoked token is refused. Its successor lives if it was made before, and else nothing.
async fn rotate_against_revoke(pair: &mut Pair) -> Side {
    let token = pair.token("").await;
    let rotate = rotate(&token, pair.overlap_seconds());
    let revoke = Job::new(Act::Revoke(token.id)).ends(&token.text);
    let [rotated, revoked] = pair.race(Job::new(rotate), revoke).await;
    assert_eq!(revoked.refusal, None);
    assert_eq!(pair.status(&token).await, Status::Revoked);
    pair.check_living(ids(&rotated)).await;
    let successor = pair.record(token.id).await.rotation.and_then(|rotation| rotation.successor);
    assert_eq!(successor.map(|successor| successor.id), ids(&rotated).next());
    one_or_refused(&rotated, &[Refusal::NotAllowed(State::Revoked)])
}

/// One of them rotates.
async fn rotate_against_rotate(pair: &mut Pair) -> Side {
    let token = pair.token("").await;
    let overlaps = [pair.overlap_seconds(), pair.overlap_seconds()];
    let [one, other] = overlaps.map(|overlap| Job::new(rotate(&token, overlap)));
    let outcomes = pair.race(one, other).await;
    let winner = Side::first_if(outcomes[0].refusal.is_none());
    let (won, lost, overlap) = match winner {
        Side::First => (&outcomes[0], &outcomes[1], overlaps[0]),
        Side::Second => (&outcomes[1], &outcomes[0], overlaps[1]),
    };
    let state = if overlap == 0 { State::RotatedOut } else { State::Rotating };
    assert_eq!(one_or_refused(won, &[]), Side::First);
    assert_eq!(one_or_refused(lost, &[Refusal::NotAllowed(state)]), Side::Second);
    let old = (overlap > 0).then_some(token.id);
    pair.check_living(ids(won).chain(old)).await;
    winner
}

/// What is taken from a token is not given to its successor, and a token that was replaced is not
/// changed.
async fn narrow_against_rotate(pair: &mut Pair) -> Side {
    let token = pair.token("sources:*").await;
    let narrow = Job::new(Act::EditScopes(token.id, parse("sources:read")));
    let rotate = Job::new(rotate(&token, 0)).ends(&token.text);
    let [narrowed, rotated] = pair.race(narrow, rotate).await;
    assert_eq!(one_or_refused(&rotated, &[]), Side::First);
    pair.check_living(ids(&rotated)).await;
    let successor = pair.record(rotated.made[0].id).await;
    let (winner, scopes) = match narrowed.refusal {
        None => (Side::First, "sources:read"),
        Some(refusal) => {
            assert_eq!(refusal, Refusal::NotAllowed(State::RotatedOut));
            (Side::Second, "sources:*")
        }
    };
    assert_eq!(successor.scopes, parse(scopes));
    winner
}

/// No token of the family is accepted any more, also not one that a repeated rotation made.
async fn rotate_against_revoke_family(pair: &mut Pair) -> Side {
    let mut family = vec![pair.token("").await];
    let (rotated, act) = if pair.flip() {
        // A rotation whose answer was lost is asked for again.
        let first = family[0].clone();
        let again = Act::Rotate {
            target: first.id,
            overlap_seconds: pair.overlap_seconds(),
            key: Some("a request".to_owned()),
            times: 1,
        };
        family.extend(pair.prepare(Job::new(again.clone())).await);
        (first, again)
    } else {
        for _ in 0..pair.rng.random_range(0..3) {
            let latest = family.last().expect("a token").clone();
            family.extend(pair.prepare(Job::new(rotate(&latest, 0))).await);
        }
        let latest = family.last().expect("a token").clone();
        let overlap = pair.overlap_seconds();
        (latest.clone(), rotate(&latest, overlap))
    };
    let revoke = Job::new(Act::RevokeFamily(pair.choose(&family).id)).ends(&rotated.text);
    let [rotated, revoked] = pair.race(Job::new(act), revoke).await;
    assert_eq!(revoked.refusal, None);
    pair.check_living([]).await;
    one_or_refused(&rotated, &[Refusal::NotAllowed(State::Revoked), Refusal::Ended])
}

/// What was created before the revocation is found by whoever looks for it; after it, nothing is
/// created, also not through what the revoked token has made.
async fn create_through_against_revoke(pair: &mut Pair) -> Side {
    let ended = pair.token("sources:*").await;
    let mut acting = ended.clone();
    for _ in 0..pair.rng.random_range(0..3) {
        let create = Act::Create(pair.creation("sources:*"));
        acting = pair.prepare(Job::new(create).through(&acting.text)).await.remove(0);
    }
    let stale = Actor::from(&pair.verify(&acting).await);
    let creation = Creation { times: pair.rng.random_range(1..3), ..pair.creation("sources:read") };
    let create = Job::new(Act::Create(creation.clone())).through(&acting.text);
    let mut living = pair.living().await;
    living.remove(&ended.id);
    let revoke = Job::new(Act::Revoke(ended.id)).ends(&ended.text);
    let [created, revoked] = pair.race(create, revoke).await;
    assert_eq!(revoked.refusal, None);
    check_actor_ended(&created, Status::Revoked);
    check_done_before(pair, &acting, &ended, "revoked").await;
    pair.check_living(ids(&created).chain(living.iter().copied())).await;
    let error = pair.issuer.create(creation.new_token(), &stale).await.unwrap_err();
    assert!(matches!(error, IssuerError::ActorNotActive(Some(Status::Revoked))), "{error}");
    let all = Selection {
        created_through: Some(acting.id),
        ..Selection::of_project(pair.project.clone())
    };
    let found = pair.issuer.revoke_all(all, &admin(), None).unwrap().run().await.unwrap();
    assert_eq!(usize::try_from(found).unwrap(), created.made.len());
    pair.check_living(living).await;
    Side::first_if(created.refusal.is_none())
}

/// How a token may come to have more, through another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gain {
    Create,
    Widen,
    Lengthen,
    Enable,
    Rotate,
    CancelRotation,
}

/// What is taken away from the token that acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrowing {
    Scopes,
    /// It gets an end.
    Life,
    /// It gets an end by being replaced.
    Rotation,
    Disabled,
}

/// What is gained after the narrowing is within what was left.
async fn gain_through_against_narrow(pair: &mut Pair) -> Side {
    use Gain::{CancelRotation, Create, Enable, Lengthen, Rotate, Widen};
    use Narrowing::{Disabled, Life, Rotation, Scopes};

    let acting = pair.token("sources:* flows:run").await;
    let gain = pair.choose(&[Create, Widen, Lengthen, Enable, Rotate, CancelRotation]);
    let narrowing = match gain {
        // What widens takes nothing of the actor's life.
        Widen => pair.choose(&[Scopes, Disabled]),
        _ => pair.choose(&[Scopes, Life, Rotation, Disabled]),
    };
    let (target, act) = prepare_gain(pair, gain).await;
    let (kind, narrow) = match narrowing {
        Scopes => ("edited", Act::EditScopes(acting.id, parse("flows:run sources:read"))),
        Life => {
            let soon = pair.issuer.now() + SignedDuration::from_mins(30);
            ("edited", Act::EditExpiry(acting.id, Some(soon)))
        }
        Rotation => ("rotated", rotate(&acting, 1800)),
        Disabled => ("disabled", Act::Disable(acting.id)),
    };
    let [gained, narrowed] = pair.race(Job::new(act).through(&acting.text), Job::new(narrow)).await;
    assert_eq!(narrowed.refusal, None);

    let narrowed_at = pair.number(acting.id, kind).await.expect("narrowed");
    let target = target.or(gained.made.first().map(|made| made.id));
    let gained_at = match (target, gain) {
        (None, _) => None,
        (Some(id), Create) => pair.number(id, "created").await,
        (Some(id), Widen | Lengthen) => pair.number(id, "edited").await,
        (Some(id), Enable) => pair.number(id, "enabled").await,
        (Some(id), Rotate) => pair.number(id, "rotated").await,
        (Some(id), CancelRotation) => pair.number(id, "rotation_cancelled").await,
    };
    let Some(gained_at) = gained_at else {
        let refused = match narrowing {
            Disabled => Refusal::ActorNotActive(Status::Disabled),
            _ => Refusal::Exceeds,
        };
        assert_eq!(gained.refusal, Some(refused), "{gain:?} against {narrowing:?}");
        return Side::Second;
    };
    assert_eq!(gained.refusal, None, "{gain:?} against {narrowing:?}");
    if gained_at < narrowed_at {
        return Side::First;
    }
    // The successor is what a rotation gives.
    let gainer = gained.made.first().map(|made| made.id).or(target).expect("a token");
    let (left, gainer) = (pair.record(acting.id).await, pair.record(gainer).await);
    let message = format!("{gain:?} after {narrowing:?}: {gainer:?}");
    assert_ne!(narrowing, Disabled, "{message}");
    assert!(left.scopes.covers(&gainer.scopes), "{message}");
    if let Some(end) = left.ends_at() {
        assert!(gainer.ends_at().is_some_and(|gained| gained <= end), "{message}");
    }
    Side::Second
}

/// The token that is to gain, if it is there already, and how it does.
async fn prepare_gain(pair: &mut Pair, gain: Gain) -> (Option<TokenId>, Act) {
    const RIGHTS: &str = "sources:write";
    let target = match gain {
        Gain::Create => return (None, Act::Create(pair.creation(RIGHTS))),
        Gain::Widen => pair.token("sources:read").await,
        Gain::Lengthen => {
            let expiry = Expiry::After(SignedDuration::from_mins(10));
            let new = NewToken { expiry, ..pair.creation(RIGHTS).new_token() };
            pair.create(new).await
        }
        Gain::Enable | Gain::Rotate | Gain::CancelRotation => pair.token(RIGHTS).await,
    };
    let act = match gain {
        Gain::Create => unreachable!("see above"),
        Gain::Widen => Act::EditScopes(target.id, parse("sources:*")),
        Gain::Lengthen => Act::EditExpiry(target.id, None),
        Gain::Enable => {
            pair.prepare(Job::new(Act::Disable(target.id))).await;
            Act::Enable(target.id)
        }
        Gain::Rotate => rotate(&target, 3600),
        Gain::CancelRotation => {
            pair.prepare(Job::new(rotate(&target, 3600))).await;
            Act::CancelRotation(target.id)
        }
    };
    (Some(target.id), act)
}

/// Also what only takes away is not done through a token that has ended.
async fn act_through_against_end(pair: &mut Pair) -> Side {
    let acting = pair.token("").await;
    let target = pair.token("").await;
    let act = match pair.rng.random_range(0..6) {
        0 => Act::Disable(target.id),
        1 => Act::Revoke(target.id),
        2 => Act::EditExpiry(target.id, Some(pair.issuer.now() + SignedDuration::from_mins(10))),
        3 => {
            pair.prepare(Job::new(rotate(&target, 3600))).await;
            Act::FinishRotation(target.id)
        }
        4 => {
            pair.prepare(Job::new(rotate(&target, 3600))).await;
            Act::RevokeFamily(target.id)
        }
        _ => {
            pair.token("").await;
            revoke_all(pair)
        }
    };
    let (kind, status, end) = match pair.rng.random_range(0..3) {
        0 => ("revoked", Status::Revoked, Act::Revoke(acting.id)),
        1 => ("disabled", Status::Disabled, Act::Disable(acting.id)),
        _ => ("rotated", Status::RotatedOut, rotate(&acting, 0)),
    };
    let act = Job::new(act).through(&acting.text);
    let [acted, ended] = pair.race(act, Job::new(end).ends(&acting.text)).await;
    assert_eq!(ended.refusal, None);
    assert_eq!(pair.status(&acting).await, status);
    check_actor_ended(&acted, status);
    check_done_before(pair, &acting, &acting, kind).await;
    Side::first_if(acted.refusal.is_none())
}

/// When the bulk has returned, and the token with which others were created is among the revoked,
/// none of them lives.
async fn create_against_bulk(pair: &mut Pair) -> Side {
    let acting = pair.token("sources:read").await;
    for _ in 0..pair.rng.random_range(0..3) {
        pair.token("").await;
    }
    let stale = Actor::from(&pair.verify(&acting).await);
    let chained = pair.flip();
    let creation = Creation { times: 3, chained, ..pair.creation("sources:read") };
    let create = Job::new(Act::Create(creation.clone())).through(&acting.text);
    let revoke = Job::new(revoke_all(pair)).ends(&acting.text);
    let [created, revoked] = pair.race(create, revoke).await;
    assert_eq!(revoked.refusal, None);
    check_actor_ended(&created, Status::Revoked);
    pair.check_living([]).await;
    let error = pair.issuer.create(creation.new_token(), &stale).await.unwrap_err();
    assert!(matches!(error, IssuerError::ActorNotActive(Some(Status::Revoked))), "{error}");
    Side::first_if(created.refusal.is_none())
}

/// The successor does not escape.
async fn rotate_against_bulk(pair: &mut Pair) -> Side {
    let token = pair.token("").await;
    for _ in 0..pair.rng.random_range(0..3) {
        pair.token("").await;
    }
    let rotate = rotate(&token, pair.overlap_seconds());
    let by_owner = pair.flip().then(|| pair.owner.clone());
    // Not by creator, who is of the successor whoever rotates.
    let revoke = Act::RevokeAll {
        project: pair.project.clone(),
        owner: by_owner,
        created_by: None,
        created_through: None,
    };
    let revoke = Job::new(revoke).ends(&token.text);
    let [rotated, revoked] = pair.race(Job::new(rotate), revoke).await;
    assert_eq!(revoked.refusal, None);
    pair.check_living([]).await;
    one_or_refused(&rotated, &[Refusal::NotAllowed(State::Revoked)])
}

/// One token lives, and one of the two has its text, however often each asks.
async fn create_against_the_same(pair: &mut Pair) -> Side {
    let acting = pair.token("sources:*").await;
    let is_through = pair.flip();
    let jobs = [pair.rng.random_range(1..3), pair.rng.random_range(1..3)].map(|times| {
        let key = Some("a request".to_owned());
        let creation = Creation { key, times, ..pair.creation("sources:read") };
        let job = Job::new(Act::Create(creation));
        if is_through { job.through(&acting.text) } else { job }
    });
    let [one, other] = jobs;
    let outcomes = pair.race(one, other).await;
    last_of_repeated(pair, &outcomes, Some(acting.id)).await
}

/// The same for a successor.
async fn rotate_against_the_same(pair: &mut Pair) -> Side {
    let token = pair.token("").await;
    let overlap_seconds = pair.overlap_seconds();
    let jobs = [pair.rng.random_range(1..3), pair.rng.random_range(1..3)].map(|times| {
        let key = Some("a request".to_owned());
        Job::new(Act::Rotate { target: token.id, overlap_seconds, key, times })
    });
    let [one, other] = jobs;
    let outcomes = pair.race(one, other).await;
    last_of_repeated(pair, &outcomes, (overlap_seconds > 0).then_some(token.id)).await
}

/// What is revoked can neither be disabled nor enabled, and stays revoked.
async fn switch_against_revoke(pair: &mut Pair) -> Side {
    let token = pair.token("").await;
    let switch = if pair.flip() {
        pair.prepare(Job::new(Act::Disable(token.id))).await;
        Act::Enable(token.id)
    } else {
        Act::Disable(token.id)
    };
    let revoke = Job::new(Act::Revoke(token.id)).ends(&token.text);
    let [switched, revoked] = pair.race(Job::new(switch), revoke).await;
    assert_eq!(revoked.refusal, None);
    assert_eq!(pair.status(&token).await, Status::Revoked);
    pair.issuer.enable(token.id, &admin()).await.expect_err("enable what is revoked");
    pair.check_living([]).await;
    match switched.refusal {
        None => Side::First,
        Some(refusal) => {
            assert_eq!(refusal, Refusal::NotAllowed(State::Revoked));
            Side::Second
        }
    }
}

/// Either the old token or the new one lives, and the other one never again.
async fn cancel_against_finish(pair: &mut Pair) -> Side {
    let token = pair.token("").await;
    let successor = pair.prepare(Job::new(rotate(&token, 3600))).await.remove(0);
    let cancel = Job::new(Act::CancelRotation(token.id)).ends(&successor.text);
    let finish = Job::new(Act::FinishRotation(token.id)).ends(&token.text);
    let [cancelled, finished] = pair.race(cancel, finish).await;
    let winner = Side::first_if(cancelled.refusal.is_none());
    let (lost, state, living) = match winner {
        Side::First => (finished, State::Active, token),
        Side::Second => (cancelled, State::RotatedOut, successor),
    };
    assert_eq!(lost.refusal, Some(Refusal::NotAllowed(state)));
    pair.check_living([living.id]).await;
    winner
}

fn rotate(token: &Made, overlap_seconds: i64) -> Act {
    Act::Rotate { target: token.id, overlap_seconds, key: None, times: 1 }
}

/// Revokes all tokens of the pair, by one criterion or another.
fn revoke_all(pair: &mut Pair) -> Act {
    let (project, owner) = (pair.project.clone(), pair.owner.clone());
    let (owner, created_by) =
        pair.choose(&[(None, None), (Some(owner.clone()), None), (None, Some(owner))]);
    Act::RevokeAll { project, owner, created_by, created_through: None }
}

fn ids(outcome: &Outcome) -> impl Iterator<Item = TokenId> {
    outcome.made.iter().map(|made| made.id)
}

/// Whether a job made its one token, or else was refused for one of these reasons.
#[track_caller]
fn one_or_refused(outcome: &Outcome, refusals: &[Refusal]) -> Side {
    match &outcome.refusal {
        None => assert_eq!(outcome.made.len(), 1),
        Some(refusal) => {
            assert!(refusals.contains(refusal), "{outcome:?}");
            assert!(outcome.made.is_empty(), "{outcome:?}");
        }
    }
    Side::first_if(outcome.refusal.is_none())
}

/// If a job was refused, then because its actor had ended.
#[track_caller]
fn check_actor_ended(outcome: &Outcome, status: Status) {
    if let Some(refusal) = &outcome.refusal {
        assert_eq!(*refusal, Refusal::ActorNotActive(status));
    }
}

/// Whatever was done through a token was done before that happened to the other one.
async fn check_done_before(pair: &Pair, acting: &Made, ended: &Made, kind: &str) {
    let end = pair.number(ended.id, kind).await.expect("the token's end");
    if let Some(done) = pair.last_done_through(acting.id).await {
        assert!(done < end, "done through {} after {} was {kind}", acting.id, ended.id);
    }
}

/// One of the tokens lives, and the other one's request came first.
async fn last_of_repeated(
    pair: &Pair,
    outcomes: &[Outcome; 2],
    living_besides: Option<TokenId>,
) -> Side {
    let [one, other] = outcomes;
    assert_eq!((&one.refusal, &other.refusal), (&None, &None));
    let living = pair.living().await;
    let made: Vec<TokenId> = ids(one).chain(ids(other)).filter(|id| living.contains(id)).collect();
    assert_eq!(made.len(), 1, "of one request live {made:?}");
    pair.check_living(made.iter().copied().chain(living_besides)).await;
    Side::first_if(ids(other).any(|id| id == made[0]))
}

/// The child: run by the test below, with the database in its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by conflicting_changes_of_two_processes, as a child process"]
async fn child() {
    serve().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicting_changes_of_two_processes() {
    let number = |variable| env::var(variable).ok().map(|text| text.parse().expect("a number"));
    let seed = number("API_TOKENS_INTERLEAVINGS_SEED")
        .unwrap_or_else(|| SysRng.try_next_u64().expect("randomness"));
    let pairs = number("API_TOKENS_INTERLEAVINGS_PAIRS").unwrap_or(PAIRS);
    run(&SCENARIOS, seed, pairs).await;
}
