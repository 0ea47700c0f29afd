use std::{io, panic::AssertUnwindSafe};

use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Either, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service};

use super::*;

type Item = Result<Frame<Bytes>, io::Error>;

/// A body that the test feeds while the body is being read.
struct Fed {
    items: UnboundedReceiver<Item>,
    /// The rest of the announced length.
    length: Option<u64>,
    ended: bool,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        assert!(!self.ended, "polled after its end");
        let item = std::task::ready!(self.items.poll_recv(cx));
        self.ended = !matches!(item, Some(Ok(_)));
        if let (Some(length), Some(Ok(frame))) = (&mut self.length, &item) {
            *length -= frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(item)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn fed() -> (UnboundedSender<Item>, Fed) {
    let (feed, items) = unbounded_channel();
    let body = Fed {
        items,
        length: None,
        ended: false,
    };
    (feed, body)
}

/// Creates a body whose items are all available.
fn fed_with(items: impl IntoIterator<Item = Item>) -> Fed {
    let (feed, body) = fed();
    for item in items {
        feed.send(item).unwrap();
    }
    body
}

fn with_length(mut body: Fed, length: u64) -> Fed {
    body.length = Some(length);
    body
}

fn data(bytes: &'static str) -> Item {
    Ok(Frame::data(Bytes::from_static(bytes.as_bytes())))
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("checksum"),
        HeaderValue::from_static("abc"),
    )])
}

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

trait PollNow {
    fn poll_now(&mut self) -> Polled;
    fn next_data(&mut self) -> Bytes;
    fn ends(&mut self) -> bool;
    fn fails(&mut self) -> BoxError;
}

impl<B> PollNow for task::Spawn<ReplayBody<B>>
where
    B: Body<Error: Into<BoxError>>,
{
    fn poll_now(&mut self) -> Polled {
        self.enter(|cx, body| body.poll_frame(cx))
    }

    fn next_data(&mut self) -> Bytes {
        let frame = assert_ready!(self.poll_now()).expect("a frame");
        frame.expect("no error").into_data().expect("data")
    }

    fn ends(&mut self) -> bool {
        assert_ready!(self.poll_now()).is_none()
    }

    fn fails(&mut self) -> BoxError {
        assert_ready!(self.poll_now())
            .expect("not the end")
            .expect_err("an error")
    }
}

fn spawn_with_copy<B: Body>(
    body: ReplayBody<B>,
) -> (task::Spawn<ReplayBody<B>>, task::Spawn<ReplayBody<B>>) {
    let copy = body.try_clone_body().expect("a copy");
    (task::spawn(body), task::spawn(copy))
}

fn is_taken_over(error: &BoxError) -> bool {
    replay_error(error).is_some_and(ReplayError::is_taken_over)
}

fn is_gone(error: &BoxError) -> bool {
    replay_error(error).is_some_and(ReplayError::is_gone)
}

fn replay_error(error: &BoxError) -> Option<&ReplayError> {
    let error: &ReplayError = error.downcast_ref()?;
    let says = |part| format!("{error:#}").contains(part);
    assert_eq!(error.is_taken_over(), says("was taken over"));
    assert_eq!(error.is_gone(), says("cannot be sent"));
    Some(error)
}

fn recorded<B: Body>(body: &ReplayBody<B>) -> usize {
    body.attempt.as_ref().map_or(0, Attempt::recorded)
}

async fn read(body: ReplayBody<Fed>) -> (Bytes, Option<HeaderMap>) {
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    (collected.to_bytes(), trailers)
}

// Replaying.

/// P28: data frames are replayed without copying their bytes.
#[test]
fn replayed_data_is_the_same_memory() {
    let (mut first, mut copy) =
        spawn_with_copy(ReplayBody::new(fed_with([data("one"), data("two")])));
    let sent = [first.next_data(), first.next_data()];
    assert!(first.ends());
    let replayed = [copy.next_data(), copy.next_data()];
    assert!(copy.ends());
    assert_eq!(sent, replayed);
    for (sent, replayed) in sent.iter().zip(&replayed) {
        assert_eq!(sent.as_ptr(), replayed.as_ptr());
    }
}

