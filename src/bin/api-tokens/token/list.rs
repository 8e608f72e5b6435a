use api_tokens::{
    Clock, Page, Principal, Project, Selection, Status, SystemClock, TokenRecord, Usage,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::{SignedDuration, Timestamp};

use super::{
    keyless_issuer, reader,
    view::{TokenView, time},
};
use crate::{
    duration,
    failure::{Context, Failure},
    output::{json_line, print, tell},
    store::StoreArguments,
    table::table,
};

/// List tokens, the newest first
///
/// Without filters, all of them: also those that have ended. Needs no key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  api-tokens token list --store sqlite:tokens.db --project acme --living
  api-tokens token list --unused-for 90d --living --json | jq -r .id")]
pub(super) struct Arguments {
    /// Only those of this project
    #[arg(long)]
    project: Option<Project>,
    /// Only those that act for this owner
    #[arg(long)]
    owner: Option<Principal>,
    /// Only those that this person or service created
    #[arg(long, value_name = "NAME")]
    created_by: Option<Principal>,
    /// Only those whose name is like this; * stands for any text
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Only those that are this now
    #[arg(long, value_parser = statuses())]
    status: Option<Status>,
    /// Only those that have not come to their end
    #[arg(long)]
    living: bool,
    /// Only those that end within this time, such as 30d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    ends_within: Option<SignedDuration>,
    /// Only those that were not used for so long, such as 90d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    unused_for: Option<SignedDuration>,
    /// One JSON object a line, with everything that is known of the token but its digest
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArguments,
}

const STATUSES: [Status; 6] = [
    Status::Active,
    Status::NotYetValid,
    Status::Disabled,
    Status::Expired,
    Status::RotatedOut,
    Status::Revoked,
];

fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(STATUSES.map(Status::as_str)).try_map(|text| {
        let known = STATUSES.into_iter().find(|status| status.as_str() == text);
        known.ok_or("unknown")
    })
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let reader = reader()?;
    let issuer = keyless_issuer(arguments.store.open().await?)?;
    let now = SystemClock.now();
    let ago = |time| now.checked_sub(time).context("--unused-for");
    let ahead = |time| now.checked_add(time).context("--ends-within");
    let selection = Selection {
        project: arguments.project,
        owner: arguments.owner,
        created_by: arguments.created_by,
        name_pattern: arguments.name,
        status: arguments.status,
        living: arguments.living,
        ends_before: arguments.ends_within.map(ahead).transpose()?,
        unused_since: arguments.unused_for.map(ago).transpose()?,
        ..Selection::default()
    };
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    let mut after = None;
    loop {
        let page = issuer.list(&selection, &reader, after, Page::MAX_LIMIT).await?;
        let usages = issuer.usage(&page.records).await?;
        let mut text = String::new();
        for (record, usage) in page.records.iter().zip(&usages) {
            if arguments.json {
                text.push_str(&json_line(&TokenView::new(record, usage.as_ref(), now))?);
            } else {
                rows.push(row(record, usage.as_ref(), now));
            }
        }
        print(&text)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if !arguments.json {
        match rows.len() {
            1 => tell("There is no such token.\n"),
            _ => print(&table(&rows))?,
        }
    }
    Ok(())
}

const HEADINGS: [&str; 8] =
    ["ID", "PREFIX", "PROJECT", "OWNER", "STATUS", "ENDS", "LAST USED", "NAME"];

fn row(record: &TokenRecord, usage: Option<&Usage>, now: Timestamp) -> [String; 8] {
    [
        record.id.to_string(),
        record.prefix.to_string(),
        record.project.to_string(),
        record.owner.to_string(),
        record.status(now).as_str().replace('_', " "),
        record.ends_at().map_or_else(|| "never".to_owned(), time),
        usage.map_or_else(|| "never".to_owned(), |usage| time(usage.last_used_at)),
        record.name.to_string(),
    ]
}
