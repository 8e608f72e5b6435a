use std::collections::HashMap;

use api_tokens::{
    Actor, DynTokenStore, Issuer, Keyring, Prefix, RevocationReason, Status, Verifier, VerifyError,
    leak::{Fingerprint, Found},
};
use clap::Args;

use super::{api::Api, finding::Collected};
use crate::{
    actor::ActorArguments, confirm::Confirmation, failure::Failure, keyring::KeyArguments,
    output::tell, store::StoreArguments,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Whether tokens are live")]
pub(super) struct CheckArguments {
    /// Ask which of the tokens that were found are live: the store with --store and its key, or the
    /// management API with --api
    #[arg(long)]
    check: bool,
    /// Revoke those that prove real, for good; asks before. Includes --check
    ///
    /// A token is real if the store knows the whole of it: an id alone, which anybody can write into
    /// a file, revokes nothing. Those that have come to their end stay as they are.
    #[arg(long)]
    revoke: bool,
    /// The address of the management API, such as https://acme.example/settings/api [env:
    /// API_TOKENS_API]
    ///
    /// It is sent the tokens that were found. It counts that as a use of a token that is live; a
    /// store does not.
    #[arg(long, value_name = "URL", conflicts_with = "store")]
    api: Option<String>,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    actor: ActorArguments,
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    keys: KeyArguments,
}

/// Whoever knows the tokens.
pub(super) enum Service {
    Api(Api),
    Store(Box<Keyring>),
}

/// What is said of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is real, and this is what it is.
    Real(Status),
    /// It is real, but its owner may do nothing any more.
    OwnerWithoutAccess,
    /// No such token was issued there, or it has another secret.
    Unknown,
    /// It was revoked just now.
    RevokedNow,
}

impl Verdict {
    /// As it stands in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Real(status) => status.as_str(),
            Self::RevokedNow => Status::Revoked.as_str(),
            Self::OwnerWithoutAccess => "owner_without_access",
            Self::Unknown => "unknown",
        }
    }

    /// For people.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Real(Status::Active) => "live",
            Self::Real(Status::NotYetValid) => "not yet valid",
            Self::Real(Status::Disabled) => "disabled",
            Self::Real(Status::Expired) => "expired",
            Self::Real(Status::RotatedOut) => "replaced",
            Self::Real(Status::Revoked) => "revoked",
            Self::Real(_) => "not live",
            Self::RevokedNow => "revoked now",
            Self::OwnerWithoutAccess => "its owner has no access any more",
            Self::Unknown => "not known there",
        }
    }

    /// Whether it is known that the token will never be accepted again.
    pub(super) fn is_dead(self) -> bool {
        matches!(
            self,
            Self::Real(Status::Expired | Status::RotatedOut | Status::Revoked) | Self::RevokedNow
        )
    }

    /// Whether it is accepted, or may be some day.
    fn is_to_be_revoked(self) -> bool {
        matches!(self, Self::Real(_) | Self::OwnerWithoutAccess) && !self.is_dead()
    }
}

impl CheckArguments {
    /// Whether the tokens themselves are needed.
    pub(super) fn asks(&self) -> bool {
        self.check || self.revoke
    }

    /// Whom to ask. Made before anything is looked at, since that may take long.
    pub(super) fn service(&self) -> Result<Option<Service>, Failure> {
        const VARIABLE: &str = "API_TOKENS_API";
        if !self.asks() {
            return Ok(None);
        }
        let variable =
            || std::env::var(VARIABLE).ok().filter(|url| !url.is_empty() && !self.store.is_given());
        if let Some(url) = self.api.clone().or_else(variable) {
            return Ok(Some(Service::Api(Api::new(&url, self.store.root_certificate())?)));
        }
        if !self.store.is_given() {
            return Err(Failure::new(
                "whom to ask about the tokens? Add --store with --key-file, or --api",
            ));
        }
        Ok(Some(Service::Store(Box::new(self.keys.read()?.keyring))))
    }