/// P28: the data can be of any type.
#[tokio::test]
async fn data_of_another_type_becomes_bytes() {
    let chained = bytes::Buf::chain(&b"in two "[..], &b"pieces"[..]);
    let body = ReplayBody::new(Full::new(chained));
    let copy = body.try_clone_body().unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "in two pieces");
    assert_eq!(copy.collect().await.unwrap().to_bytes(), "in two pieces");
}

/// P28: a body that is not `Unpin`, and cannot be read twice.
#[tokio::test]
async fn a_one_shot_stream_is_replayed() {
    let stream = futures::stream::once(async {
        tokio::task::yield_now().await;
        data("once")
    });
    let body = ReplayBody::new(StreamBody::new(stream));
    let copy = body.try_clone_body().unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "once");
    assert_eq!(copy.collect().await.unwrap().to_bytes(), "once");
}

/// P28: trailers that follow data are replayed.
#[tokio::test]
async fn trailers_are_replayed() {
    let body = ReplayBody::new(fed_with([data("data"), Ok(Frame::trailers(trailers()))]));
    let copy = body.try_clone_body().unwrap();
    let expected = (Bytes::from_static(b"data"), Some(trailers()));
    assert_eq!(read(body).await, expected);
    assert_eq!(read(copy).await, expected);
}

/// P28: trailers without data are replayed.
#[tokio::test]
async fn trailers_alone_are_replayed() {
    let body = ReplayBody::new(fed_with([Ok(Frame::trailers(trailers()))]));
    let copy = body.try_clone_body().unwrap();
    assert_eq!(read(body).await, (Bytes::new(), Some(trailers())));
    assert_eq!(read(copy).await, (Bytes::new(), Some(trailers())));
}

/// P28: a body that is empty from the start shares nothing and can be cloned any number of times.
#[test]
fn an_empty_body_has_empty_copies() {
    let body = ReplayBody::new(Empty::<Bytes>::new());
    assert!(body.attempt.is_none());
    let mut copy = body.try_clone_body().unwrap();
    assert!(copy.can_replay() && copy.take_over());
    assert!(copy.is_end_stream());
    assert_eq!(copy.size_hint().exact(), Some(0));
    let (mut body, mut copy) = (task::spawn(body), task::spawn(copy));
    assert!(body.ends() && copy.ends());
    assert!(ReplayBody::<Fed>::default().is_end_stream());
}

/// P28: a body that is known to be empty only once it is read.
#[tokio::test]
async fn a_body_that_turns_out_empty_has_empty_copies() {
    let body = ReplayBody::new(fed_with([]));
    let copy = body.try_clone_body().unwrap();
    assert!(!body.is_end_stream() && !copy.is_end_stream());
    assert_eq!(read(body).await, (Bytes::new(), None));
    assert!(!copy.is_end_stream());
    assert_eq!(read(copy).await, (Bytes::new(), None));
}

/// P28: `Content-Length` stays `Content-Length`.
#[test]
fn an_exact_size_stays_exact_at_every_step() {
    let body = with_length(fed_with([data("one"), data("three")]), 8);
    let body = ReplayBody::new(body);
    let copy = body.try_clone_body().unwrap();
    let later = copy.try_clone_body().unwrap();
    let mut first = task::spawn(body);
    let mut exact = vec![];
    for _ in 0..2 {
        exact.push((first.size_hint().exact(), copy.size_hint().exact()));
        first.next_data();
    }
    exact.push((first.size_hint().exact(), copy.size_hint().exact()));
    let expected = [8, 5, 0].map(|left| (Some(left), Some(8)));
    assert_eq!(exact, expected);

    let mut copy = task::spawn(copy);
    let mut exact = vec![copy.size_hint().exact()];
    for _ in 0..2 {
        copy.next_data();
        exact.push(copy.size_hint().exact());
    }
    assert_eq!(exact, [Some(8), Some(5), Some(0)]);
    assert_eq!(later.size_hint().exact(), Some(8));
}

/// P28: chunked stays chunked, even if the length is known by the time of the retry.
#[test]
fn an_unknown_size_is_unknown_to_copies_too() {
    let (mut first, mut copy) = spawn_with_copy(ReplayBody::new(fed_with([data("one")])));
    first.next_data();
    assert!(first.ends());
    assert_eq!(copy.size_hint().upper(), None);
    assert!(copy.take_over());
    assert_eq!(copy.size_hint().upper(), None);
    copy.next_data();
    assert_eq!(copy.size_hint().exact(), Some(0));
}

