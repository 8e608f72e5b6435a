//! Lists in another order than stores have them in: all that match are read, and sorted here.

use core::cmp::Reverse;

use serde::Deserialize;
use utoipa::ToSchema;

use super::{input, problem::Problem};
use crate::{Actor, Issuer, Page, Selection, TokenId, TokenRecord, TokenStore};

/// In which order to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// As they were created, the latest first. The only order for any number of tokens.
    #[default]
    Newest,
    /// As they were created, the first one first.
    Oldest,
    /// By name, upper and lower case alike.
    Name,
    /// By their end, the soonest first, and those without one last.
    EndsFirst,
    /// By their last use, the latest first, and those that were never used last.
    LastUsed,
}

impl Order {
    /// As in a URL.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Name => "name",
            Self::EndsFirst => "ends_first",
            Self::LastUsed => "last_used",
        }
    }
}

/// How many tokens are sorted at most: reading them takes about 30 ms from SQLite.
const MAX: usize = 10_000;

/// One page of the tokens that match, in this order, and what to send as `after` for the next one.
pub(super) async fn list<S: TokenStore>(
    issuer: &Issuer<S>,
    selection: &Selection,
    actor: &Actor,
    order: Order,
    after: Option<String>,
    limit: usize,
) -> Result<(Vec<TokenRecord>, Option<String>), Problem> {
    if order == Order::Newest {
        let page = issuer.list(selection, actor, input::parsed("after", after)?, limit).await?;
        return Ok((page.records, page.next.map(|next| next.to_string())));
    }
    let after = input::token_id("after", after)?;
    let (records, next) = sorted(issuer, selection, actor, order, after, limit).await?;
    Ok((records, next.map(|next| next.to_string())))
}

/// After the token with the id `after`; and the id after which the next page begins.
async fn sorted<S: TokenStore>(
    issuer: &Issuer<S>,
    selection: &Selection,
    actor: &Actor,
    order: Order,
    after: Option<TokenId>,
    limit: usize,
) -> Result<(Vec<TokenRecord>, Option<TokenId>), Problem> {
    let all = sort(issuer, read(issuer, selection, actor).await?, order).await?;
    let mut rest = all.into_iter();
    // A place among others, of which some may be gone.
    if let Some(after) = after
        && !rest.by_ref().any(|record| record.id == after)
    {
        return Err(Problem::in_field("after", "is not in the list any more: begin again"));
    }
    let page: Vec<TokenRecord> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|last| last.id);
    Ok((page, next))
}

async fn read<S: TokenStore>(
    issuer: &Issuer<S>,
    selection: &Selection,
    actor: &Actor,
) -> Result<Vec<TokenRecord>, Problem> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = issuer.list(selection, actor, after, Page::MAX_LIMIT).await?;
        all.extend(page.records);
        if all.len() > MAX {
            let problem = format!("is for at most {MAX} tokens, except newest first: choose fewer");
            return Err(Problem::in_field("sort", problem));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

/// Of those that are alike, the newest comes first.
async fn sort<S: TokenStore>(
    issuer: &Issuer<S>,
    mut records: Vec<TokenRecord>,
    order: Order,
) -> Result<Vec<TokenRecord>, Problem> {
    match order {
        Order::Newest => {}
        Order::Oldest => records.reverse(),
        Order::Name => records.sort_by_cached_key(|record| record.name.as_str().to_lowercase()),
        Order::EndsFirst => records.sort_by_key(|record| {
            let ends_at = record.ends_at();
            (ends_at.is_none(), ends_at)
        }),
        Order::LastUsed => {
            let mut with_usage = Vec::with_capacity(records.len());
            for records in records.chunks(Page::MAX_LIMIT) {
                let usages = issuer.usage(records).await?.into_iter();
                with_usage.extend(usages.map(|usage| usage.map(|usage| usage.last_used_at)));
            }
            let mut pairs: Vec<_> = with_usage.into_iter().zip(records).collect();
            pairs.sort_by_key(|(last_used_at, _)| Reverse(*last_used_at));
            records = pairs.into_iter().map(|(_, record)| record).collect();
        }
    }
    Ok(records)
}
