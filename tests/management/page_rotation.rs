//! Rotations on the page: how far they have come, and their end.

use api_tokens::{
    Issuer, Keyring, LifetimePolicy, MemoryStore, Rotate, Verifier, management, prefix,
};
use jiff::SignedDuration;

use super::{
    support::{Answer, Call, PAGE, Service, Team},
    util::ann,
};

#[tokio::test]
async fn a_rotation_is_followed() {
    let service = Service::with_policy(LifetimePolicy::default());
    let old = service.token("acme", "sources:read").await;
    let id = old.record.id;
    let rotate = Rotate::with_overlap(SignedDuration::from_hours(24));
    let new = service.issuer.rotate(id, &ann(), rotate).await.unwrap();
    let page = service.page(&format!("{PAGE}/{id}")).await;
    for part in [
        "Replaced by",
        new.record.id.as_str(),
        "The new token is not used yet",
        "The old token has not been used after",
        "which ends <time",
        "rotation/finish",
        "rotation/cancel",
    ] {
        assert!(page.body.contains(part), "{part}: {page:?}");
    }
    service.verifier.verify(new.token.expose_secret().as_bytes()).await.unwrap();
    service.verifier.verify(old.token.expose_secret().as_bytes()).await.unwrap();
    let page = service.page(&format!("{PAGE}/{}", new.record.id)).await;
    for part in [
        "Replaces",
        "The new token is used, last",
        "The old token was used after the new one was made, last",
    ] {
        assert!(page.body.contains(part), "{part}: {page:?}");
    }
    // The questions are on both pages, and are about the old token.
    let finish = format!("{PAGE}/{id}/rotation/finish");
    assert!(page.body.contains(&format!("href=\"{finish}\"")), "{page:?}");
    let question = service.page(&finish).await;
    assert!(question.body.contains("Last used: <time"), "{question:?}");
    assert!(question.body.contains(&format!("the old token <code>{id}</code>")), "{question:?}");
    assert!(question.body.contains(&format!("action=\"{finish}\"")), "{question:?}");
    let cancel = service.page(&format!("{PAGE}/{id}/rotation/cancel")).await;
    assert!(cancel.body.contains(&format!("<code>{}</code>", new.record.id)), "{cancel:?}");
    // First things first.
    assert!(!page.body.contains(&format!("/{}/rotate\">Rotate", new.record.id)), "{page:?}");
    let question = service.page(&format!("{PAGE}/{id}/revoke")).await;
    assert!(!question.body.contains("that it replaces is accepted"), "{question:?}");
    let answer = service.page(&format!("{PAGE}/{}/rotate", new.record.id)).await;
    assert_eq!(answer.location(), format!("{PAGE}/{}", new.record.id));
    let answer = service.post(&finish, "").await;
    let page = service.page(answer.location()).await;
    assert!(page.body.contains(">Rotated out<"), "{page:?}");
    assert!(!page.body.contains("rotation/"), "{page:?}");
    service.verifier.verify(old.token.expose_secret().as_bytes()).await.unwrap_err();
    assert_eq!(service.page(&finish).await.location(), format!("{PAGE}/{id}"));
}

/// Whatever becomes of the new token, the old one is accepted to the end of the overlap.
#[tokio::test]
async fn a_rotation_whose_new_token_is_gone() {
    let service = Service::new();
    let old = service.token("acme", "").await;
    let id = old.record.id;
    let form = "overlap=24&retire_on_use=yes&key=k";
    let shown = service.post(&format!("{PAGE}/{id}/rotate"), form).await;
    let until = "until this one is used for the first time, at the latest until ";
    assert!(shown.body.contains(until), "{shown:?}");
    let new = service.issuer.get(id, &ann()).await.unwrap().unwrap().rotation.unwrap();
    let new = new.successor.unwrap().id;
    let question = service.page(&format!("{PAGE}/{new}/revoke")).await;
    assert!(question.body.contains("The old token that it replaces is accepted until"));
    service.post(&format!("{PAGE}/{new}/revoke"), "").await.location();
    service.verifier.verify(old.token.expose_secret().as_bytes()).await.unwrap();
    for id in [id, new] {
        let page = service.page(&format!("{PAGE}/{id}")).await;
        for part in [
            "The new token is not accepted: Revoked",
            "The old token is accepted beside it, which ends with the first use of the new one",
            "/rotation/finish\"",
        ] {
            assert!(page.body.contains(part), "{part}: {page:?}");
        }
    }
    service.post(&format!("{PAGE}/{id}/rotation/cancel"), "").await.location();
    let page = service.page(&format!("{PAGE}/{id}")).await;
    assert!(
        page.body.contains(">Active<") && !page.body.contains("class=\"rotation\""),
        "{page:?}"
    );
}

/// Where nothing notes when tokens are used, nothing says that they were not.
#[tokio::test]
async fn what_is_not_noted_is_not_told() {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    let issuer = Issuer::new(&verifier);
    let old = issuer.create(super::util::new_token("x"), &ann()).await.unwrap().record.id;
    let rotate = Rotate::with_overlap(SignedDuration::from_hours(24));
    let new = issuer.rotate(old, &ann(), rotate).await.unwrap().record.id;
    for path in ["", &format!("/{old}"), &format!("/{new}"), &format!("/{new}/revoke")] {
        let request = Call::new("GET", &format!("{PAGE}{path}")).field("x-user", "ann").text("");
        let page = Answer::of(management::router(issuer.clone(), Team), request).await;
        assert!(page.body.contains("Not recorded"), "{path}: {page:?}");
        for lie in ["not used yet", "has not been used", "Last used: Never", "retire_on_use"] {
            assert!(!page.body.contains(lie), "{lie}: {page:?}");
        }
    }
}

/// A token that is being replaced can be disabled.
#[tokio::test]
async fn a_rotation_whose_old_token_is_disabled() {
    let service = Service::new();
    let old = service.token("acme", "").await.record.id;
    let rotate = Rotate::with_overlap(SignedDuration::from_hours(24));
    let new = service.issuer.rotate(old, &ann(), rotate).await.unwrap().record.id;
    service.issuer.disable(old, &ann()).await.unwrap();
    for id in [old, new] {
        let page = service.page(&format!("{PAGE}/{id}")).await;
        assert!(page.body.contains("The old token is not accepted now: Disabled."), "{page:?}");
        assert!(!page.body.contains("is accepted beside it"), "{page:?}");
        assert!(page.body.contains("/rotation/finish\""), "{page:?}");
    }
    let question = service.page(&format!("{PAGE}/{new}/revoke")).await;
    assert!(!question.body.contains("that it replaces is accepted"), "{question:?}");
}
