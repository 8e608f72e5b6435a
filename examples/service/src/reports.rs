//! What others report: tokens that they have found where they should not be.

use std::{error::Error, path::PathBuf};

use api_tokens::{
    DynTokenStore, Issuer,
    leak::reports::{
        KeySource, Leak, LeakNotifier, LeakPolicy, NotifyError, Reports, SignedReports,
    },
};
use axum::Router;

use crate::log::line;

/// A found token is revoked. `github_keys` is a file with the keys by which GitHub signs.
pub(crate) fn routes(issuer: &Issuer<DynTokenStore>, github_keys: Option<PathBuf>) -> Router {
    let reports = Reports::new().issuer(issuer, LeakPolicy::Revoke).notifier(Log);
    let app = Router::new().route("/reports/found", reports.found());
    match github_keys {
        Some(file) => {
            let github = SignedReports::github(Keys(file));
            app.route("/reports/github", reports.signed(github))
        }
        None => app,
    }
}

/// Without a client that speaks TLS, which the rest of this service does not need.
struct Keys(PathBuf);

impl KeySource for Keys {
    async fn fetch(&self) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(tokio::fs::read(&self.0).await?)
    }
}

/// In place of the mail that your product sends to the owner.
struct Log;

impl LeakNotifier for Log {
    async fn notify(&self, leak: Leak) -> Result<(), NotifyError> {
        let (token, owner) = (leak.record.id, leak.record.owner);
        line(format_args!("token {token} of {owner} has leaked; it is {}", leak.status));
        Ok(())
    }
}
