//! Clients of reqwest that send the token. The middleware is made here only, together with the
//! policy for redirects that it needs.

use core::pin::Pin;

use ::reqwest::{ClientBuilder, Request, Response, Url, header::AUTHORIZATION, redirect::Policy};
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
    /// This crate switches none on, so for `https` switch on one of its TLS features yourself. For
    /// `json`, `query` and the like, name reqwest-middleware 0.5 among your dependencies with the
    /// features of these names: the client is that crate's type.
    ///
    /// # Redirects
    ///
    /// reqwest follows redirects beneath any middleware, and decides itself what goes along. Therefore
    /// this replaces the builder's policy. From the first request to one of the origins on, up to ten
    /// redirects to these origins are followed, and none to others: then the answer is the redirect,
    /// with its status 3xx and its `Location`. So neither the token nor a body reaches anybody else.
    /// From one origin to another one the token does not go along, though it may be for both: such an
    /// answer can be a 401, so ask there directly.
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
            if send.may_follow(attempt.previous(), attempt.url()) {
                limit.redirect(attempt)
            } else {
                attempt.stop()
            }
        })
    }

    /// Whether nothing can reach an origin by this redirect that is not for it.
    ///
    /// reqwest keeps the header of the *first* request, and takes it along on each hop on which
    /// neither host nor port changes (nor, in newer versions, the scheme), also if an earlier hop
    /// left it behind. With 307 and 308 it takes the body along, anywhere.
    fn may_follow(&self, previous: &[Url], next: &Url) -> bool {
        let is_for = |url: &Url| Origin::of_url(url).is_some_and(|origin| self.is_for(&origin));
        is_for(next) || !previous.first().is_some_and(is_for)
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
            (true, &["https://a.example/", "https://b.example:8443/", "https://a.example/2"]),
            // Nowhere else, whatever changes.
            (false, &["https://a.example/", "https://c.example/"]),
            (false, &["https://a.example/", "https://a.example/2", "https://c.example/"]),
            (false, &["https://a.example/", "http://a.example/"]),
            (false, &["https://a.example/", "https://a.example:8443/"]),
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
            assert_eq!(send.may_follow(&urls, &next), may, "{chain:?}");
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