    /// Notes what is said of each token, and revokes those that it is asked to.
    pub(super) async fn ask(
        &self,
        service: &Service,
        collected: &mut Collected,
    ) -> Result<(), Failure> {
        let Collected { findings, tokens, .. } = collected;
        let reported: Vec<&Found> = findings
            .iter()
            .filter_map(|finding| tokens.get_key_value(&finding.fingerprint))
            .collect::<HashMap<_, _>>()
            .into_values()
            .collect();
        if reported.is_empty() {
            return Ok(());
        }
        let mut asked = Asked::new(service, &self.store).await?;
        let mut verdicts: HashMap<Fingerprint, Verdict> = HashMap::new();
        let mut problem = None;
        for found in &reported {
            match asked.verdict(found).await {
                Ok(verdict) => drop(verdicts.insert(found.fingerprint, verdict)),
                Err(failure) => problem = problem.or(Some(failure)),
            }
        }
        let revoked = if self.revoke {
            self.revoke_all(&mut asked, &reported, &mut verdicts).await
        } else {
            Ok(())
        };
        for finding in findings {
            finding.verdict = verdicts.get(&finding.fingerprint).copied();
        }
        problem.map_or(revoked, Err)
    }

    async fn revoke_all(
        &self,
        asked: &mut Asked<'_>,
        reported: &[&Found],
        verdicts: &mut HashMap<Fingerprint, Verdict>,
    ) -> Result<(), Failure> {
        let is_due = |found: &&&Found| {
            verdicts.get(&found.fingerprint).is_some_and(|verdict| verdict.is_to_be_revoked())
        };
        let due: Vec<&Found> = reported.iter().filter(is_due).copied().collect();
        if due.is_empty() {
            tell("No token has to be revoked.\n");
            return Ok(());
        }
        for found in &due {
            let verdict = verdicts.get(&found.fingerprint).map_or("", |verdict| verdict.text());
            tell(&format!("{}  {}, {verdict}\n", found.id, found.prefix));
        }
        self.confirmation.ask(match due.len() {
            1 => "Revoke this token, for good?",
            _ => "Revoke these tokens, for good?",
        })?;
        let actor = self.actor.actor()?;
        for found in due {
            asked.revoke(found, &actor).await?;
            verdicts.insert(found.fingerprint, Verdict::RevokedNow);
        }
        Ok(())
    }
}

/// A service, ready to be asked.
enum Asked<'a> {
    Api(&'a Api),
    Store { store: DynTokenStore, keyring: &'a Keyring, verifiers: Verifiers },
}

type Verifiers = HashMap<Prefix, Verifier<DynTokenStore>>;

impl<'a> Asked<'a> {
    async fn new(service: &'a Service, store: &StoreArguments) -> Result<Self, Failure> {
        Ok(match service {
            Service::Api(api) => Self::Api(api),
            Service::Store(keyring) => {
                Self::Store { store: store.open().await?, keyring, verifiers: HashMap::new() }
            }
        })
    }

    async fn verdict(&mut self, found: &Found) -> Result<Verdict, Failure> {
        let Some(token) = found.token() else { return Ok(Verdict::Unknown) };
        match self {
            Self::Api(api) => api.verdict(token),
            Self::Store { store, keyring, verifiers } => {
                let verifier = verifiers
                    .entry(found.prefix)
                    .or_insert_with(|| Verifier::new(found.prefix, keyring, store.clone()));
                // Without a background, this is not a use of the token.
                match verifier.verify(token.expose_secret().as_bytes()).await {
                    Ok(_) => Ok(Verdict::Real(Status::Active)),
                    Err(VerifyError::NotActive { status, .. }) => Ok(Verdict::Real(status)),
                    Err(VerifyError::OwnerWithoutAccess { .. }) => Ok(Verdict::OwnerWithoutAccess),
                    Err(VerifyError::Outage(error)) => Err(error.into()),
                    Err(error @ VerifyError::UnknownKey { .. }) => {
                        Err(Failure::new(format!("{error}: add its file with --earlier-key-file")))
                    }
                    Err(_) => Ok(Verdict::Unknown),
                }
            }
        }
    }

    /// Of a token that has proved real.
    async fn revoke(&mut self, found: &Found, actor: &Actor) -> Result<(), Failure> {
        match self {
            Self::Api(api) => match found.token() {
                Some(token) => api.revoke(token),
                None => Ok(()),
            },
            Self::Store { verifiers, .. } => {
                let Some(verifier) = verifiers.get(&found.prefix) else { return Ok(()) };
                let reason: RevocationReason = "leaked: a scan found it".parse()?;
                Issuer::new(verifier).revoke(found.id, actor, Some(reason)).await?;
                Ok(())
            }
        }
    }
}
