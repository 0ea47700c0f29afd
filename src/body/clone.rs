//! Request bodies that can be cloned for a retry.

use bytes::Bytes;
use http_body_util::{Either, Empty, Full};

/// A request body that reports whether it can be cloned.
///
/// A request can be retried after a rejection only if its body was cloned before the first attempt.
/// A clone has to be cheap and complete: the same bytes and the same trailers.
///
/// The trait is implemented for bodies that hold all their data ([`Full`], [`Empty`], [`String`]
/// and other plain buffers), for [`Option`], [`Box`] and [`Either`] of those, for hyper's
/// `Incoming`, which can never be cloned, and for [`ReplayBody`](crate::ReplayBody), which makes
/// any other body replayable while it streams. Implement it for your own body type, or put a
/// [`ReplayLayer`](crate::ReplayLayer) above the layer.
///
/// A service that retries calls the methods in this order:
///
/// 1. [`try_clone_body`](Self::try_clone_body) before each attempt. The service keeps the clone.
/// 2. [`can_replay`](Self::can_replay) on the clone, when a response asks for a retry. If it
///    returns `false`, the caller gets that response.
/// 3. [`take_over`](Self::take_over) on the clone, once the retry is certain to be sent and before
///    the response is consumed. The first attempt may still be running, and could otherwise make
///    the retry impossible.
///
/// A stream does not implement the trait. The compiler error names the alternatives:
///
/// ```compile_fail,E0277
/// use bytes::Bytes;
/// use futures::stream;
/// use http_body::Frame;
/// use http_body_util::StreamBody;
/// use tower::{Layer, Service};
/// use tower_auth::{AuthLayer, Origins, credential::Bearer};
///
/// # let client = tower::service_fn(|_| async {
/// #     Ok::<_, tower_auth::BoxError>(http::Response::new(String::new()))
/// # });
/// let layer = AuthLayer::new(Bearer::new("token").unwrap(), Origins::danger_any_https());
/// let frames = stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from("data")))]);
/// layer.layer(client).call(http::Request::new(StreamBody::new(frames)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not report whether it can be cloned, which a retry after a rejection needs",
    label = "this request body does not implement `CloneBody`",
    note = "put `tower_auth::ReplayLayer` above the layer: it makes any `http_body::Body` replayable",
    note = "or send a body that holds its data, such as `http_body_util::Full<Bytes>` or `Empty<Bytes>`",
    note = "or implement `tower_auth::CloneBody` for your own body type"
)]
pub trait CloneBody: Sized {
    /// Returns a body that yields exactly what this one would, or `None` if that is not possible.
    /// This method is called before the body is first polled.
    fn try_clone_body(&self) -> Option<Self>;

    /// Returns whether this body, which has not been polled yet, can be sent from its start.
    ///
    /// A clone that shares its data with the original may lose that data: the result can change
    /// from `true` to `false` while the original is read, but never back. Default: `true`.
    fn can_replay(&self) -> bool {
        true
    }

    /// Makes this body, which has not been polled yet, the one that is sent. Returns whether that
    /// is possible; if not, nothing changes.
    ///
    /// Afterwards, this body can be sent from its start, and clones that are still being read fail.
    /// Default: [`can_replay`](Self::can_replay).
    fn take_over(&mut self) -> bool {
        self.can_replay()
    }
}

/// Implements `CloneBody` by means of `Clone`.
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

    fn can_replay(&self) -> bool {
        self.as_ref().is_none_or(B::can_replay)
    }

    fn take_over(&mut self) -> bool {
        self.as_mut().is_none_or(B::take_over)
    }
}

impl<B: CloneBody> CloneBody for Box<B> {
    fn try_clone_body(&self) -> Option<Self> {
        (**self).try_clone_body().map(Box::new)
    }

    fn can_replay(&self) -> bool {
        (**self).can_replay()
    }

    fn take_over(&mut self) -> bool {
        (**self).take_over()
    }
}

impl<L: CloneBody, R: CloneBody> CloneBody for Either<L, R> {
    fn try_clone_body(&self) -> Option<Self> {
        match self {
            Either::Left(body) => body.try_clone_body().map(Either::Left),
            Either::Right(body) => body.try_clone_body().map(Either::Right),
        }
    }

    fn can_replay(&self) -> bool {
        match self {
            Either::Left(body) => body.can_replay(),
            Either::Right(body) => body.can_replay(),
        }
    }

    fn take_over(&mut self) -> bool {
        match self {
            Either::Left(body) => body.take_over(),
            Either::Right(body) => body.take_over(),
        }
    }
}

/// The body of a request that a proxy forwards. Its data exists only once.
#[cfg(feature = "hyper")]
impl CloneBody for hyper::body::Incoming {
    fn try_clone_body(&self) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// A body that can be both cloned and replayed, or neither.
    #[derive(Debug, PartialEq)]
    struct Fixed(bool);

    impl CloneBody for Fixed {
        fn try_clone_body(&self) -> Option<Self> {
            self.0.then_some(Self(true))
        }

        fn can_replay(&self) -> bool {
            self.0
        }
    }

    fn check<B: CloneBody + PartialEq + fmt::Debug>(yes: B, no: B) {
        let mut copy = yes.try_clone_body().unwrap();
        assert_eq!(copy, yes);
        assert!(copy.can_replay() && copy.take_over());
        let mut no = no;
        assert_eq!(no.try_clone_body(), None);
        assert!(!no.can_replay() && !no.take_over());
    }

    #[test]
    fn wrappers_forward_to_the_body_within() {
        check(Fixed(true), Fixed(false));
        check(Some(Fixed(true)), Some(Fixed(false)));
        check(Box::new(Fixed(true)), Box::new(Fixed(false)));
        let either = |left: bool, value| match left {
            true => Either::Left(Fixed(value)),
            false => Either::Right(Fixed(value)),
        };
        for left in [true, false] {
            let copy = either(left, true).try_clone_body().unwrap();
            assert!(matches!(copy, Either::Left(Fixed(true))) == left);
            let mut no = either(left, false);
            assert!(no.try_clone_body().is_none() && !no.can_replay() && !no.take_over());
            assert!(either(left, true).can_replay() && either(left, true).take_over());
        }
    }

    #[test]
    fn an_absent_body_can_always_be_replayed() {
        let mut none = None::<Fixed>;
        assert_eq!(none.try_clone_body(), Some(None));
        assert!(none.can_replay() && none.take_over());
    }
}
