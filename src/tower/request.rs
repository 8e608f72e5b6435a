//! What the layer must know of a request besides its credentials.

use http::{HeaderValue, Method, Uri, Version, header::CONTENT_TYPE, request::Parts};

/// Whether a request is a call of gRPC: a POST of HTTP/2 with the content type
/// `application/grpc`, also with `+proto` or parameters. `application/grpc-web` is not: its
/// clients understand HTTP statuses.
///
/// Only a call of gRPC may be refused under the status 200: whatever stands between and judges by
/// the status would take that for access.
pub(super) fn is_grpc(request: &Parts) -> bool {
    let content_type = request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.version == Version::HTTP_2
        && request.method == Method::POST
        && content_type.is_some_and(|value| is_type(value, b"application/grpc"))
}

/// Whether a content type is this one, also with a suffix such as `+proto`, or parameters.
pub(super) fn is_type(content_type: &[u8], expected: &[u8]) -> bool {
    content_type.split_at_checked(expected.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(expected)
            && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

/// Whether the URL has a parameter `access_token`, however its name is percent-encoded.
pub(crate) fn has_token_in_query(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).any(|(name, _)| name == "access_token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, method: Method, content_type: &str) -> Parts {
        let request = http::Request::builder().version(version).method(method);
        let (parts, ()) = request.header(CONTENT_TYPE, content_type).body(()).unwrap().into_parts();
        parts
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        let of = |value| is_grpc(&request(Version::HTTP_2, Method::POST, value));
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
        let (plain, ()) = http::Request::new(()).into_parts();
        assert!(!is_grpc(&plain));
    }

    #[test]
    fn grpc_is_a_post_of_http_2() {
        for (version, method) in [
            (Version::HTTP_11, Method::POST),
            (Version::HTTP_10, Method::POST),
            (Version::HTTP_2, Method::GET),
            (Version::HTTP_2, Method::HEAD),
        ] {
            let forged = request(version, method, "application/grpc");
            assert!(!is_grpc(&forged), "{forged:?}");
        }
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
