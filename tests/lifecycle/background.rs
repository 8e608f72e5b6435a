//! Reuse after rotation, and what owners may still do.

use std::sync::{Arc, Mutex};

use api_tokens::{
    Actor, EventKind, IssuerError, OwnerPolicy, OwnerRights, RefusalReason, Rotate, Scopes, Status,
    StoreError, StoreErrorKind, TokenRecord, VerifierBuilder, VerifyError,
};

use crate::{MICROSECOND, ann, days, new_token, seconds, services, services_with};

#[tokio::test]
async fn reuse_after_the_overlap_is_told_once() {
    for mut service in services() {
        let (old, _) = service.create("a token").await;
        let new = service
            .issuer
            .rotate(old.id(), &ann(), Rotate::with_overlap(seconds(10)))
            .await
            .unwrap()
            .token;
        service.clock.advance(seconds(10) - MICROSECOND);
        service.verify(&old).await.unwrap();
        service.tick().await;
        service.events.take();
        service.clock.advance(MICROSECOND);

        let reused = |kinds: Vec<EventKind>| {
            kinds.iter().filter(|kind| **kind == EventKind::ReuseDetected).count()
        };
        for expected in [1, 0, 0] {
            assert_eq!(service.status(&old).await, Status::RotatedOut);
            service.tick().await;
            assert_eq!(reused(service.events.kinds()), expected);
        }
        // Again after an hour.
        service.clock.advance(seconds(3600));
        service.verify(&old).await.unwrap_err();
        service.tick().await;
        assert_eq!(reused(service.events.kinds()), 1);
        let stored = service.issuer.events(old.id(), &ann(), None, 10).await.unwrap();
        assert_eq!(stored[0].event.kind, EventKind::ReuseDetected);
        // By default, that is all.
        assert_eq!(service.status(&new).await, Status::Active);
    }
}

#[tokio::test]
async fn reuse_revokes_the_family_if_so_configured() {
    for mut service in services_with(VerifierBuilder::revoke_family_on_reuse) {
        let (first, _) = service.create("a token").await;
        let rotate = async |id, overlap| {
            let rotate = Rotate::with_overlap(overlap);
            service.issuer.rotate(id, &ann(), rotate).await.unwrap().token
        };
        let second = rotate(first.id(), seconds(0)).await;
        let third = rotate(second.id(), days(1)).await;
        let (bystander, _) = service.create("another").await;
        // Who lacks the secret cannot do that.
        let forged = crate::basics::forge(&first, &second);
        service.verifier.verify(forged.as_bytes()).await.unwrap_err();
        service.tick().await;
        assert_eq!(service.status(&third).await, Status::Active);

        assert_eq!(service.status(&first).await, Status::RotatedOut);
        service.tick().await;
        for token in [&first, &second, &third] {
            assert_eq!(service.status(token).await, Status::Revoked);
        }
        let revocation = service.get(&third).await.revocation.unwrap();
        assert_eq!(revocation.by, None);
        assert_eq!(revocation.reason.unwrap().as_str(), "used after it was replaced");
        assert_eq!(service.status(&bystander).await, Status::Active);
    }
}

#[derive(Clone)]
struct Rights(Arc<Mutex<Result<OwnerRights, ()>>>);

impl Rights {
    fn set(&self, rights: Result<OwnerRights, ()>) {
        *self.0.lock().unwrap() = rights;
    }
}

impl OwnerPolicy for Rights {
    async fn rights(&self, token: &TokenRecord) -> Result<OwnerRights, StoreError> {
        assert_eq!(token.owner.as_str(), "ann");
        let rights = self.0.lock().unwrap().clone();
        rights.map_err(|()| StoreError::new(StoreErrorKind::Unavailable, "ask who is a member"))
    }
}

#[tokio::test]
async fn a_token_does_no_more_than_its_owner_may() {
    let rights = Rights(Arc::new(Mutex::new(Ok(OwnerRights::All))));
    let configured = rights.clone();
    for service in services_with(move |builder| builder.owner_policy(configured.clone())) {
        rights.set(Ok(OwnerRights::All));
        let scopes = |text: &str| text.parse::<Scopes>().unwrap();
        let new = new_token("a token").with_scopes(scopes("sources:* flows:run"));
        let token = service.issuer.create(new, &ann()).await.unwrap().token;
        let may = async |required: &str| {
            service.verify(&token).await.unwrap().require(&scopes(required)).is_ok()
        };
        assert!(may("sources:write flows:run").await);

        rights.set(Ok(OwnerRights::Only(Arc::new(scopes("sources:read users:*")))));
        assert!(may("sources:read").await);
        for required in ["sources:write", "flows:run", "users:read", "sources:*"] {
            assert!(!may(required).await, "{required}");
        }
        // Nor give it to others.
        let actor = service.through(&token).await;
        let minted = |scope: &str| new_token("minted").with_scopes(scopes(scope));
        service.issuer.create(minted("sources:read"), &actor).await.unwrap();
        let error = service.issuer.create(minted("sources:write"), &actor).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(_)), "{error}");

        // Also in a request that began when they had more.
        rights.set(Ok(OwnerRights::All));
        let actor = service.through(&token).await;
        rights.set(Ok(OwnerRights::Only(Arc::new(scopes("sources:read")))));
        let error = service.issuer.create(minted("sources:write"), &actor).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(_)), "{error}");

        rights.set(Ok(OwnerRights::None));
        let error = service.issuer.create(minted("sources:read"), &actor).await.unwrap_err();
        assert!(matches!(error, IssuerError::ActorNotActive(None)), "{error}");
        let error = service.verify(&token).await.unwrap_err();
        assert!(matches!(error, VerifyError::OwnerWithoutAccess { id } if id == token.id()));
        assert_eq!(error.reason(), Some(RefusalReason::OwnerWithoutAccess));
        rights.set(Err(()));
        let error = service.verify(&token).await.unwrap_err();
        assert!(matches!(error, VerifyError::Outage(_)), "{error}");
        // One that is refused anyhow does not ask.
        service.issuer.revoke(token.id(), &ann(), None).await.unwrap();
        assert_eq!(service.status(&token).await, Status::Revoked);
    }
}

/// What a token may do is decided with what is stored now, not as it was when the request began.
#[tokio::test]
async fn an_actor_is_as_good_as_its_token_is_now() {
    for service in services() {
        let scopes = |text: &str| text.parse::<Scopes>().unwrap();
        let new = new_token("a token").with_scopes(scopes("sources:*"));
        let token = service.issuer.create(new, &ann()).await.unwrap().token;
        let actor: Actor = service.through(&token).await;
        let edit = api_tokens::Edit { scopes: Some(scopes("sources:read")), ..Default::default() };
        service.issuer.edit(token.id(), &ann(), edit.clone()).await.unwrap();
        let minted = |scope: &str| new_token("minted").with_scopes(scopes(scope));
        let error = service.issuer.create(minted("sources:write"), &actor).await.unwrap_err();
        assert!(matches!(error, IssuerError::Exceeds(_)), "{error}");
        service.issuer.create(minted("sources:read"), &actor).await.unwrap();
        service.issuer.disable(token.id(), &ann()).await.unwrap();
        let error = service.issuer.create(minted("sources:read"), &actor).await.unwrap_err();
        assert_eq!(error.to_string(), "the acting token is disabled");
    }
}
