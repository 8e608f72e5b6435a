//! Keys that are replaced while tokens are in use.

use api_tokens::{
    Expiry, Issuer, IssuerError, KeyCount, Keyring, TokenRecord, VerifyError, prefix,
};

use crate::{ann, key, new_token, seconds, services};

#[tokio::test]
async fn a_used_token_is_digested_again_in_the_background() {
    for service in services() {
        let (token, old) = service.create("a token").await;
        let (unused, unused_record) = service.create("unused").await;
        let rotated = Keyring::new(key(2)).with_earlier(key(1));
        let (verifier, mut background) = service.beside(prefix!("acme_live"), &rotated);
        let text = token.expose_secret().as_bytes();

        // The request does not wait for it.
        let verified = verifier.verify(text).await.unwrap();
        assert_eq!(*verified.record(), old);
        assert_eq!(service.get(&token).await, old);
        background.tick().await.unwrap();
        let new = service.get(&token).await;
        assert_eq!(new.digest.key_id(), Some(key(2).id()));
        assert_ne!(new.digest, old.digest);
        assert_eq!(new, TokenRecord { digest: new.digest, version: old.version + 1, ..old });
        // Once is enough.
        verifier.verify(text).await.unwrap();
        background.tick().await.unwrap();
        assert_eq!(service.get(&token).await, new);
        // A wrong secret moves nothing.
        verifier.verify(crate::basics::forge(&unused, &token).as_bytes()).await.unwrap_err();
        background.tick().await.unwrap();
        assert_eq!(service.get(&unused).await, unused_record);

        // A node without the old key: the used token works, the other one cannot be judged.
        let (only_new, _) = service.beside(prefix!("acme_live"), &Keyring::new(key(2)));
        only_new.verify(text).await.unwrap();
        let error = only_new.verify(unused.expose_secret().as_bytes()).await.unwrap_err();
        assert!(matches!(error, VerifyError::UnknownKey { id } if id == unused.id()), "{error}");
    }
}

#[tokio::test]
async fn what_happened_meanwhile_is_not_undone() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let rotated = Keyring::new(key(2)).with_earlier(key(1));
        let (verifier, mut background) = service.beside(prefix!("acme_live"), &rotated);
        verifier.verify(token.expose_secret().as_bytes()).await.unwrap();
        let revoked = service.issuer.revoke(token.id(), &ann(), None).await.unwrap().record;
        background.tick().await.unwrap();
        assert_eq!(service.get(&token).await, revoked);
    }
}

#[tokio::test]
async fn a_refused_token_is_not_digested_again() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let disabled = service.issuer.disable(token.id(), &ann()).await.unwrap();
        let rotated = Keyring::new(key(2)).with_earlier(key(1));
        let (verifier, mut background) = service.beside(prefix!("acme_live"), &rotated);
        verifier.verify(token.expose_secret().as_bytes()).await.unwrap_err();
        background.tick().await.unwrap();
        assert_eq!(service.get(&token).await, disabled);
    }
}

/// While keys are replaced, some nodes have the old one as current and some the new one.
#[tokio::test]
async fn nodes_that_disagree_on_the_current_key_do_not_undo_one_another() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        let text = token.expose_secret().as_bytes();
        let prefix = prefix!("acme_live");
        let mut old = service.beside(prefix, &Keyring::new(key(1)).with_upcoming(key(2)));
        let mut new = service.beside(prefix, &Keyring::new(key(2)).with_earlier(key(1)));
        for _ in 0..3 {
            for (verifier, background) in [&mut old, &mut new] {
                verifier.verify(text).await.unwrap();
                background.tick().await.unwrap();
            }
        }
        let record = service.get(&token).await;
        assert_eq!((record.version, record.digest.key_id()), (2, Some(key(2).id())));
    }
}

#[tokio::test]
async fn a_key_is_replaced_counted_and_retired_while_tokens_are_in_use() {
    for mut service in services() {
        let (used, _) = service.create("used").await;
        let (unused, _) = service.create("unused").await;
        let (revoked, _) = service.create("revoked").await;
        service.issuer.revoke(revoked.id(), &ann(), None).await.unwrap();
        let expiring = new_token("expiring").with_expiry(Expiry::After(seconds(1)));
        service.issuer.create(expiring, &ann()).await.unwrap();
        service.clock.advance(seconds(1));

        let count = |key, tokens| (Some(key), tokens);
        let counts = async |issuer: &Issuer<_>| -> Vec<_> {
            let counts: Vec<KeyCount> = issuer.key_counts().await.unwrap();
            counts.into_iter().map(|count| (count.key, count.tokens)).collect()
        };
        let (old, new) = (key(1).id(), key(2).id());
        assert_eq!(counts(&service.issuer).await, [count(old, 2)]);

        service.verifier.set_keyring(&Keyring::new(key(2)).with_earlier(key(1)));
        let (newest, record) = service.create("newest").await;
        assert_eq!(record.digest.key_id(), Some(new));
        service.verify(&used).await.unwrap();
        service.tick().await;
        let mut both = [count(old, 1), count(new, 2)];
        both.sort_unstable();
        assert_eq!(counts(&service.issuer).await, both);

        let error = service.issuer.retire_key(Some(old), false).await.unwrap_err();
        assert!(matches!(error, IssuerError::KeyInUse { tokens: 1 }), "{error}");
        assert!(error.to_string().starts_with("the key is still needed by 1 token(s)"), "{error}");
        service.verify(&unused).await.unwrap(); // it is still there
        service.tick().await;
        assert_eq!(service.issuer.retire_key(Some(old), false).await.unwrap(), 0);
        for token in [&used, &unused, &newest] {
            service.verify(token).await.unwrap();
        }
        // Neither the current one nor one that is gone.
        for key in [old, new] {
            let error = service.issuer.retire_key(Some(key), true).await.unwrap_err();
            assert!(matches!(error, IssuerError::KeyNotRetirable), "{error}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_retired_by_force_abandons_its_tokens() {
    for service in services() {
        let (token, _) = service.create("a token").await;
        service.verifier.set_keyring(&Keyring::new(key(2)).with_earlier(key(1)));
        assert_eq!(service.issuer.retire_key(Some(key(1).id()), true).await.unwrap(), 1);
        let error = service.verify(&token).await.unwrap_err();
        assert!(matches!(error, VerifyError::UnknownKey { .. }), "{error}");
    }
}

/// By the time the background comes to it, the key may be out of the keyring again.
#[tokio::test]
async fn nothing_is_digested_again_under_a_key_that_is_not_current_any_more() {
    for mut service in services() {
        let (token, old) = service.create("a token").await;
        service.verifier.set_keyring(&Keyring::new(key(2)).with_earlier(key(1)));
        service.verify(&token).await.unwrap();
        // The second key was a mistake.
        service.verifier.set_keyring(&Keyring::new(key(1)).with_upcoming(key(2)));
        assert_eq!(service.issuer.retire_key(Some(key(2).id()), false).await.unwrap(), 0);
        service.tick().await;
        service.verify(&token).await.unwrap();
        assert_eq!(service.get(&token).await, old);
    }
}
