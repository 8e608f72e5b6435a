//! Every way to write an `Authorization` field, as bytes over a real socket.

#[path = "http_support/service.rs"]
mod service;

use std::net::SocketAddr;

use api_tokens::{BearerLayer, Verified};
use axum::{Router, routing::get};
use serde::Deserialize;
use service::{Service, bearer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const CHALLENGE: &str = r#"Bearer realm="acme""#;
const INVALID_REQUEST: &str = r#"Bearer realm="acme", error="invalid_request""#;
const INVALID_TOKEN: &str = r#"Bearer realm="acme", error="invalid_token", error_description="The access token is invalid""#;

async fn serve(service: &Service) -> SocketAddr {
    let layer = BearerLayer::new(service.verifier.clone()).realm("acme".parse().unwrap());
    let app = Router::new()
        .route("/", get(async |token: Verified| token.project().to_string()))
        .route_layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    /// The values of all fields of this name, in lower case.
    fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
    }
}

/// Writes the request line by line as given, and reads until the server closes. `None` if it
/// does so without a word.
async fn send(address: SocketAddr, values: &[Vec<u8>]) -> Option<Response> {
    let mut request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_vec();
    for value in values {
        request.extend_from_slice(b"Authorization: ");
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut response = Vec::new();
    // A server that refuses what it has not read to the end may reset the connection.
    let _ = stream.read_to_end(&mut response).await;
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ").unwrap().get(..3).unwrap().parse().unwrap();
    Some(Response { status, head: head.to_owned(), body: body.to_owned() })
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    field_values_hex: Vec<String>,
    verdict: String,
}

impl Case {
    fn values(&self) -> Vec<Vec<u8>> {
        let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
        let decode = |hex: &String| {
            hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
        };
        self.field_values_hex.iter().map(decode).collect()
    }
}

#[tokio::test]
async fn every_case_of_the_table() {
    let address = serve(&Service::new()).await;
    let cases: Cases = serde_json::from_str(include_str!("data/authorization-cases.json")).unwrap();
    assert!(cases.cases.len() >= 36);
    for case in cases.cases {
        let name = &case.name;
        let response = send(address, &case.values()).await;
        let (status, challenge) = match case.verdict.as_str() {
            "absent" | "other_scheme" => (401, CHALLENGE),
            "invalid_request" => (400, INVALID_REQUEST),
            // No such token was ever issued, and nobody may learn which of both it was.
            "bearer" | "malformed_token" => (401, INVALID_TOKEN),
            "rejected_by_http_server" => {
                // Never reaches the layer, so there is no challenge.
                if let Some(response) = response {
                    assert_eq!(response.status, 400, "{name}");
                    assert!(response.fields("www-authenticate").is_empty(), "{name}");
                }
                continue;
            }
            other => panic!("{name}: unknown verdict {other}"),
        };
        let response = response.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(response.status, status, "{name}");
        assert_eq!(response.fields("www-authenticate"), [challenge], "{name}");
        assert_eq!(response.fields("cache-control"), ["no-store"], "{name}");
        assert_eq!(response.fields("content-type"), ["application/problem+json"], "{name}");
        assert_eq!(
            response.fields("content-length"),
            [response.body.len().to_string()],
            "{name}: {}",
            response.head
        );
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(body["status"], status, "{name}");
        assert!(!response.head.contains("abc") && !response.body.contains("abc"), "{name}");
    }
}

#[tokio::test]
async fn a_good_token_in_every_spelling() {
    let service = Service::new();
    let address = serve(&service).await;
    let created = service.token("").await;
    let token = created.token.expose_secret();
    for value in [
        bearer(&created),
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("bEaReR {token}"),
        format!("Bearer     {token}"),
        format!("  Bearer {token}  "),
        format!("\t Bearer {token} \t"),
    ] {
        let response = send(address, &[value.into_bytes()]).await.unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "acme"));
        assert!(response.fields("www-authenticate").is_empty());
    }
}

#[tokio::test]
async fn a_good_token_spelled_wrong() {
    let service = Service::new();
    let address = serve(&service).await;
    let created = service.token("").await;
    let token = created.token.expose_secret();
    let good = bearer(&created);
    for (values, status, challenge) in [
        (vec![good.clone(), good.clone()], 400, INVALID_REQUEST),
        (vec![good.clone(), String::new()], 400, INVALID_REQUEST),
        (vec!["Basic dTpw".to_owned(), good.clone()], 400, INVALID_REQUEST),
        (vec![format!("Bearer\t{token}")], 400, INVALID_REQUEST),
        (vec![token.to_owned()], 401, CHALLENGE),
        (vec![format!("Bearer{token}")], 401, CHALLENGE),
        (vec![format!("Basic {token}")], 401, CHALLENGE),
        (vec![format!("Bearer {token}=")], 401, INVALID_TOKEN),
        (vec![format!("Bearer {token},")], 401, INVALID_TOKEN),
        (vec![format!("{good}, {good}")], 401, INVALID_TOKEN),
        (vec![format!("Bearer \"{token}\"")], 401, INVALID_TOKEN),
        (vec![format!("Bearer {}", token.to_uppercase())], 401, INVALID_TOKEN),
        (vec![format!("Bearer {}", token.replace("live", "test"))], 401, INVALID_TOKEN),
    ] {
        let values: Vec<_> = values.into_iter().map(String::into_bytes).collect();
        let response = send(address, &values).await.unwrap();
        assert_eq!(response.status, status);
        assert_eq!(response.fields("www-authenticate"), [challenge]);
    }
}