/// P28: the end is reported with the last frame if the wrapped body reports it then, never earlier.
#[test]
fn is_end_stream_is_right_at_every_step() {
    let body = with_length(fed_with([data("one"), data("two")]), 6);
    let (mut first, mut copy) = spawn_with_copy(ReplayBody::new(body));
    for attempt in [&mut first, &mut copy] {
        assert!(!attempt.is_end_stream());
        attempt.next_data();
        assert!(!attempt.is_end_stream());
        attempt.next_data();
        assert!(attempt.is_end_stream());
    }
    assert!(!first.is_end_stream(), "taken over");
    assert!(copy.ends());
    assert!(copy.is_end_stream());
}

// A response that arrives before the upload is complete.

/// P29: the retry continues where the upload stopped. The upload is woken and fails.
#[test]
fn a_retry_that_takes_over_wakes_and_fails_a_parked_upload() {
    let (feed, body) = fed();
    let (mut upload, mut retry) = spawn_with_copy(ReplayBody::new(body));
    feed.send(data("one")).unwrap();
    assert_eq!(upload.next_data(), "one");
    assert_pending!(upload.poll_now());

    assert!(retry.can_replay() && retry.take_over());
    assert!(upload.is_woken());
    assert!(!upload.is_end_stream());
    let error = upload.fails();
    assert!(is_taken_over(&error) && !is_gone(&error));
    assert!(
        is_taken_over(&upload.fails()),
        "it never ends without an error"
    );

    assert_eq!(retry.next_data(), "one");
    assert_pending!(retry.poll_now());
    feed.send(data("two")).unwrap();
    assert!(retry.is_woken());
    assert_eq!(retry.next_data(), "two");
    drop(feed);
    assert!(retry.ends());
}

/// P29: the same for a client that polls the copy without calling `take_over`.
#[test]
fn the_first_poll_of_a_copy_takes_over() {
    let (feed, body) = fed();
    let (mut upload, mut retry) = spawn_with_copy(ReplayBody::new(body));
    feed.send(data("one")).unwrap();
    upload.next_data();
    assert_pending!(upload.poll_now());
    assert_eq!(retry.next_data(), "one");
    assert!(upload.is_woken());
    assert!(is_taken_over(&upload.fails()));
}

/// P29: the upload's task may be waiting for its socket, not for the body.
#[test]
fn an_upload_that_waits_for_its_socket_is_woken_too() {
    let (mut upload, mut retry) =
        spawn_with_copy(ReplayBody::new(fed_with([data("one"), data("two")])));
    upload.next_data();
    assert!(!upload.is_woken());
    assert!(retry.take_over());
    assert!(upload.is_woken());
}

/// P29: between the takeover and the retry's first poll, no frame is read or lost.
#[test]
fn nothing_is_read_between_takeover_and_retry() {
    let body = fed_with([data("four"), data("five5")]);
    let (mut upload, mut retry) = spawn_with_copy(ReplayBody::with_cap(body, 4));
    upload.next_data();
    assert!(retry.take_over());
    assert!(is_taken_over(&upload.fails()));
    assert!(retry.can_replay());
    assert_eq!(retry.next_data(), "four");
    assert_eq!(retry.next_data(), "five5");
    assert!(retry.ends());
}

/// P29: a request may be retried several times.
#[test]
fn each_retry_takes_over_from_the_one_before() {
    let (feed, body) = fed();
    let mut kept = ReplayBody::new(body);
    let mut sent: Vec<task::Spawn<ReplayBody<Fed>>> = vec![];
    for (n, chunk) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert!(kept.take_over());
        let next = kept.try_clone_body().unwrap();
        let mut attempt = task::spawn(std::mem::replace(&mut kept, next));
        if let Some(before) = sent.last_mut() {
            assert!(before.is_woken());
            assert!(is_taken_over(&before.fails()));
        }
        for earlier in &["a", "b", "c"][..n] {
            assert_eq!(attempt.next_data(), *earlier);
        }
        feed.send(data(chunk)).unwrap();
        assert_eq!(attempt.next_data(), chunk);
        assert_pending!(attempt.poll_now());
        sent.push(attempt);
    }
}

