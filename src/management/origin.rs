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
    let (Some(host), origin) = (host, origin.as_bytes()) else { return false };
    let https = origin.strip_prefix(b"https://").map(|origin| (origin, &b":443"[..]));
    let http = || origin.strip_prefix(b"http://").map(|origin| (origin, &b":80"[..]));
    let Some((origin, port)) = https.or_else(http) else { return false };
    // A browser leaves the port out if it is the scheme's own; a proxy may add it.
    let without_port = |host: &[u8]| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    without_port(origin) == without_port(host)
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
        for (host, origin) in [
            ("app.example:443", "https://app.example"),
            ("App.Example", "https://app.example"),
            ("app.example:80", "http://app.example"),
        ] {
            assert!(with(&[("host", host), ("origin", origin)]), "{host} {origin}");
        }
        for (host, origin) in
            [("app.example:80", "https://app.example"), ("app.example:443", "http://app.example")]
        {
            assert!(!with(&[("host", host), ("origin", origin)]), "{host} {origin}");
        }
        let request = Request::post("https://app.example/a").header(ORIGIN, "https://app.example");
        assert!(is_trusted(&request.body(()).unwrap().into_parts().0), "HTTP/2");
    }
}
