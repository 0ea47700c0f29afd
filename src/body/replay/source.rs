//! The wrapped body, and how reading it ended.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::error::{Kind, ReplayError};
use crate::error::BoxError;

pub(super) type PolledFrame = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

pub(super) enum Source<B> {
    Open(Pin<Box<B>>),
    Ended,
    Failed,
}

impl<B> Source<B> {
    pub(super) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed)
    }
}

impl<B: Body> Source<B> {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame
    where
        B::Error: Into<BoxError>,
    {
        let body = match self {
            Self::Open(body) => body,
            Self::Ended => return Poll::Ready(None),
            Self::Failed => {
                return Poll::Ready(Some(Err(ReplayError::from(Kind::Gone).into())));
            }
        };
        Poll::Ready(match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => Some(Ok(
                frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
            )),
            Some(Err(error)) => {
                *self = Self::Failed;
                Some(Err(error.into()))
            }
            None => {
                *self = Self::Ended;
                None
            }
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Open(body) => body.is_end_stream(),
            Self::Ended => true,
            Self::Failed => false,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Open(body) => body.size_hint(),
            Self::Ended => SizeHint::with_exact(0),
            Self::Failed => SizeHint::default(),
        }
    }
}
