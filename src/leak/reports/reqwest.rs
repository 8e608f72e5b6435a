//! Keys over HTTP, by a client of reqwest.

use ::reqwest::{Client, header::ACCEPT};

use super::{KeySource, KeySourceError, keys::MAX_DOCUMENT};

/// Fetches keys with a client of reqwest that the host brings, with its own TLS, proxy and
/// redirects. This crate switches none of reqwest's features on.
///
/// GitHub limits how often somebody unknown may ask; a client that sends a token of GitHub's
/// in its default headers may ask more often. It wants a `User-Agent`, too.
///
/// ```
/// use api_tokens::leak::reports::{HttpKeys, SignedReports};
///
/// let client = reqwest::Client::builder().user_agent("acme").build()?;
/// let github = SignedReports::github(HttpKeys::new(client, SignedReports::GITHUB_KEYS));
/// # Ok::<_, reqwest::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HttpKeys {
    client: Client,
    url: String,
}

impl HttpKeys {
    /// The keys at `url`, which should be `https`: whoever can change what comes from there can
    /// sign reports.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

impl KeySource for HttpKeys {
    async fn fetch(&self) -> Result<Vec<u8>, KeySourceError> {
        let request = self.client.get(&self.url).header(ACCEPT, "application/json");
        let mut response = request.send().await?.error_for_status()?;
        let mut document = Vec::new();
        // One that is too large is left there: it is refused by whoever reads it.
        while document.len() <= MAX_DOCUMENT
            && let Some(chunk) = response.chunk().await?
        {
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}
