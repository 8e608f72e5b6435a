use core::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::watched::Watch;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// The body of a response that went through [`BearerLayer`](crate::BearerLayer): the inner
    /// service's, or that of a refusal.
    ///
    /// Its errors are the inner body's, and [`VerifyError`](crate::VerifyError) if
    /// [`BearerLayer::end_streams`](crate::BearerLayer::end_streams) cut it off.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Kind<B> {
        PassedOn { #[pin] body: B },
        Watched { #[pin] body: B, watch: Watch },
        // `None` once it is sent, or when there is none, or the token has come to its end.
        Own { bytes: Option<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn passed_on(body: B) -> Self {
        Self { kind: Kind::PassedOn { body } }
    }

    /// Ends with the token, if not before.
    pub(super) fn watched(body: B, watch: Watch) -> Self {
        Self { kind: Kind::Watched { body, watch } }
    }

    pub(crate) fn own(bytes: Bytes) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self { kind: Kind::Own { bytes } }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut kind = self.project().kind;
        let body = match kind.as_mut().project() {
            Projected::PassedOn { body } => body,
            // Before the body, which may always be ready.
            Projected::Watched { body, watch } => match watch.poll_end(context) {
                Poll::Ready(end) => {
                    // What makes the inner body stops now.
                    kind.set(Kind::Own { bytes: None });
                    return Poll::Ready(end);
                }
                Poll::Pending => body,
            },
            Projected::Own { bytes } => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
        };
        body.poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::PassedOn { body } | Kind::Watched { body, .. } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::PassedOn { body } | Kind::Watched { body, .. } => body.size_hint(),
            Kind::Own { bytes } => {
                let len = bytes.as_ref().map_or(0, Bytes::len);
                u64::try_from(len).map_or_else(|_| SizeHint::default(), SizeHint::with_exact)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some servers want it of bodies, and an inner one may well have it.
    #[test]
    fn a_body_is_as_shareable_as_the_inner_one() {
        fn check<T: Send + Sync>() {}

        check::<ResponseBody<http_body_util::Full<Bytes>>>();
    }
}
