//! Whether a browser sends a request for another site.

use http::{
    HeaderValue,
    header::{HOST, ORIGIN},
    request::Parts,
};

/// Whether a request that comes with what a browser adds by itself may change something.
///
/// Browsers say of each request which origin makes it: `Sec-Fetch-Site` where the page is secure,
/// and `Origin` in all that is not `GET`. What says neither is no browser, and has not been made
/// to send anything.
pub(super) fn is_trusted(request: &Parts) -> bool {
    if let Some(site) = request.headers.get("sec-fetch-site") {
        // `none`: typed, or from a bookmark.
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = request.headers.get(ORIGIN) else { return true };
    // HTTP/2 has it in the URL.
    let host = request
        .headers
        .get(HOST)
        .map(HeaderValue::as_bytes)
        .or_else(|| request.uri.authority().map(|authority| authority.as_str().as_bytes()));
    let origin = origin.as_bytes();
    let origin_host = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
    origin_host.is_some() && origin_host == host
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn with(fields: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/a");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        is_trusted(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn by_what_the_browser_says() {
        let host = ("host", "app.example:8443");
        assert!(with(&[host]), "no browser");
        for site in ["same-origin", "none"] {
            assert!(with(&[host, ("sec-fetch-site", site)]), "{site}");
        }
        for site in ["cross-site", "same-site", "", "Same-Origin", "x"] {
            let origin = ("origin", "https://app.example:8443");
            assert!(!with(&[host, origin, ("sec-fetch-site", site)]), "{site}");
        }
        for origin in ["https://app.example:8443", "http://app.example:8443"] {
            assert!(with(&[host, ("origin", origin)]), "{origin}");
        }
        for origin in [
            "null",
            "",
            "app.example:8443",
            "https://app.example",
            "https://evil.example",
            "https://app.example:8443.evil.example",
            "https://x.app.example:8443",
            "ftp://app.example:8443",
        ] {
            assert!(!with(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(!with(&[("origin", "https://app.example")]), "without a host");
        let request = Request::post("https://app.example/a").header(ORIGIN, "https://app.example");
        assert!(is_trusted(&request.body(()).unwrap().into_parts().0), "HTTP/2");
    }
}
