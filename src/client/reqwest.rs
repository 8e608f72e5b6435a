//! Clients of reqwest that send the token. The middleware is made here only, together with the
//! policy for redirects that it needs.

use core::pin::Pin;

use ::reqwest::{
    ClientBuilder, Request, Response, StatusCode, Url, header::AUTHORIZATION, redirect::Policy,
};
use http::Extensions;
use reqwest_middleware::{ClientWithMiddleware, Next};

use super::{SendToken, origin::Origin};

impl SendToken {
    /// A client of reqwest that sends the token to its origins.
    ///
    /// More middleware goes around it with [`reqwest_middleware::ClientBuilder::from_client`];
    /// what is added there runs inside of this one, so it sees the token.
    ///
    /// ```no_run
    /// # async fn example(send: api_tokens::client::SendToken) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = send.client(reqwest::Client::builder())?;
    /// let sources = client.get("https://api.acme.example/sources").send().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Features of reqwest
    ///
    /// This crate switches none on, so for `https` switch on one of its TLS features yourself.
    ///
    /// # Redirects
    ///
    /// reqwest follows redirects beneath any middleware, and decides itself whether the token goes
    /// along. Therefore this replaces the builder's policy. Up to ten redirects are followed, and
    /// the token goes along as long as the origin stays the same. It never reaches an origin that
    /// is not configured: from the first request to one of ours on,
    ///
    /// - a redirect to another host or port is followed without the token, also if it is one of
    ///   ours: such an answer can be a 401, so ask there directly. But to one that is not ours only if
    ///   the body is not sent there (301, 302, 303): it may hold the token as well;
    /// - there, a redirect within that host is not followed, since reqwest would take the token up
    ///   again;
    /// - a redirect to another scheme on the same host and port is not followed.
    ///
    /// What is not followed is the answer, with its status 3xx and its `Location`.
    ///
    /// # Proxies
    ///
    /// If one of the origins is plain `http`, the builder's proxies and the system's are not used at
    /// all: a proxy would be sent the token in the clear, and its loopback interface is not ours.
    ///
    /// # Errors
    ///
    /// Those of [`reqwest::ClientBuilder::build`].
    pub fn client(&self, builder: ClientBuilder) -> ::reqwest::Result<ClientWithMiddleware> {
        let builder = if self.is_for_https_only() { builder } else { builder.no_proxy() };
        let client = builder.redirect(self.redirects()).build()?;
        let send = self.clone();
        let middleware = middleware(move |request, extensions, next| {
            let send = send.clone();
            Box::pin(async move { send.handle(request, extensions, next).await })
        });
        Ok(reqwest_middleware::ClientBuilder::new(client).with(middleware).build())
    }

    fn redirects(&self) -> Policy {
        let send = self.clone();
        let limit = Policy::default();
        Policy::custom(move |attempt| {
            if send.may_follow(attempt.previous(), attempt.status(), attempt.url()) {
                limit.redirect(attempt)
            } else {
                attempt.stop()
            }
        })
    }

    /// Whether the token cannot reach an origin by this redirect that it is not for.
    ///
    /// reqwest keeps the header of the *first* request, and takes it along on each hop on which
    /// neither host nor port changes (nor, in newer versions, the scheme), also if an earlier hop
    /// left it behind.
    fn may_follow(&self, previous: &[Url], status: StatusCode, next: &Url) -> bool {
        let is_for = |url: &Url| Origin::of_url(url).is_some_and(|origin| self.is_for(&origin));
        if !previous.first().is_some_and(is_for) || is_for(next) {
            return true;
        }
        if matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
            return false;
        }
        match (previous.last().and_then(Origin::of_url), Origin::of_url(next)) {
            (Some(last), Some(next)) => !last.is_beside(&next),
            _ => false,
        }
    }

    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let origin = Origin::of_url(request.url());
        let Some(used) = self.attach(origin.as_ref(), request.headers_mut()).await else {
            return next.run(request, extensions).await;
        };
        let (again, url) = (request.try_clone(), request.url().clone());
        let response = next.clone().run(request, extensions).await?;
        if Origin::of_url(response.url()) != origin {
            // Where a redirect led, nobody was sent the token.
            return Ok(response);
        }
        let newer = self.renew(response.status(), &used).await;
        let (Some(newer), Some(mut again)) = (newer, again) else { return Ok(response) };
        // What came before the redirect was done: only what changes nothing may be done again.
        if *response.url() != url && !again.method().is_safe() {
            return Ok(response);
        }
        // Its connection may be what the second request waits for.
        drop(response);
        again.headers_mut().insert(AUTHORIZATION, newer.authorization());
        next.run(again, extensions).await
    }
}

