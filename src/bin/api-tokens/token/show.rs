use api_tokens::{
    Clock, DoneBy, EditedField, EventKind, NumberedEvent, SystemClock, TokenId, TokenRecord, Usage,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    IdParser, keyless_issuer, read, reader,
    view::{TokenView, time},
};
use crate::{
    failure::Failure,
    output::{json_line, print},
    store::StoreArguments,
};

/// How many events are shown.
const EVENTS: usize = 50;

/// Show what is known of a token: its record, its last use, and its last 50 events
///
/// Needs no key. The token itself cannot be shown: it is not kept.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The 16 characters after the token's prefix
    #[arg(value_parser = IdParser)]
    id: TokenId,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArguments,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    token: TokenView<'a>,
    /// The newest first.
    events: Vec<&'a api_tokens::Event>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let issuer = keyless_issuer(arguments.store.open().await?)?;
    let record = read(&issuer, arguments.id).await?;
    let usage = issuer.usage(core::slice::from_ref(&record)).await?.pop().flatten();
    let events = issuer.events(record.id, &reader()?, None, EVENTS).await?;
    let now = SystemClock.now();
    if arguments.json {
        let token = TokenView::new(&record, usage.as_ref(), now);
        let events = events.iter().map(|numbered| &numbered.event).collect();
        return print(&json_line(&Shown { token, events })?);
    }
    let mut text = describe(&record, usage.as_ref(), now);
    for event in &events {
        text.push_str(&line(event));
    }
    print(&text)
}

fn describe(record: &TokenRecord, usage: Option<&Usage>, now: Timestamp) -> String {
    let never = || "never".to_owned();
    let mut lines = vec![
        ("id", record.id.to_string()),
        ("prefix", record.prefix.to_string()),
        ("project", record.project.to_string()),
        ("name", record.name.to_string()),
        ("owner", record.owner.to_string()),
        ("status", record.status(now).as_str().replace('_', " ")),
        ("scopes", record.scopes.to_string()),
        ("created", format!("{} by {}", time(record.created_at), record.created_by)),
        ("ends", record.ends_at().map_or_else(never, time)),
        ("last used", usage.map_or_else(never, used)),
        ("key", record.digest.key_id().map_or_else(|| "none".to_owned(), |key| key.to_string())),
    ];
    if let Some(start) = record.not_before {
        lines.push(("not before", time(start)));
    }
    for (key, value) in record.metadata.iter() {
        lines.push(("metadata", format!("{key}={value}")));
    }
    if let Some(rotation) = record.rotation {
        if let Some(predecessor) = rotation.predecessor {
            lines.push(("replaces", predecessor.to_string()));
        }
        if let Some(successor) = rotation.successor {
            let end = time(successor.overlap_ends_at);
            lines.push(("replaced by", format!("{}, both accepted until {end}", successor.id)));
        }
    }
    let mut text = String::new();
    for (label, value) in lines {
        text.push_str(format!("{label:12}{value}").trim_end());
        text.push('\n');
    }
    text.push_str("\nEvents, the newest first:\n");
    text
}

fn used(usage: &Usage) -> String {
    let mut text = time(usage.last_used_at);
    if let Some(address) = usage.client_address {
        text = text + " from " + &address.to_string();
    }
    if let Some(agent) = &usage.user_agent {
        text = text + " by " + agent;
    }
    text
}

fn line(numbered: &NumberedEvent) -> String {
    let event = &numbered.event;
    let mut text = format!("  {}  {}", time(event.at), event.kind.as_str().replace('_', " "));
    match &event.kind {
        EventKind::Rotated { successor, .. } | EventKind::RotationCancelled { successor } => {
            text = text + ", successor " + successor.as_str();
        }
        EventKind::Revoked { reason: Some(reason) } => text = text + ": " + reason.as_str(),
        EventKind::Edited { fields } => {
            let names: Vec<&str> = fields.iter().copied().map(name).collect();
            text = text + ": " + &names.join(", ");
        }
        _ => {}
    }
    if let Some(by) = &event.by {
        text = text + ", by " + &who(by);
    }
    text + "\n"
}

fn name(field: EditedField) -> &'static str {
    match field {
        EditedField::Name => "name",
        EditedField::Scopes => "scopes",
        EditedField::Metadata => "metadata",
        EditedField::ExpiresAt => "end",
    }
}

fn who(by: &DoneBy) -> String {
    match by.token {
        Some(token) => format!("{} through token {token}", by.principal),
        None => by.principal.to_string(),
    }
}