/// P29: two layers that retry, each with a copy. A layer may send the copy, or keep it and send the
/// original.
#[test]
fn the_latest_attempt_wins_across_several_retrying_layers() {
    let (feed, body) = fed();
    feed.send(data("a")).unwrap();
    let outer = ReplayBody::new(body);
    let outer_kept = outer.try_clone_body().unwrap();
    // The inner layer sends its copy.
    let (mut first, mut second) = spawn_with_copy(outer);
    first.next_data();
    assert!(second.take_over());
    second.next_data();
    assert_pending!(second.poll_now());
    // Then the outer layer sends a copy that is older than what the inner layer has sent.
    let last_kept = outer_kept.try_clone_body().unwrap();
    let mut third = task::spawn(outer_kept);
    assert_eq!(third.next_data(), "a");
    assert!(second.is_woken());
    assert!(is_taken_over(&second.fails()));
    // A layer that sends copies and keeps the original.
    let mut fourth = task::spawn(last_kept.try_clone_body().unwrap());
    assert_eq!(fourth.next_data(), "a");
    assert!(is_taken_over(&third.fails()));
    let mut fifth = task::spawn(last_kept);
    assert!(fifth.take_over());
    assert_eq!(fifth.next_data(), "a");
    assert!(is_taken_over(&fourth.fails()));
}

/// P30: the response arrives before the body is polled.
#[test]
fn a_retry_before_the_first_poll_sends_every_chunk_once() {
    for explicit in [true, false] {
        let body = fed_with([data("one"), data("two")]);
        let (mut upload, mut retry) = spawn_with_copy(ReplayBody::new(body));
        assert!(!explicit || retry.take_over());
        assert_eq!(retry.next_data(), "one");
        // The first attempt is polled only now. It must not take the body back.
        assert!(is_taken_over(&upload.fails()));
        assert_eq!(retry.next_data(), "two");
        assert!(retry.ends());
    }
}

// The cap.

/// P31: the first attempt continues, nothing stays recorded, and the copy reports that it cannot be
/// replayed.
#[test]
fn beyond_the_cap_only_the_first_attempt_continues() {
    let body = fed_with([data("12345"), data("67890"), data("x"), data("y")]);
    let (mut first, mut copy) = spawn_with_copy(ReplayBody::with_cap(body, 10));
    first.next_data();
    first.next_data();
    assert_eq!(recorded(&first), 10);
    assert!(copy.can_replay());
    assert_eq!(first.next_data(), "x");
    assert_eq!(recorded(&first), 0);

    assert!(!copy.can_replay() && !copy.take_over());
    assert!(copy.try_clone_body().is_none());
    assert_eq!(first.next_data(), "y", "the calls above changed nothing");
    assert!(is_gone(&copy.fails()), "neither truncated nor empty");
    assert!(!copy.is_end_stream());
    assert!(first.ends());
}

/// P31.
#[tokio::test]
async fn a_body_of_exactly_the_cap_is_replayed() {
    let body = ReplayBody::new(fed_with([Ok(Frame::data(vec![7; DEFAULT_CAP].into()))]));
    let copy = body.try_clone_body().unwrap();
    read(body).await;
    assert!(copy.can_replay());
    assert_eq!(read(copy).await.0, vec![7; DEFAULT_CAP]);
}

/// P31: not even its first bytes are recorded.
#[test]
fn a_body_announced_above_the_cap_is_never_recorded() {
    let body = with_length(fed_with([data("1"), data("0123456789")]), 11);
    let body = ReplayBody::with_cap(body, 10);
    assert!(body.try_clone_body().is_none());
    assert!(body.can_replay(), "it can be sent once");
    let mut first = task::spawn(body);
    assert_eq!(first.next_data(), "1");
    assert_eq!(recorded(&first), 0);
    assert_eq!(first.next_data(), "0123456789");
}