type Handled<'a> = Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'a>>;

/// Tells the compiler that a closure takes references of any lifetime.
fn middleware<F>(handle: F) -> F
where
    F: for<'a> Fn(Request, &'a mut Extensions, Next<'a>) -> Handled<'a>,
{
    handle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::{ClientToken, TokenSource},
        prefix,
    };

    async fn send(origins: &[&str]) -> SendToken {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let text = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
        std::fs::write(&path, text).unwrap();
        let token = ClientToken::load(prefix!("acme_live"), TokenSource::file(path)).await.unwrap();
        SendToken::new(token, origins).unwrap()
    }

    #[tokio::test]
    async fn no_redirect_takes_the_token_elsewhere() {
        let send = send(&["https://a.example", "https://b.example:8443"]).await;
        for (may, chain) in [
            // Within an origin, and from one of ours to another.
            (true, &["https://a.example/1", "https://a.example/2"][..]),
            (true, &["https://a.example/1", "https://a.example:443/2"]),
            (true, &["https://a.example/1", "https://b.example:8443/2"]),
            (true, &["https://a.example/", "https://b.example:8443/", "https://b.example:8443/2"]),
            // Elsewhere without the token, and not on from there.
            (true, &["https://a.example/", "https://c.example/"]),
            (true, &["https://a.example/", "http://c.example/"]),
            (false, &["https://a.example/", "https://c.example/", "https://c.example/2"]),
            (false, &["https://a.example/", "https://c.example/", "https://C.example:443/2"]),
            (true, &["https://a.example/", "https://c.example/", "https://d.example/"]),
            (true, &["https://a.example/", "https://c.example/", "https://a.example/2"]),
            (
                false,
                &[
                    "https://a.example/",
                    "https://a.example/2",
                    "https://c.example/",
                    "https://d.example/",
                    "https://d.example/2",
                ],
            ),
            // Another port is another place; another scheme on the same port may not be.
            (true, &["https://a.example/", "https://a.example:8443/"]),
            (true, &["https://a.example/", "http://a.example/"]),
            (false, &["https://a.example/", "http://a.example:443/"]),
            (false, &["https://b.example:8443/", "http://b.example:8443/"]),
            (false, &["https://a.example/", "ftp://a.example/"]),
            // What began elsewhere never had it.
            (true, &["https://c.example/", "https://c.example/2"]),
            (true, &["http://c.example/", "https://a.example/"]),
            (true, &["https://c.example/", "https://a.example/", "http://a.example:443/"]),
        ] {
            let mut urls: Vec<Url> = chain.iter().map(|url| url.parse().unwrap()).collect();
            let next = urls.pop().unwrap();
            assert_eq!(send.may_follow(&urls, StatusCode::FOUND, &next), may, "{chain:?}");
        }
    }

    #[tokio::test]
    async fn debug_of_the_client_shows_no_token() {
        let send = send(&["https://a.example"]).await;
        let client = send.client(::reqwest::Client::builder()).unwrap();
        let printed = format!("{send:?} {client:?}");
        assert!(printed.contains("ClientToken(Ky9Pf34qY6Nb3wWD)"), "{printed}");
        assert!(!printed.contains("25RQ4F"), "{printed}");
    }
}
