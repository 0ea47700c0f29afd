//! Bodies that can be cloned, so that a request can be sent again.

use bytes::Bytes;
use http_body_util::{Either, Empty, Full};

/// A request body that says whether it can be cloned.
///
/// A request is sent again after a rejection only if its body was cloned before the first
/// sending. A clone has to be cheap and complete: the same bytes, the same trailers.
///
/// It is implemented for the bodies that hold all their data ([`Full`], [`Empty`], [`String`] and
/// other plain buffers), for [`Option`], [`Box`] and [`Either`] of those, for hyper's `Incoming`,
/// which never clones, and for [`ReplayBody`](crate::ReplayBody), which makes any other body
/// clonable while it streams. Implement it for a body of your own, or stack a
/// [`ReplayLayer`](crate::ReplayLayer) above.
///
/// Whoever sends a request again calls, in this order:
///
/// 1. [`try_clone_body`](Self::try_clone_body) before each sending, and keeps the clone;
/// 2. [`can_replay`](Self::can_replay) on the clone when an answer comes that asks for a retry: if
///    it says no, the answer stands;
/// 3. [`take_over`](Self::take_over) on the clone once the retry is certain to be sent, and before
///    the answer is consumed: the first sending may still go on, and make a retry impossible.
///
/// A stream does not say it, so this is a compile error that names the ways out:
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
    message = "`{Self}` does not say whether it can be cloned, which a retry after a rejection needs",
    label = "this request body is not `CloneBody`",
    note = "stack `tower_auth::ReplayLayer` above: it makes any `http_body::Body` replayable",
    note = "or send a body that holds its data, such as `http_body_util::Full<Bytes>` or `Empty<Bytes>`",
    note = "for a body type of your own, implement `tower_auth::CloneBody`"
)]
pub trait CloneBody: Sized {
    /// A body that yields exactly what this one would, or `None` if there can't be one. Called
    /// before the body is first polled.
    fn try_clone_body(&self) -> Option<Self>;

    /// Whether this body, which was not polled yet, can be sent from its start.
    ///
    /// A clone that shares its data with the body it was made of may lose it on the way. The
    /// answer can turn from yes to no as long as the other body is read; it never turns back.
    /// Default: `true`.
    fn can_replay(&self) -> bool {
        true
    }

    /// Makes this body, which was not polled yet, the one to be sent, and says whether that is
    /// possible; if not, nothing changes. After a yes it can be sent from its start, whatever
    /// becomes of the others: those that are still being read fail from now on.
    /// Default: [`can_replay`](Self::can_replay).
    fn take_over(&mut self) -> bool {
        self.can_replay()
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

/// The body of a request that is passed on, as a proxy does: its data exists once.
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

    /// Says no to what it was told to.
    #[derive(Debug, PartialEq)]
    struct Says(bool);

    impl CloneBody for Says {
        fn try_clone_body(&self) -> Option<Self> {
            self.0.then_some(Self(true))
        }

        fn can_replay(&self) -> bool {
            self.0
        }
    }

    fn answers<B: CloneBody + PartialEq + fmt::Debug>(yes: B, no: B) {
        let mut copy = yes.try_clone_body().unwrap();
        assert_eq!(copy, yes);
        assert!(copy.can_replay() && copy.take_over());
        let mut no = no;
        assert_eq!(no.try_clone_body(), None);
        assert!(!no.can_replay() && !no.take_over());
    }

    #[test]
    fn a_wrapped_body_answers_as_the_body_within() {
        answers(Says(true), Says(false));
        answers(Some(Says(true)), Some(Says(false)));
        answers(Box::new(Says(true)), Box::new(Says(false)));
        let either = |left: bool, says| match left {
            true => Either::Left(Says(says)),
            false => Either::Right(Says(says)),
        };
        for left in [true, false] {
            let copy = either(left, true).try_clone_body().unwrap();
            assert!(matches!(copy, Either::Left(Says(true))) == left);
            let mut no = either(left, false);
            assert!(no.try_clone_body().is_none() && !no.can_replay() && !no.take_over());
            assert!(either(left, true).can_replay() && either(left, true).take_over());
        }
    }

    #[test]
    fn no_body_can_be_sent_any_number_of_times() {
        let mut none = None::<Says>;
        assert_eq!(none.try_clone_body(), Some(None));
        assert!(none.can_replay() && none.take_over());
    }
}
