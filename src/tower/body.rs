use core::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response that went through [`BearerLayer`](crate::BearerLayer): the inner
    /// service's, or that of a refusal.
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
        // `None` once it is sent, or when there is none.
        Own { bytes: Option<Bytes> },
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn passed_on(body: B) -> Self {
        Self { kind: Kind::PassedOn { body } }
    }

    pub(super) fn own(bytes: Bytes) -> Self {
        let bytes = (!bytes.is_empty()).then_some(bytes);
        Self { kind: Kind::Own { bytes } }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Projected::PassedOn { body } => body.poll_frame(context),
            Projected::Own { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::PassedOn { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::PassedOn { body } => body.size_hint(),
            Kind::Own { bytes } => {
                let len = bytes.as_ref().map_or(0, Bytes::len);
                u64::try_from(len).map_or_else(|_| SizeHint::default(), SizeHint::with_exact)
            }
        }
    }
}
