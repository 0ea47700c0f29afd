//! Bodies that can be cloned, so that a request can be sent again.

use bytes::Bytes;
use http_body_util::{Either, Empty, Full};

/// A request body that says whether it can be cloned.
///
/// A request is sent again after a rejection only if its body was cloned before the first
/// sending. A clone has to be cheap and complete: the same bytes, the same trailers.
///
/// It is implemented for the bodies that hold all their data ([`Full`], [`Empty`], [`String`] and
/// other plain buffers), for [`Option`], [`Box`] and [`Either`] of those, and for hyper's
/// `Incoming`, which never clones. Implement it for a body of your own; wrap any other body in one
/// of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether it can be cloned, which a retry after a rejection needs",
    label = "this request body is not `CloneBody`",
    note = "send a body that holds its data, such as `http_body_util::Full<Bytes>` or `Empty<Bytes>`",
    note = "for a body type of your own, implement `tower_auth::CloneBody`"
)]
pub trait CloneBody: Sized {
    /// A body that yields exactly what this one would, or `None` if there can't be one. Called
    /// before the body is first polled.
    fn try_clone_body(&self) -> Option<Self>;

    /// Whether this clone still yields all of that, asked right before it is sent. Default: `true`.
    fn can_replay(&self) -> bool {
        true
    }
}

/// Bodies whose `Clone` is all there is to do.
macro_rules! clone_body {
    ($($(#[$meta:meta])* [$($generics:tt)*] $body:ty,)*) => {$(
        $(#[$meta])*
        impl<$($generics)*> CloneBody for $body {
            fn try_clone_body(&self) -> Option<Self> {
                Some(self.clone())
            }
        }
    )*};
}

clone_body! {
    [D: Clone] Full<D>,
    [D] Empty<D>,
    [] (),
    [] String,
    [] Bytes,
    [] Vec<u8>,
    [] &'static str,
    [] &'static [u8],
}

impl<B: CloneBody> CloneBody for Option<B> {
    fn try_clone_body(&self) -> Option<Self> {
        match self {
            Some(body) => body.try_clone_body().map(Some),
            None => Some(None),
        }
    }
}

impl<B: CloneBody> CloneBody for Box<B> {
    fn try_clone_body(&self) -> Option<Self> {
        (**self).try_clone_body().map(Box::new)
    }
}

impl<L: CloneBody, R: CloneBody> CloneBody for Either<L, R> {
    fn try_clone_body(&self) -> Option<Self> {
        match self {
            Either::Left(body) => body.try_clone_body().map(Either::Left),
            Either::Right(body) => body.try_clone_body().map(Either::Right),
        }
    }
}

/// The body of a request that is passed on, as a proxy does: its data exists once.
#[cfg(feature = "hyper")]
impl CloneBody for hyper::body::Incoming {
    fn try_clone_body(&self) -> Option<Self> {
        None
    }
}
