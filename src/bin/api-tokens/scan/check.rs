use std::collections::{HashMap, HashSet};

use api_tokens::{
    Actor, DynTokenStore, Issuer, Keyring, Prefix, RevocationReason, Status, Verifier, VerifyError,
    leak::{Fingerprint, Found},
};
use clap::{Arg, ArgGroup, Args};

use super::{api::Api, finding::Finding};
use crate::{
    actor::ActorArguments, confirm::Confirmation, failure::Failure, keyring::KeyArguments,
    output::tell, store::StoreArguments,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "Whether tokens are live")]
#[command(group = ArgGroup::new("asking").multiple(true))]
pub(super) struct CheckArguments {
    /// Ask which of the tokens that were found are live: the store with --store and its key, or the
    /// management API with --api
    #[arg(long, group = "asking")]
    check: bool,
    /// Revoke those that prove real, for good; asks before. Includes --check
    ///
    /// A token is real if the store knows the whole of it: an id alone, which anybody can write into
    /// a file, revokes nothing. Those that have come to their end stay as they are.
    #[arg(long, group = "asking")]
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
    /// Nobody could be asked, or whoever was asked could not tell.
    Unasked,
}

impl Verdict {
    /// As it stands in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Real(status) => status.as_str(),
            Self::RevokedNow => Status::Revoked.as_str(),
            Self::OwnerWithoutAccess => "owner_without_access",
            Self::Unknown => "unknown",
            Self::Unasked => "not_asked",
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
            Self::Unasked => "not known: could not be asked",
        }
    }

    /// Whether it is known that the token will never be accepted again.
    pub(super) fn is_dead(self) -> bool {
        matches!(
            self,
            Self::Real(Status::Expired | Status::RotatedOut | Status::Revoked) | Self::RevokedNow
        )
    }

    /// Whether it was not dead when this was asked.
    pub(super) fn is_or_was_live(self) -> bool {
        self.is_to_be_revoked() || self == Self::RevokedNow
    }

    /// Whether it is accepted, or may be some day.
    fn is_to_be_revoked(self) -> bool {
        matches!(self, Self::Real(_) | Self::OwnerWithoutAccess) && !self.is_dead()
    }
}

/// Of the options that other commands have, too: what does nothing here without another one.
pub(super) fn require_asking(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "yes" | "actor" => option.requires("revoke"),
        "api" | "store" | "table_prefix" | "schema" | "root_certificate" | "key_file"
        | "upcoming_key_file" | "earlier_key_file" | "unkeyed" | "earlier_unkeyed" => {
            option.requires("asking")
        }
        _ => option,
    }
}

impl CheckArguments {
    /// Whether the tokens themselves are needed.
    pub(super) fn asks(&self) -> bool {
        self.check || self.revoke
    }

    /// Whom to ask. Made before anything is looked at, since that may take long.
    pub(super) async fn service(&self) -> Result<Option<Service>, Failure> {
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
        self.store.check()?;
        let keyring = self.keys.read()?.keyring;
        let actor = if self.revoke { Some(self.actor.actor()?) } else { None };
        Ok(Some(match self.store.open().await {
            Ok(store) => {
                let verifiers = HashMap::new();
                Service::Store(Box::new(OpenStore { store, keyring, actor, verifiers }))
            }
            Err(failure) => {
                failure.print();
                Service::Closed(failure)
            }
        }))
    }

    /// Notes what is said of each token, and revokes those that it is asked to. Returns what went
    /// wrong, each once.
    pub(super) async fn ask(&self, mut service: Service, findings: &mut [Finding]) -> Vec<Failure> {
        let mut seen = HashSet::new();
        // Those of the baseline last: they come from earlier scans, and are many.
        let (known, new): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().partition(|finding| finding.is_known);
        let tokens: Vec<&Found> = new
            .into_iter()
            .chain(known)
            .map(|finding| &finding.found)
            .filter(|found| seen.insert(found.fingerprint))
            .collect();
        let mut verdicts: HashMap<Fingerprint, Verdict> = HashMap::new();
        let mut failures = Vec::new();
        let most = service.most_tokens();
        let mut is_out = false;
        for (asked, found) in tokens.iter().enumerate() {
            let verdict = if is_out || asked >= most {
                Verdict::Unasked
            } else {
                service.verdict(found).await.unwrap_or_else(|failure| {
                    is_out = failure.is_outage();
                    failures.push(failure);
                    Verdict::Unasked
                })
            };
            verdicts.insert(found.fingerprint, verdict);
        }
        if is_out {
            let unasked = verdicts.values().filter(|verdict| **verdict == Verdict::Unasked).count();
            failures.push(Failure::new(format!("{unasked} token(s) could not be asked about")));
        } else if let Some(more) = tokens.len().checked_sub(most).filter(|more| *more > 0) {
            failures.push(Failure::new(format!(
                "{more} token(s) were not asked about: one run asks a management API about {most} \
                 at most; a store has no such limit"
            )));
        }
        if self.revoke && !tokens.is_empty() {
            failures.extend(self.revoke_all(&mut service, &tokens, &mut verdicts).await);
        }
        for finding in findings {
            finding.verdict = verdicts.get(&finding.found.fingerprint).copied();
        }
        let mut told = HashSet::new();
        failures.retain(|failure| told.insert(failure.to_string()));
        failures
    }

