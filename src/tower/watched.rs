//! How the body of a response ends when the token of its request does.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;

use super::{Refused, body::BoxError, request::is_type};
use crate::{Realm, Verified, VerifyError};

/// Waits for the end of a token, and knows how the body has to end then.
pub(super) struct Watch {
    /// Never locked: so that a body can be shared between threads, as far as the inner one can.
    ended: Mutex<Pin<Box<dyn Future<Output = VerifyError> + Send>>>,
    ending: Ending,
}

/// No client may take what it has for the whole, but an event stream may end at any time.
#[derive(Debug)]
enum Ending {
    EventStream,
    Grpc { realm: Realm },
    Other,
}

impl Watch {
    /// `grpc_realm` is that of a response to a call of gRPC.
    pub(super) fn new(token: Verified, response: &HeaderMap, grpc_realm: Option<Realm>) -> Self {
        let content_type = response.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let ending = match grpc_realm {
            Some(realm) => Ending::Grpc { realm },
            None if is_type(content_type.unwrap_or_default(), b"text/event-stream") => {
                Ending::EventStream
            }
            None => Ending::Other,
        };
        Self { ended: Mutex::new(Box::pin(ended(token))), ending }
    }

    /// The end of the body, when it has come: a last frame, an error, or nothing.
    pub(super) fn poll_end(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        ended.as_mut().poll(context).map(|reason| match &self.ending {
            Ending::EventStream => None,
            Ending::Grpc { realm } => {
                Some(Ok(Frame::trailers(Refused::new(reason, realm.clone()).grpc_fields())))
            }
            Ending::Other => Some(Err(reason.into())),
        })
    }
}

#[cfg(feature = "cache")]
async fn ended(token: Verified) -> VerifyError {
    let reason = token.revoked().await;
    tracing::debug!(target: "api_tokens", token = %token.id(), %reason, "ends a response");
    reason
}

/// Never called: without a cache there is no way to ask for it.
#[cfg(not(feature = "cache"))]
async fn ended(_: Verified) -> VerifyError {
    core::future::pending().await
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("ending", &self.ending).finish_non_exhaustive()
    }
}