/// P31: the overhead of frames is bounded too.
#[test]
fn tiny_frames_do_not_outgrow_the_cap() {
    const CAP: usize = 64 * 100;
    let (feed, body) = fed();
    let (mut first, copy) = spawn_with_copy(ReplayBody::with_cap(body, CAP));
    for _ in 0..100 + 64 {
        feed.send(data("x")).unwrap();
        first.next_data();
    }
    assert!(copy.can_replay());
    for _ in 0..10_000 {
        feed.send(data("")).unwrap();
        first.next_data();
    }
    assert!(copy.can_replay(), "frames without data cost nothing");
    feed.send(data("x")).unwrap();
    first.next_data();
    assert!(!copy.can_replay());
    assert_eq!(recorded(&first), 0);
}

/// P31: trailers use memory too.
#[test]
fn trailers_count_towards_the_cap() {
    let size = "checksum".len() + "abc".len();
    for (cap, fits) in [(size, true), (size - 1, false)] {
        let body = fed_with([Ok(Frame::trailers(trailers()))]);
        let (mut first, copy) = spawn_with_copy(ReplayBody::with_cap(body, cap));
        assert!(assert_ready!(first.poll_now()).unwrap().is_ok());
        assert_eq!(copy.can_replay(), fits);
    }
}

// Errors.

/// P32.
#[test]
fn an_error_of_the_body_is_returned_and_ends_replay() {
    let body = fed_with([data("one"), Err(io::Error::other("disk on fire"))]);
    let (mut first, mut copy) = spawn_with_copy(ReplayBody::new(body));
    first.next_data();
    let error = first.fails();
    assert!(error.is::<io::Error>());
    assert_eq!(format!("{error:#}"), "disk on fire");
    assert!(!first.is_end_stream());
    let error = first.fails();
    assert!(
        is_gone(&error) && !is_taken_over(&error),
        "it never ends without an error"
    );

    assert_eq!(recorded(&copy), 0);
    assert!(!copy.can_replay() && !copy.take_over());
    assert!(is_gone(&copy.fails()));
}

/// P32: an error that occurs during the retry.
#[test]
fn an_error_after_the_takeover_reaches_the_retry() {
    let (feed, body) = fed();
    let (mut upload, mut retry) = spawn_with_copy(ReplayBody::new(body));
    assert_pending!(upload.poll_now());
    assert!(retry.take_over());
    feed.send(Err(io::Error::other("disk on fire"))).unwrap();
    assert!(is_taken_over(&upload.fails()));
    assert_eq!(retry.fails().to_string(), "disk on fire");
}

/// P32: a panic counts as an error.
#[test]
fn a_body_that_panicked_is_not_polled_again() {
    let body = StreamBody::new(futures::stream::poll_fn(|_| -> Poll<Option<Item>> {
        panic!("polled")
    }));
    let (mut first, mut copy) = spawn_with_copy(ReplayBody::new(body));
    std::panic::catch_unwind(AssertUnwindSafe(|| first.poll_now().is_ready())).unwrap_err();
    assert!(!copy.can_replay());
    assert!(is_gone(&copy.fails()));
    assert!(is_gone(&first.fails()));
}

// Dropping.

#[test]
fn without_copies_nothing_is_recorded() {
    let (feed, body) = fed();
    let mut only = task::spawn(ReplayBody::new(body));
    feed.send(data("one")).unwrap();
    only.next_data();
    assert_eq!(recorded(&only), 0);
    assert!(
        only.try_clone_body().is_none(),
        "its first frame is not recorded"
    );
}

#[test]
fn dropping_the_last_copy_drops_the_recording() {
    let (feed, body) = fed();
    let (mut first, copy) = spawn_with_copy(ReplayBody::new(body));
    let other = copy.try_clone_body().unwrap();
    feed.send(data("one")).unwrap();
    first.next_data();
    drop(copy);
    assert_eq!(recorded(&first), 3);
    drop(other);
    assert_eq!(recorded(&first), 0);
    feed.send(data("two")).unwrap();
    assert_eq!(first.next_data(), "two");
    assert_eq!(recorded(&first), 0);
}

#[test]
fn the_last_retry_drops_what_it_has_replayed() {
    let body = fed_with([data("one"), data("two"), data("three")]);
    let (mut first, mut retry) = spawn_with_copy(ReplayBody::new(body));
    first.next_data();
    first.next_data();
    assert_eq!(recorded(&retry), 6);
    retry.next_data();
    assert_eq!(recorded(&retry), 3);
    retry.next_data();
    assert_eq!(recorded(&retry), 0);
    assert_eq!(retry.next_data(), "three");
    assert!(retry.ends());
}

