//! Every operation in every state, against the table in the docs of `State`, read from them.

use api_tokens::{
    Edit, Expiry, IssuerError, NewToken, Operation, Rotate, State, Status, Token, TokenRecord,
};

use crate::{Service, ann, days, new_token, seconds, services, start};

const STATES: [State; 7] = [
    State::Active,
    State::Rotating,
    State::NotYetValid,
    State::Disabled,
    State::Expired,
    State::RotatedOut,
    State::Revoked,
];

/// The table as the docs draw it: for each operation, what becomes of a token in each state.
fn documented() -> Vec<(Operation, Vec<Option<State>>)> {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/transition.rs"))
        .expect("the source");
    let rows: Vec<Vec<&str>> = source
        .lines()
        .filter_map(|line| line.strip_prefix("/// |")?.strip_suffix('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let names = |state: &State| format!("{state:?}");
    let header: Vec<String> = rows[0][1..].iter().map(|name| unspaced(name)).collect();
    assert_eq!(header, STATES.iter().map(names).collect::<Vec<_>>());
    rows[2..]
        .iter()
        .map(|row| {
            let operation = match row[0] {
                "rotate" => Operation::Rotate,
                "finish the rotation" => Operation::FinishRotation,
                "cancel the rotation" => Operation::CancelRotation,
                "edit" => Operation::Edit,
                "disable" => Operation::Disable,
                "enable" => Operation::Enable,
                "revoke" => Operation::Revoke,
                other => panic!("no operation: {other}"),
            };
            let cells = row[1..].iter().zip(STATES).map(|(cell, state)| match *cell {
                "–" => None,
                "stays" => Some(state),
                name => STATES.into_iter().find(|state| names(state) == unspaced(name)),
            });
            (operation, cells.collect())
        })
        .collect()
}

/// As the variants are called: "Rotated out" is `RotatedOut`.
fn unspaced(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split(' ').map(word).collect()
}

/// A token that has come to a state by the issuer's own operations.
async fn token_in(state: State, service: &Service) -> Token {
    let issuer = &service.issuer;
    let new = match state {
        State::NotYetValid => {
            NewToken { not_before: Some(service.clock_now() + days(1)), ..new_token("a token") }
        }
        State::Expired => new_token("a token").with_expiry(Expiry::After(seconds(1))),
        _ => new_token("a token"),
    };
    let token = issuer.create(new, &ann()).await.unwrap().token;
    match state {
        State::Active | State::NotYetValid => {}
        State::Rotating => {
            issuer.rotate(token.id(), &ann(), Rotate::with_overlap(days(1))).await.unwrap();
        }
        State::RotatedOut => {
            issuer.rotate(token.id(), &ann(), Rotate::default()).await.unwrap();
        }
        State::Disabled => {
            issuer.disable(token.id(), &ann()).await.unwrap();
        }
        State::Expired => service.clock.advance(seconds(1)),
        State::Revoked => {
            issuer.revoke(token.id(), &ann(), None).await.unwrap();
        }
        _ => panic!("a state that is not in the table: {state}"),
    }
    token
}

async fn perform(
    operation: Operation,
    token: &Token,
    service: &Service,
) -> Result<TokenRecord, IssuerError> {
    let (issuer, id) = (&service.issuer, token.id());
    match operation {
        Operation::Rotate => issuer
            .rotate(id, &ann(), Rotate::with_overlap(days(1)))
            .await
            .map(|rotated| rotated.predecessor),
        Operation::FinishRotation => issuer.finish_rotation(id, &ann()).await,
        Operation::CancelRotation => issuer.cancel_rotation(id, &ann()).await,
        Operation::Edit => {
            let name = Some("another name".parse().unwrap());
            issuer.edit(id, &ann(), Edit { name, ..Edit::default() }).await
        }
        Operation::Disable => issuer.disable(id, &ann()).await,
        Operation::Enable => issuer.enable(id, &ann()).await,
        Operation::Revoke => issuer.revoke(id, &ann(), None).await.map(|revoked| revoked.record),
        _ => panic!("an operation that is not in the table: {operation}"),
    }
}

#[tokio::test]
async fn every_operation_in_every_state_does_what_the_docs_say() {
    let table = documented();
    assert_eq!(table.len(), 7);
    for service in services() {
        for (operation, outcomes) in &table {
            for (state, outcome) in STATES.into_iter().zip(outcomes) {
                let token = token_in(state, &service).await;
                let before = service.get(&token).await;
                assert_eq!(State::of(&before, service.clock_now()), state);
                let result = perform(*operation, &token, &service).await;
                let after = service.get(&token).await;
                match (outcome, result) {
                    (Some(outcome), Ok(record)) => {
                        assert_eq!(after, record, "{operation} {state}: what is stored");
                        let now = State::of(&after, service.clock_now());
                        assert_eq!(now, *outcome, "{operation} {state}");
                    }
                    (None, Err(IssuerError::NotAllowed { operation: refused, state: was })) => {
                        assert_eq!((refused, was), (*operation, state));
                        assert_eq!(after, before, "{operation} {state}: a refusal changes nothing");
                    }
                    (outcome, result) => panic!("{operation} {state}: {outcome:?}, {result:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong() {
    for service in services() {
        let token = token_in(State::Revoked, &service).await;
        let error = perform(Operation::Rotate, &token, &service).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot rotate a token that is revoked");
        let token = token_in(State::Rotating, &service).await;
        let error = perform(Operation::Rotate, &token, &service).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot rotate a token that is being replaced");
    }
}

#[tokio::test]
async fn what_is_as_it_should_be_is_not_written_again() {
    for service in services() {
        for (state, operation) in [
            (State::Active, Operation::Enable),
            (State::Disabled, Operation::Disable),
            (State::RotatedOut, Operation::FinishRotation),
            (State::Revoked, Operation::Revoke),
        ] {
            let token = token_in(state, &service).await;
            let before = service.get(&token).await;
            service.events.take();
            service.clock.advance(seconds(1));
            perform(operation, &token, &service).await.unwrap();
            assert_eq!(service.get(&token).await, before, "{operation} {state}");
            assert_eq!(service.events.take(), []);
        }
    }
}

#[tokio::test]
async fn a_disabled_token_is_refused_until_it_is_enabled() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        for _ in 0..2 {
            service.issuer.disable(token.id(), &ann()).await.unwrap();
            assert_eq!(service.status(&token).await, Status::Disabled);
            service.issuer.enable(token.id(), &ann()).await.unwrap();
            assert_eq!(service.status(&token).await, Status::Active);
        }
        // While it is being replaced, too.
        service.issuer.rotate(token.id(), &ann(), Rotate::with_overlap(days(1))).await.unwrap();
        let record = service.issuer.disable(token.id(), &ann()).await.unwrap();
        assert_eq!(State::of(&record, start()), State::Rotating);
        assert_eq!(service.status(&token).await, Status::Disabled);
    }
}
