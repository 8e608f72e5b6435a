use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::Uri;

/// Scheme, host and port: whom a request goes to (RFC 6454).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    is_https: bool,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// A name in lower case, or an IPv4 address.
    Name(String),
    Ipv6(Ipv6Addr),
}

impl Origin {
    /// Of a URL that is an origin and nothing else, to which a token may be sent.
    pub(super) fn parse(number: usize, text: &str) -> Result<Self, OriginError> {
        // Anything but scheme, host and port may be secret, so it does not stand in the error.
        let error = |problem| OriginError(Problem::Wrong { number, problem });
        let uri: Uri = text.parse().map_err(|_| error(Wrong::NotAnOrigin))?;
        let origin = Self::of_uri(&uri).ok_or(error(Wrong::NotAnOrigin))?;
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(error(Wrong::UserInfo));
        }
        // A port that is not a number counts as none, and so does a colon alone.
        let host = uri.host().unwrap_or_default();
        let has_port = uri.port_u16().is_some();
        if !origin.host.is_plausible() || (authority.len() > host.len() && !has_port) {
            return Err(error(Wrong::NotAnOrigin));
        }
        // The parser drops what follows a `#`.
        if uri.path().len() > 1 || uri.query().is_some() || text.contains('#') {
            return Err(error(Wrong::Path));
        }
        if !origin.is_https && !origin.host.is_loopback() {
            return Err(error(Wrong::Plain));
        }
        Ok(origin)
    }

    /// `None` for a URI without a host, or of another scheme than HTTP.
    pub(super) fn of_uri(uri: &Uri) -> Option<Self> {
        Self::of_parts(uri.scheme_str()?, uri.host()?, uri.port_u16())
    }

    /// The same of a URL of reqwest's.
    #[cfg(feature = "reqwest")]
    pub(super) fn of_url(url: &::reqwest::Url) -> Option<Self> {
        Self::of_parts(url.scheme(), url.host_str()?, url.port())
    }

    fn of_parts(scheme: &str, host: &str, port: Option<u16>) -> Option<Self> {
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        Some(Self { is_https, host: Host::parse(host), port })
    }

    #[cfg(feature = "reqwest")]
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }
}

impl Host {
    fn parse(host: &str) -> Self {
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        match bracketed.and_then(|address| address.parse().ok()) {
            Some(address) => Self::Ipv6(address),
            None => Self::Name(host.to_ascii_lowercase()),
        }
    }

    fn is_plausible(&self) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        match self {
            Self::Name(name) => !name.is_empty() && name.bytes().all(allowed),
            Self::Ipv6(_) => true,
        }
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) if name == "localhost" => true,
            Self::Name(name) => name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback()),
            Self::Ipv6(address) => address.is_loopback(),
        }
    }
}

/// Why a token may not be sent to the origins that were given. It holds nothing of them.
///
/// `Debug` prints the same sentence as `Display`, for a `main` that returns it.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OriginError(Problem);

impl OriginError {
    pub(super) const NONE: Self = Self(Problem::None);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error(
        "no origins: name those that the token may be sent to, such as https://api.acme.example"
    )]
    None,
    #[error("origin {number} {problem}")]
    Wrong { number: usize, problem: Wrong },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Wrong {
    #[error("is not scheme, host and port of a URL, such as https://api.acme.example")]
    NotAnOrigin,
    #[error("has a user or password before the host: leave it out")]
    UserInfo,
    #[error("has a path, query or fragment: leave it out, the token is for all of an origin")]
    Path,
    #[error(
        "is plain http, where anybody on the way could read the token: use https; http is for \
         localhost, 127.0.0.1 and [::1] only"
    )]
    Plain,
}

impl fmt::Debug for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Option<Origin> {
        Origin::of_uri(&uri.parse().unwrap())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = Origin::parse(1, "https://api.acme.example").unwrap();
        for uri in [
            "https://api.acme.example",
            "https://api.acme.example/sources?page=2",
            "https://api.acme.example:443/",
            "HTTPS://API.Acme.Example/",
            "https://somebody@api.acme.example/",
        ] {
            assert_eq!(of(uri).as_ref(), Some(&origin), "{uri}");
        }
        for uri in [
            "http://api.acme.example/",
            "http://api.acme.example:443/",
            "https://api.acme.example:8443/",
            "https://acme.example/",
            "https://eu.api.acme.example/",
            "https://api.acme.example.evil.example/",
            "https://api.acme.example./",
            "https://api.acme.example@evil.example/",
            "https://api.acme.example:443@evil.example/",
            "wss://api.acme.example/",
            "/sources",
            "api.acme.example:443",
        ] {
            assert_ne!(of(uri), Some(origin.clone()), "{uri}");
        }
    }

    #[test]
    fn addresses_are_compared_as_such() {
        let origin = Origin::parse(1, "https://[2001:DB8::1]").unwrap();
        assert_eq!(of("https://[2001:db8:0:0:0:0:0:1]/"), Some(origin.clone()));
        assert_ne!(of("https://[2001:db8::2]/"), Some(origin));
    }

    #[test]
    fn plain_http_is_for_the_loopback_interface() {
        for text in [
            "http://localhost",
            "http://LOCALHOST:3000/",
            "http://127.0.0.1:3000",
            "http://127.255.255.254",
            "http://[::1]:3000",
        ] {
            assert!(Origin::parse(1, text).is_ok(), "{text}");
        }
        for text in [
            "http://api.acme.example",
            "http://localhost.evil.example",
            "http://a.localhost",
            "http://128.0.0.1",
            "http://127.0.0.1.evil.example",
            "http://0.0.0.0",
            "http://[::2]",
            "http://[::ffff:127.0.0.1]",
        ] {
            let error = Origin::parse(2, text).unwrap_err().to_string();
            assert!(error.starts_with("origin 2 is plain http"), "{text}: {error}");
        }
    }

    #[test]
    fn more_or_less_than_an_origin_is_refused() {
        for (text, why) in [
            ("", "is not scheme, host"),
            ("api.acme.example", "is not scheme, host"),
            ("/sources", "is not scheme, host"),
            ("ftp://api.acme.example", "is not scheme, host"),
            ("https://", "is not scheme, host"),
            ("https://api.acme.example:", "is not scheme, host"),
            ("https://api.acme.example:65536", "is not scheme, host"),
            ("https://*.acme.example", "is not scheme, host"),
            ("https://bücher.example", "is not scheme, host"),
            ("https://api%2eacme.example", "is not scheme, host"),
            (" https://api.acme.example", "is not scheme, host"),
            ("https://user@api.acme.example", "has a user or password"),
            ("https://user:password@api.acme.example:8443/", "has a user or password"),
            ("https://api.acme.example/v1", "has a path"),
            ("https://api.acme.example//", "has a path"),
            ("https://api.acme.example?", "has a path"),
            ("https://api.acme.example/?key=secret", "has a path"),
            ("https://api.acme.example#", "has a path"),
            ("https://api.acme.example/#part", "has a path"),
        ] {
            let error = Origin::parse(1, text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("password@") && !error.contains("key=secret"), "{error}");
        }
    }
}