#[tokio::test]
async fn a_dropped_attempt_leaves_the_whole_body_to_the_copy() {
    for polls in 0..=3 {
        let body = fed_with([data("one"), data("two")]);
        let (mut first, copy) = spawn_with_copy(ReplayBody::new(body));
        for _ in 0..polls {
            assert!(first.poll_now().is_ready());
        }
        drop(first);
        assert!(copy.can_replay());
        assert_eq!(read(copy.into_inner()).await.0, "onetwo");
    }
}

#[test]
fn dropping_the_last_attempt_drops_the_body() {
    let (feed, body) = fed();
    let (mut first, copy) = spawn_with_copy(ReplayBody::new(body));
    assert_pending!(first.poll_now());
    drop(first);
    assert!(!feed.is_closed());
    drop(copy);
    assert!(feed.is_closed());
}

// Wrappers, the layer, and `Debug`.

#[test]
fn it_is_send_and_sync_if_its_body_is_send() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<ReplayBody<UnsyncBoxBody<Bytes, io::Error>>>();
}

#[test]
fn wrapper_bodies_forward_all_methods() {
    fn check<B: CloneBody>(wrap: impl Fn(ReplayBody<Fed>) -> B) {
        let body = ReplayBody::with_cap(fed_with([data("one"), data("two")]), 3);
        let mut kept = wrap(body.try_clone_body().unwrap());
        let mut first = task::spawn(body);
        first.next_data();
        assert!(kept.can_replay());
        first.next_data();
        assert!(!kept.can_replay() && !kept.take_over());

        let body = ReplayBody::new(fed_with([data("one")]));
        let mut kept = wrap(body.try_clone_body().unwrap());
        assert!(kept.take_over());
        assert!(is_taken_over(&task::spawn(body).fails()));
    }
    check(Some);
    check(Box::new);
    check(Either::<_, String>::Left);
    check(Either::<String, _>::Right);
}

#[tokio::test]
async fn the_layer_wraps_every_body_with_its_cap() {
    for (layer, cap) in [
        (ReplayLayer::new(), DEFAULT_CAP),
        (ReplayLayer::new().cap(10), 10),
        (ReplayLayer::default(), DEFAULT_CAP),
    ] {
        let mut service = layer.layer(tower::service_fn(
            async |request: Request<ReplayBody<Fed>>| Ok::<_, BoxError>(request.into_body()),
        ));
        for (length, fits) in [(cap, true), (cap + 1, false)] {
            let request = Request::new(with_length(fed_with([]), length as u64));
            let body = service.call(request).await.unwrap();
            assert_eq!(body.try_clone_body().is_some(), fits);
        }
    }
}

#[test]
fn debug_shows_no_data() {
    let (mut first, copy) = spawn_with_copy(ReplayBody::new(fed_with([data("secret")])));
    first.next_data();
    assert!(!format!("{:?}", copy.into_inner()).contains("secret"));
}

#[test]
fn the_default_cap_is_64_kib() {
    let can_replay = |size| {
        let body = ReplayBody::new(Full::new(Bytes::from(vec![0; size])));
        let copy = body.try_clone_body();
        assert_eq!(format!("{body:?}"), "ReplayBody { .. }");
        let mut first = task::spawn(body.collect());
        assert_ready!(first.poll()).unwrap();
        copy.is_some_and(|mut copy| copy.take_over())
    };
    assert!(can_replay(65_536));
    assert!(!can_replay(65_537));
}

#[test]
fn the_service_is_ready_when_the_inner_service_is() {
    let (mock, mut handle) = tower_test::mock::pair::<Request<ReplayBody<Fed>>, ()>();
    let mut service = Replay::new(mock);
    let mut waker = task::spawn(());
    let mut is_ready =
        || waker.enter(|cx, _| Service::<Request<Fed>>::poll_ready(&mut service, cx));
    handle.allow(0);
    assert_pending!(is_ready());
    handle.allow(1);
    assert_ready!(is_ready()).unwrap();
}
