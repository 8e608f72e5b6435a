//! What the layer must know of a request besides its credentials.

use http::{HeaderMap, HeaderValue, Uri, header::CONTENT_TYPE};

/// Whether a request is one of gRPC: `application/grpc`, also with `+proto` or parameters.
/// `application/grpc-web` is not: its clients understand HTTP statuses.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let Some((start, rest)) = content_type.and_then(|value| value.split_at_checked(GRPC.len()))
    else {
        return false;
    };
    start.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// Whether the URL has a parameter `access_token`, however its name is percent-encoded.
pub(super) fn has_token_in_query(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default().as_bytes();
    query.split(|byte| *byte == b'&').any(|parameter| {
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        percent_decode(name).eq(*b"access_token")
    })
}

/// An escape that is none stays as it is.
fn percent_decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        let (first, after) = rest.split_first()?;
        rest = after;
        Some(*first)
    })
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc() {
        let of = |value: &'static str| {
            is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]))
        };
        for value in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=y",
            "application/grpc ; x=y",
            "Application/GRPC+json",
        ] {
            assert!(of(value), "{value}");
        }
        for value in
            ["", "application/grp", "application/grpc-web", "application/grpcs", "application/json"]
        {
            assert!(!of(value), "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn token_in_query() {
        let of = |uri: &'static str| has_token_in_query(&Uri::from_static(uri));
        for uri in [
            "/?access_token=x",
            "/?access_token",
            "/?access_token=",
            "/?a=b&access_token=x",
            "/?access_token=x&a=b",
            "/?access%5Ftoken=x",
            "/?access%5ftoken=x",
            "/?%61%63%63%65%73%73%5f%74%6f%6b%65%6e=x",
            "http://example.com/a?access_token=x",
        ] {
            assert!(of(uri), "{uri}");
        }
        for uri in [
            "/",
            "/?",
            "/?&",
            "/access_token",
            "/?a=access_token",
            "/?access_tokens=x",
            "/?xaccess_token=x",
            "/?access_toke",
            "/?access%5token=x",
            "/?access_token%",
            "/?access_token%2",
            "/?access%255Ftoken=x",
        ] {
            assert!(!of(uri), "{uri}");
        }
    }
}
