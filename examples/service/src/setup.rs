//! What must exist before the first request: the key, the database, the first token.

use std::path::{Path, PathBuf};

use api_tokens::{
    Actor, Created, DynTokenStore, Issuer, MasterKey, NewToken, Page, Prefix, Selection, prefix,
};
use rand::rngs::SysRng;
use secrecy::ExposeSecret;
use sources::FIRST_PROJECT;

use crate::{
    Failure,
    admin::ADMIN,
    log, private_files,
    sign_in::SignIn,
    store::{self, Location},
};

/// What every token of this service starts with. Never change it: tokens out there would all be
/// refused.
pub(crate) const PREFIX: Prefix = prefix!("demo");

pub(crate) const FIRST_SCOPES: &str = "sources:read flows:run";

/// What is in the data directory, opened.
pub(crate) struct Data {
    pub(crate) files: Files,
    pub(crate) key: MasterKey,
    pub(crate) sign_in: SignIn,
    pub(crate) store: DynTokenStore,
}

impl Data {
    /// Makes what is missing and opens what is there, so an interrupted first start is completed
    /// by the next. What is there is never overwritten.
    pub(crate) async fn open(
        directory: &Path,
        location: Option<&Location>,
    ) -> Result<Self, Failure> {
        let files = Files::in_directory(directory)?;
        private_files::create_directory(&files.directory)?;
        let key = open_key(&files, location.is_none())?;
        let sign_in = SignIn::open(&files.admin_password)?;
        let store = store::open(location, &files.database).await?;
        Ok(Self { files, key, sign_in, store })
    }
}

/// The paths in the data directory.
pub(crate) struct Files {
    pub(crate) directory: PathBuf,
    /// The secret that the database does not have: without it, what the database holds of a
    /// token is worthless. Outside of an example, keep it on another disk or in the environment.
    pub(crate) key: PathBuf,
    pub(crate) admin_password: PathBuf,
    pub(crate) database: PathBuf,
}

impl Files {
    /// Absolute, so that what is printed can be pasted into a terminal that is somewhere else.
    fn in_directory(directory: &Path) -> Result<Self, Failure> {
        let directory = std::path::absolute(directory)
            .map_err(|error| format!("cannot find the data directory: {error}"))?;
        Ok(Self {
            key: directory.join("key"),
            admin_password: directory.join("admin-password"),
            database: directory.join("tokens.db"),
            directory,
        })
    }
}

/// `uses_file` says whether the tokens are in a file beside the key.
fn open_key(files: &Files, uses_file: bool) -> Result<MasterKey, Failure> {
    // The key is made before the database, so a database alone has lost its key. Look at the
    // database first: another process may be making both.
    let has_database = uses_file && files.database.exists();
    if !files.key.exists() {
        if has_database {
            return Err(format!(
                "{} is there, but {} is missing: its tokens cannot be verified without. Put the \
                 key back, or move the database away to start anew",
                files.database.display(),
                files.key.display(),
            )
            .into());
        }
        let key = MasterKey::generate(&mut SysRng)?;
        private_files::create(&files.key, key.expose_base64().expose_secret())?;
    }
    Ok(MasterKey::from_file(&files.key)?)
}

/// A token whose key is gone is answered with 503: the operator made a mistake, not the client.
/// It had better be noticed now.
pub(crate) async fn warn_of_other_keys(
    issuer: &Issuer<DynTokenStore>,
    files: &Files,
) -> Result<(), Failure> {
    let counts = issuer.key_counts().await?;
    let others = counts.iter().filter(|count| !count.is_known);
    let tokens: u64 = others.map(|count| count.tokens).sum();
    if tokens > 0 {
        log::line(format_args!(
            "warning: {} is not the key of {tokens} of the tokens. They are answered with 503 \
             until the former key is put back",
            files.key.display(),
        ));
    }
    Ok(())
}

/// Makes the first token, unless there has ever been one.
pub(crate) async fn first_token(
    issuer: &Issuer<DynTokenStore>,
) -> Result<Option<Created>, Failure> {
    let admin: Actor = ADMIN.parse()?;
    let mut after = None;
    // Another service's, with another prefix, may be in the same database.
    loop {
        let page = issuer.list(&Selection::default(), &admin, after, Page::MAX_LIMIT).await?;
        if page.records.iter().any(|record| record.prefix == PREFIX) {
            return Ok(None);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let owner = admin.principal().clone();
    let new = NewToken::new(FIRST_PROJECT.parse()?, owner, "First token".parse()?)
        .with_scopes(FIRST_SCOPES.parse()?);
    Ok(Some(issuer.create(new, &admin).await?))
}
