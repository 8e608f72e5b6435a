//! TLS: the certificate and its name are verified.

use std::{fs, process::Command};

use api_tokens::StoreErrorKind;

use super::{util::skip, *};

/// A server with TLS for the name `localhost`, and the certificate of its authority.
fn server() -> Option<(Server, String)> {
    let server = Server::start()?;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = r#"cd "$1" &&
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority \
            -addext basicConstraints=critical,CA:TRUE 2>/dev/null &&
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server 2>/dev/null &&
        printf 'subjectAltName=DNS:localhost\n' > extensions &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
            -extfile extensions -out server.crt 2>/dev/null"#;
    let made = Command::new("sh").args(["-c", script, "sh"]).arg(directory.path()).status();
    if !made.is_ok_and(|status| status.success()) {
        skip("tests with TLS", "openssl is not installed, or makes no certificate");
        return None;
    }
    server.secure(&directory.path().join("server.crt"), &directory.path().join("server.key"));
    let authority = fs::read_to_string(directory.path().join("ca.crt")).expect("a certificate");
    Some((server, authority))
}

#[tokio::test]
async fn certificate_and_name_are_verified() {
    let Some((server, authority)) = server() else { return };
    let url = |host: &str, mode: &str| {
        let port = server.port();
        format!(
            "postgres://guarded:tr0ub4dor@{host}:{port}/postgres?hostaddr=127.0.0.1&sslmode={mode}"
        )
    };
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let trusted =
            PostgresOptions::new(&url("localhost", mode)).root_certificate_pem(&authority);
        // It has no tables, so it was connected to.
        let error = trusted.open().await.unwrap_err();
        assert!(error.to_string().contains("at version 0"), "{mode}: {error}");

        let unknown = PostgresOptions::new(&url("localhost", mode)).open().await.unwrap_err();
        let other = PostgresOptions::new(&url("elsewhere", mode)).root_certificate_pem(&authority);
        let other = other.open().await.unwrap_err();
        for error in [unknown, other] {
            assert_eq!(error.kind(), StoreErrorKind::Other, "{mode}: {error}");
            assert!(error.to_string().contains("root_certificate_pem"), "{mode}: {error}");
        }
    }
    let insecure = PostgresOptions::new(&url("localhost", "disable")).open().await.unwrap_err();
    assert!(insecure.to_string().contains("at version 0"), "{insecure}");

    let bound = format!("{}&channel_binding=require", url("localhost", "require"));
    let bound = PostgresOptions::new(&bound).root_certificate_pem(&authority);
    let error = bound.open().await.unwrap_err();
    assert!(error.to_string().contains("at version 0"), "{error}");

    let bad = PostgresOptions::new(&url("localhost", "require")).root_certificate_pem("none");
    assert_eq!(bad.open().await.unwrap_err().kind(), StoreErrorKind::Other);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_if_it_is_required() {
    let Some(fixture) = Fixture::new().await else { return };
    let required = fixture.url.replace("sslmode=disable", "sslmode=require");
    let error = PostgresOptions::new(&required).schema(&fixture.schema).open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    let preferred = fixture.url.replace("sslmode=disable", "sslmode=prefer");
    PostgresOptions::new(&preferred).schema(&fixture.schema).open().await.unwrap();
}
