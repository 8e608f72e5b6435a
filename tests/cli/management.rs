//! `scan --check` and `--revoke`, with the management API of a running service.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use api_tokens::{
    Actor, Issuer, Keyring, MemoryStore, NewToken, Project, Verifier,
    management::{self, Access, AccessError, Grant},
    prefix,
};
use axum::{Router, extract::Request, http::request::Parts, response::Redirect, routing::any};
use tokio::net::TcpListener;

use crate::{
    support::{Folder, Ran, id, token},
    util::{ann, new_token, or_skip},
};

struct Nobody;

impl Access for Nobody {
    async fn grant(&self, _: &Parts, _: &Project) -> Result<Grant, AccessError> {
        Err(AccessError::SignedOut)
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

fn issuer() -> Issuer<MemoryStore> {
    Issuer::new(&Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new()))
}

async fn create(issuer: &Issuer<MemoryStore>, new: NewToken) -> String {
    issuer.create(new, &ann()).await.unwrap().token.expose_secret().to_owned()
}

/// On a thread of its own, since the service runs on this one.
async fn scan(folder: &Arc<Folder>, api: String, arguments: &'static [&'static str]) -> Ran {
    let folder = Arc::clone(folder);
    let scan = move || {
        let scan = ["found", "--format", "json", "--api", &api];
        folder.scan(&[&scan[..], arguments].concat())
    };
    tokio::task::spawn_blocking(scan).await.unwrap()
}

fn status(ran: &Ran, token: &str) -> String {
    let found = ran.json().into_iter().find(|found| found["id"] == id(token)).unwrap();
    found["status"].as_str().unwrap_or("not told").to_owned()
}

#[tokio::test]
async fn asks_and_revokes() {
    let issuer = issuer();
    let actor: Actor = ann();
    let [live, revoked, disabled] = [
        create(&issuer, new_token("live")).await,
        create(&issuer, new_token("revoked")).await,
        create(&issuer, new_token("disabled")).await,
    ];
    issuer.revoke(id(&revoked).parse().unwrap(), &actor, None).await.unwrap();
    issuer.disable(id(&disabled).parse().unwrap(), &actor).await.unwrap();
    let stranger = token(1);
    let app = Router::new().nest("/settings", management::router(issuer.clone(), Nobody));
    let api = format!("http://{}/settings/api", serve(app).await);
    let folder = Arc::new(Folder::new());
    folder.write(
        "found",
        [&live, &revoked, &disabled, &stranger].map(|token| format!("{token}\n")).concat(),
    );

    let ran = scan(&folder, api.clone(), &["--check"]).await;
    ran.assert_found(&[&live, &revoked, &disabled, &stranger]);
    for (token, expected) in
        [(&live, "active"), (&revoked, "revoked"), (&disabled, "disabled"), (&stranger, "unknown")]
    {
        assert_eq!(status(&ran, token), expected);
    }
    // A slash at the end is no other address.
    let ran = scan(&folder, api + "/", &["--revoke", "--yes"]).await;
    ran.assert_found(&[&live]);
    for (token, expected) in
        [(&live, "revoked"), (&revoked, "revoked"), (&disabled, "revoked"), (&stranger, "unknown")]
    {
        assert_eq!(status(&ran, token), expected);
    }
    for token in [&live, &disabled] {
        let record = issuer.get(id(token).parse().unwrap(), &actor).await.unwrap().unwrap();
        assert!(record.revocation.is_some());
    }
}

/// A service that lets go of one token in two: what failed is told, and the others are revoked.
#[tokio::test]
async fn a_revocation_that_fails_does_not_stop_the_others() {
    let issuer = issuer();
    let tokens = [
        create(&issuer, new_token("one")).await,
        create(&issuer, new_token("two")).await,
        create(&issuer, new_token("three")).await,
    ];
    let stuck = tokens[1].clone();
    let app = Router::new().nest("/settings", management::router(issuer.clone(), Nobody)).layer(
        axum::middleware::from_fn(move |request: Request, next: axum::middleware::Next| {
            let stuck = stuck.clone();
            async move {
                let is_revocation = request.uri().path().ends_with("/revoke");
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 4096).await.unwrap();
                if is_revocation && String::from_utf8_lossy(&body).contains(&stuck) {
                    return axum::response::IntoResponse::into_response(
                        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                    );
                }
                next.run(Request::from_parts(parts, body.into())).await
            }
        }),
    );
    let api = format!("http://{}/settings/api", serve(app).await);
    let folder = Arc::new(Folder::new());
    folder.write("found", tokens.join("\n"));
    let ran = scan(&folder, api, &["--revoke", "--yes"]).await;
    ran.assert_fails(&format!("error: not revoked: {}\n", id(&tokens[1])));
    assert!(ran.err.contains("answers 500"), "{}", ran.err);
    for (token, expected) in tokens.iter().zip(["revoked", "active", "revoked"]) {
        assert_eq!(status(&ran, token), expected);
    }
}

