use http::Uri;

/// The URL at which a token's holder asks what it is: 200 says that it is accepted, 401 that it is
/// not.
///
/// Its characters mean nothing in YAML, TOML, nor in the template languages of the scanners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LiveCheck(Box<str>);

impl LiveCheck {
    pub(super) fn new(url: &str) -> Result<Self, LiveCheckProblem> {
        if !url.bytes().all(is_plain) {
            return Err(LiveCheckProblem::Character);
        }
        let uri: Uri = url.parse().map_err(|_| LiveCheckProblem::NoUrl)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(LiveCheckProblem::NoUrl)?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if matches!(host, "127.0.0.1" | "[::1]" | "localhost") => {}
            _ => return Err(LiveCheckProblem::Scheme),
        }
        Ok(Self(url.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Neither `@` of a user, nor `?` nor `#`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%/:[]".contains(&byte)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LiveCheckProblem {
    #[error("must have only the characters 0-9A-Za-z and -._~%/:[]")]
    Character,
    #[error("must be absolute, with a host")]
    NoUrl,
    #[error("must be https, or http on this machine alone")]
    Scheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_that_tokens_may_be_sent_to() {
        for url in [
            "https://acme.example/settings/api/token",
            "https://acme.example:8443/a%20b/token",
            "https://[2001:db8::1]/token",
            "http://127.0.0.1:8787/token",
            "http://localhost/token",
            "http://[::1]:1/token",
        ] {
            assert_eq!(LiveCheck::new(url).as_ref().map(LiveCheck::as_str), Ok(url));
        }
    }

    #[test]
    fn refuses_all_others() {
        use LiveCheckProblem::{Character, NoUrl, Scheme};
        for (url, problem) in [
            ("", NoUrl),
            ("/token", NoUrl),
            ("acme.example", Scheme),
            ("https:///token", NoUrl),
            ("https://", NoUrl),
            ("http://acme.example/token", Scheme),
            ("http://127.0.0.1.acme.example/token", Scheme),
            ("ftp://acme.example/token", Scheme),
            ("https://user@acme.example/token", Character),
            ("https://acme.example/token?a=b", Character),
            ("https://acme.example/token#a", Character),
            ("https://acme.example/{{ TOKEN }}", Character),
            ("https://acme.example/{%a%}", Character),
            ("https://acme.example/\"", Character),
            ("https://acme.example/'''", Character),
            ("https://acme.example/\\", Character),
            ("https://acme.example/é", Character),
            ("https://acme.example/\n", Character),
        ] {
            assert_eq!(LiveCheck::new(url), Err(problem), "{url:?}");
        }
    }
}