    async fn revoke_all(
        &self,
        service: &mut Service,
        tokens: &[&Found],
        verdicts: &mut HashMap<Fingerprint, Verdict>,
    ) -> Vec<Failure> {
        let is_due = |found: &&&Found| {
            verdicts.get(&found.fingerprint).is_some_and(|verdict| verdict.is_to_be_revoked())
        };
        let due: Vec<&Found> = tokens.iter().filter(is_due).copied().collect();
        if due.is_empty() {
            let unasked = verdicts.values().filter(|verdict| **verdict == Verdict::Unasked).count();
            if unasked == 0 {
                tell("No token has to be revoked.\n");
            } else if unasked < verdicts.len() {
                tell("No token of those that could be asked about has to be revoked.\n");
            }
            return Vec::new();
        }
        for found in &due {
            let verdict = verdicts.get(&found.fingerprint).map_or("", |verdict| verdict.text());
            tell(&format!("{}  {}, {verdict}\n", found.id, found.prefix));
        }
        let confirmed = self.confirmation.ask(match due.len() {
            1 => "Revoke this token, for good?",
            _ => "Revoke these tokens, for good?",
        });
        if let Err(failure) = confirmed {
            return vec![failure];
        }
        let mut failures = Vec::new();
        let mut left = Vec::new();
        let mut is_out = false;
        for found in due {
            if is_out {
                left.push(found.id.to_string());
                continue;
            }
            match service.revoke(found).await {
                Ok(()) => drop(verdicts.insert(found.fingerprint, Verdict::RevokedNow)),
                Err(failure) => {
                    is_out = failure.is_outage();
                    failures.push(failure);
                    left.push(found.id.to_string());
                }
            }
        }
        if !left.is_empty() {
            failures.push(Failure::new(format!("not revoked: {}", left.join(", "))));
        }
        failures
    }
}

/// Whoever knows the tokens.
pub(super) enum Service {
    Api(Api),
    Store(Box<OpenStore>),
    /// A store that could not be opened, as was told.
    Closed(Failure),
}

pub(super) struct OpenStore {
    store: DynTokenStore,
    keyring: Keyring,
    /// Who revokes, if somebody does.
    actor: Option<Actor>,
    verifiers: HashMap<Prefix, Verifier<DynTokenStore>>,
}

impl Service {
    async fn verdict(&mut self, found: &Found) -> Result<Verdict, Failure> {
        let Some(token) = found.token() else { return Ok(Verdict::Unasked) };
        match self {
            Self::Api(api) => api.verdict(token),
            Self::Store(store) => {
                let OpenStore { store, keyring, verifiers, .. } = &mut **store;
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
            Self::Closed(_) => Ok(Verdict::Unasked),
        }
    }

    /// Of a token that has proved real.
    async fn revoke(&mut self, found: &Found) -> Result<(), Failure> {
        match self {
            Self::Api(api) => {
                if let Some(token) = found.token() {
                    return api.revoke(token);
                }
            }
            Self::Store(store) => {
                if let (Some(verifier), Some(actor)) =
                    (store.verifiers.get(&found.prefix), &store.actor)
                {
                    let reason: RevocationReason = "leaked: a scan found it".parse()?;
                    Issuer::new(verifier).revoke(found.id, actor, Some(reason)).await?;
                    return Ok(());
                }
            }
            Self::Closed(_) => {}
        }
        // None that nobody was asked about gets here.
        Err(Failure::new(format!("nobody knows the token {}", found.id)))
    }

    /// How many tokens it is asked about: an API takes each for a use of the token, or for an attempt
    /// to guess one.
    fn most_tokens(&self) -> usize {
        match self {
            Self::Api(_) => 1_000,
            Self::Store(_) | Self::Closed(_) => usize::MAX,
        }
    }

    /// Why nobody can be asked.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Closed(failure) => Some(failure),
            Self::Api(_) | Self::Store(_) => None,
        }
    }
}