/// Who does it stands in no event there.
#[tokio::test]
async fn nobody_has_to_say_who_asks_an_api() {
    let issuer = issuer();
    let live = create(&issuer, new_token("live")).await;
    let app = Router::new().nest("/settings", management::router(issuer, Nobody));
    let api = format!("http://{}/settings/api", serve(app).await);
    let folder = Folder::new();
    folder.write("found", &live);
    let ran = tokio::task::spawn_blocking(move || {
        let mut command = folder.command();
        command.args([
            "scan",
            "--prefix",
            "acme_live",
            "found",
            "--revoke",
            "--yes",
            "--api",
            &api,
        ]);
        for name in ["USER", "LOGNAME", "USERNAME"] {
            command.env_remove(name);
        }
        Ran::of(&mut command)
    });
    let ran = ran.await.unwrap();
    ran.assert_found(&[&live]);
    assert!(ran.out.contains(", revoked now"), "{}", ran.out);
}

/// Whatever answers at the address, only a management API is believed.
#[tokio::test]
async fn other_services_say_nothing() {
    let live = create(&issuer(), new_token("live")).await;
    let folder = Arc::new(Folder::new());
    folder.write("found", format!("{live}\n{}", token(1)));
    let page = serve(Router::new().fallback(|| async { "Welcome" })).await;
    let down =
        serve(Router::new().fallback(|| async { axum::http::StatusCode::SERVICE_UNAVAILABLE }))
            .await;
    let guarded =
        serve(Router::new().fallback(|| async { axum::http::StatusCode::UNAUTHORIZED })).await;
    let broken =
        serve(Router::new().fallback(|| async { axum::http::StatusCode::INTERNAL_SERVER_ERROR }))
            .await;
    for (address, why) in [
        (broken, "answers 500: it has an error: try again later"),
        (page, "answers 200: that is not what a management API answers"),
        (guarded, "answers 401: that is not what a management API answers"),
        (down, "answers 503: it cannot tell at the moment"),
        ("127.0.0.1:1".parse().unwrap(), "cannot reach http://127.0.0.1:1"),
    ] {
        let ran = scan(&folder, format!("http://{address}"), &["--revoke", "--yes"]).await;
        ran.assert(2);
        ran.assert_names(&[&live]);
        assert_eq!(status(&ran, &live), "not_asked");
        assert!(!ran.err.contains("has to be revoked"), "{}", ran.err);
        // What went wrong for several tokens is said once.
        assert_eq!(ran.err.matches(why).count(), 1, "{}", ran.err);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let elsewhere = Router::new().fallback(any(move |_: Request| async move {
        *count.lock().unwrap() += 1;
    }));
    let elsewhere = format!("http://{}/token", serve(elsewhere).await);
    let redirecting =
        serve(Router::new().fallback(any(|| async move { Redirect::temporary(&elsewhere) }))).await;
    let folder = Arc::new(Folder::new());
    folder.write("found", token(1));
    let ran = scan(&folder, format!("http://{redirecting}"), &["--check"]).await;
    ran.assert(2);
    assert!(ran.err.contains("answers 307: it leads to another address"), "{}", ran.err);
    assert_eq!(*seen.lock().unwrap(), 0);
}

#[test]
fn addresses() {
    let folder = Folder::new();
    let check = |url: &str| folder.scan(&["--check", "--api", url]);
    check("http://acme.example/api").assert_fails("--api must be https");
    check("https://ann:pass@acme.example/api").assert_fails("must have no user and no password");
    for url in [
        "acme.example/api",
        "ftp://acme.example",
        "https://",
        "https://acme.example/?a=b",
        "https://acme.example/a#b",
        "https://acme.example/?",
    ] {
        check(url).assert_fails("--api must be an address such as https://");
    }
    folder
        .scan(&["--check", "--api", "https://acme.example", "--store", "sqlite:db"])
        .assert_fails("cannot be used with");
}

/// The certificate is verified, against the authorities that are given.
#[test]
fn tls() {
    let folder = Folder::new();
    folder.write("found", token(1));
    let openssl = |arguments: &str| {
        let mut command = std::process::Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder.path());
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    };
    let made = openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.pem -days 2 \
         -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=CA:false",
    )
    .status();
    let made = made.map_err(|error| error.to_string());
    let made =
        made.and_then(|status| if status.success() { Ok(()) } else { Err("it failed".to_owned()) });
    let Some(()) = or_skip("openssl", made) else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server =
        openssl(&format!("s_server -accept {port} -cert tls.pem -key tls.key -www -quiet"))
            .spawn()
            .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.try_wait().unwrap().is_none(), "the server has ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let api = format!("https://localhost:{port}");
    let check = |more: &[&str]| folder.scan(&[&["found", "--check", "--api", &api], more].concat());
    let [trusted, untrusted] = [check(&["--root-certificate", "tls.pem"]), check(&[])];
    server.kill().unwrap();
    server.wait().unwrap();
    // It is no management API, but it was reached.
    trusted.assert_fails("answers 200: that is not what a management API answers");
    untrusted.assert_fails("cannot reach https://localhost");
    folder
        .scan(&["found", "--check", "--api", &api, "--root-certificate", "found"])
        .assert_fails("found has no certificate");
}
