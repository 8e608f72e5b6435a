//! The event of a report: how it is stored, shown and logged.

use std::sync::{Arc, Mutex};

use api_tokens::{Event, EventKind, EventSink, TracingSink};
use serde_json::json;
use tracing::{Level, Metadata, Subscriber, span};

use crate::support::{leak_reported, start, unissued};

#[test]
fn the_stored_form_stays() {
    for (url, form) in [
        (None, json!({ "type": "leak_reported", "source": "github: commit", "url": null })),
        (
            Some("https://a.example/?a=\"é\""),
            json!({
                "type": "leak_reported",
                "source": "github: commit",
                "url": "https://a.example/?a=\"é\"",
            }),
        ),
    ] {
        let kind = leak_reported("github: commit", url);
        assert_eq!(serde_json::to_value(&kind).unwrap(), form);
        assert_eq!(serde_json::from_value::<EventKind>(form).unwrap(), kind);
        assert_eq!(kind.as_str(), "leak_reported");
    }
    // Nothing gets in by way of the store that the routes would not have let in.
    for form in [
        json!({ "type": "leak_reported", "source": "", "url": null }),
        json!({ "type": "leak_reported", "source": "a", "url": "a".repeat(1001) }),
        json!({ "type": "leak_reported", "source": "a", "url": "a\nb" }),
    ] {
        assert!(serde_json::from_value::<EventKind>(form).is_err());
    }
}

/// Keeps the levels of what is logged.
#[derive(Clone, Default)]
struct Levels(Arc<Mutex<Vec<Level>>>);

impl Subscriber for Levels {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert_eq!(event.metadata().target(), "api_tokens");
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn it_is_logged_as_a_warning() {
    let levels = Levels::default();
    tracing::subscriber::with_default(levels.clone(), || {
        for kind in [leak_reported("found", None), EventKind::Disabled] {
            let token = Some(unissued().id());
            TracingSink.record(&Event { at: start(), token, project: None, by: None, kind });
        }
    });
    assert_eq!(*levels.0.lock().unwrap(), [Level::WARN, Level::INFO]);
}
