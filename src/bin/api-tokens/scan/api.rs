use std::{path::Path, sync::Arc, time::Duration};

use api_tokens::{Answer, Realm, Status, Token, TokenId, VerifyError};
use serde::Deserialize;
use ureq::{
    Agent, Body,
    http::{Response, StatusCode, Uri},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};
use zeroize::Zeroizing;

use super::check::Verdict;
use crate::{failure::Failure, output::shown_path};

/// The management API of a service, which is asked about a token by presenting it.
pub(super) struct Api {
    agent: Agent,
    base: String,
}

/// The greatest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

impl Api {
    /// The API at `base`. Only over TLS, or on this machine itself.
    pub(super) fn new(base: &str, root_certificate: Option<&Path>) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/');
        let is_encrypted = check(base)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A token goes to no other address.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .user_agent(concat!("api-tokens/", env!("CARGO_PKG_VERSION")));
        if is_encrypted {
            config = config.tls_config(tls(root_certificate)?);
        } else {
            // What is on this machine is not reached through a proxy.
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().new_agent(), base: base.to_owned() })
    }

    /// Asks what a token is: the API tells its holder.
    pub(super) fn verdict(&self, token: &Token) -> Result<Verdict, Failure> {
        let header = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let request = self.agent.get(format!("{}/token", self.base));
        let answer = self.answer(request.header("Authorization", header.as_str()).call())?;
        match (answer.status, answer.problem()) {
            (StatusCode::OK, _) if answer.is_of(token.id()) => Ok(Verdict::Real(Status::Active)),
            (StatusCode::UNAUTHORIZED, Some(problem)) => match problem.verdict() {
                Some(verdict) => Ok(verdict),
                None => Err(self.not_understood(answer.status)),
            },
            (status, _) => Err(self.not_understood(status)),
        }
    }

    /// Revokes a token, for which having it is enough (RFC 7009), and makes sure that it is.
    pub(super) fn revoke(&self, token: &Token) -> Result<(), Failure> {
        let request = self.agent.post(format!("{}/revoke", self.base));
        let answer = self.answer(request.send_form([("token", token.expose_secret())]))?;
        if answer.status != StatusCode::OK {
            return Err(self.not_understood(answer.status));
        }
        match self.verdict(token)? {
            Verdict::Real(Status::Revoked) => Ok(()),
            _ => Err(Failure::new(format!(
                "{} did not revoke the token {}: is it the service that issued it?",
                self.base,
                token.id()
            ))),
        }
    }

    fn answer(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Answered, Failure> {
        let unreached =
            |error: ureq::Error| Failure::outage(format!("cannot reach {}: {error}", self.base));
        let mut response = sent.map_err(unreached)?;
        let status = response.status();
        // One that is too long is not what is expected.
        let body = match response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec() {
            Err(error @ ureq::Error::Timeout(_)) => return Err(unreached(error)),
            body => body.unwrap_or_default(),
        };
        Ok(Answered { status, body })
    }

    fn not_understood(&self, status: StatusCode) -> Failure {
        let why = match status {
            _ if status.is_redirection() => {
                "it leads to another address, and tokens are not sent there: give that with --api"
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                "it cannot tell at the moment: try again later"
            }
            _ if status.is_server_error() => "it has an error: try again later",
            _ => "that is not what a management API answers: is the address right?",
        };
        let message = format!("{} answers {}: {why}", self.base, status.as_u16());
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Failure::outage(message)
            }
            _ => Failure::new(message),
        }
    }
}

struct Answered {
    status: StatusCode,
    body: Vec<u8>,
}

impl Answered {
    /// Not every page that answers 200 is the API.
    fn is_of(&self, id: TokenId) -> bool {
        #[derive(Deserialize)]
        struct Named {
            id: TokenId,
        }

        serde_json::from_slice::<Named>(&self.body).is_ok_and(|token| token.id == id)
    }

    fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The members of a refusal that say what the token is.
#[derive(Deserialize)]
struct Problem {
    error: String,
    detail: String,
}

impl Problem {
    fn verdict(&self) -> Option<Verdict> {
        if self.error != "invalid_token" {
            return None;
        }
        let realm = Realm::default();
        // What the library itself says in each case.
        let says = |error: &VerifyError| Answer::new(error, &realm).detail() == self.detail;
        let id = TokenId::from_bytes(&[b'0'; TokenId::LEN]).ok()?;
        let not_active = [
            Status::NotYetValid,
            Status::Disabled,
            Status::Expired,
            Status::RotatedOut,
            Status::Revoked,
        ];
        if let Some(status) = not_active
            .into_iter()
            .find(|status| says(&VerifyError::NotActive { id, status: *status }))
        {
            return Some(Verdict::Real(status));
        }
        if says(&VerifyError::OwnerWithoutAccess { id }) {
            return Some(Verdict::OwnerWithoutAccess);
        }
        says(&VerifyError::UnknownToken).then_some(Verdict::Unknown)
    }
}

/// Whether the address is `https`, and if not, whether it is of this machine.
fn check(base: &str) -> Result<bool, Failure> {
    const EXPECTED: &str = "--api must be an address such as https://acme.example/settings/api";
    // A parser of addresses drops what is after `#`, and the path of a request would, too.
    if base.contains(['?', '#']) {
        return Err(Failure::new(EXPECTED));
    }
    let uri: Uri = base.parse().map_err(|_| Failure::new(EXPECTED))?;
    let host = uri.host().ok_or_else(|| Failure::new(EXPECTED))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Failure::new("--api must have no user and no password"));
    }
    match uri.scheme_str() {
        Some("https") => Ok(true),
        Some("http") if matches!(host, "127.0.0.1" | "[::1]" | "localhost") => Ok(false),
        Some("http") => Err(Failure::new(
            "--api must be https: over http, everybody on the way could read the tokens",
        )),
        _ => Err(Failure::new(EXPECTED)),
    }
}

fn tls(root_certificate: Option<&Path>) -> Result<TlsConfig, Failure> {
    let roots = root_certificate.map_or_else(of_system, from_file)?;
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn of_system() -> Result<Vec<Certificate<'static>>, Failure> {
    let native = rustls_native_certs::load_native_certs();
    if native.certs.is_empty() {
        return Err(Failure::new(
            "there are no certificates of authorities on this system: add --root-certificate FILE",
        ));
    }
    let owned = |certificate: &[u8]| Certificate::from_der(certificate).to_owned();
    Ok(native.certs.iter().map(|certificate| owned(certificate)).collect())
}

fn from_file(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let pem = std::fs::read(path).map_err(|error| Failure::of_file("read", path, &error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => {
                return Err(Failure::new(format!("{} is not PEM", shown_path(path))));
            }
        }
    }
    if certificates.is_empty() {
        return Err(Failure::new(format!("{} has no certificate", shown_path(path))));
    }
    Ok(certificates)
}
