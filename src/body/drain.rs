//! Draining the body of a rejection, so that its connection can be reused.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Buf;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

pin_project! {
    /// A future that reads a body to its end, or up to a limit.
    ///
    /// An HTTP/1.1 connection must be closed unless the response is read to its end. Above some
    /// size, a new connection is cheaper than reading the rest.
    pub(crate) struct Drain<B> {
        #[pin]
        body: B,
        bytes_left: u64,
        time_left: Pin<Box<Sleep>>,
    }
}

impl<B: Body> Drain<B> {
    /// Creates the future. Returns `None` if the body is empty, or known to exceed the limit.
    pub(crate) fn new(body: B, bytes: u64, time: Duration) -> Option<Self> {
        if body.is_end_stream() || body.size_hint().lower() > bytes {
            return None;
        }
        let time_left = Box::pin(tokio::time::sleep(time));
        Some(Self {
            body,
            bytes_left: bytes,
            time_left,
        })
    }
}

impl<B: Body> Future for Drain<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if this.time_left.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(Ok(frame)) = ready!(this.body.as_mut().poll_frame(cx)) else {
                return Poll::Ready(());
            };
            let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            match this.bytes_left.checked_sub(bytes) {
                Some(left) => *this.bytes_left = left,
                None => return Poll::Ready(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Empty, Full, StreamBody};
    use tokio_test::{assert_pending, assert_ready, task};

    use super::*;

    fn chunks(sizes: &[usize]) -> impl Body<Data = Bytes> + use<> {
        let frames: Vec<_> = sizes
            .iter()
            .map(|size| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; *size]))))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    fn drain<B: Body>(body: B) -> Option<Drain<B>> {
        Drain::new(body, 100, Duration::from_millis(100))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_empty_or_known_to_be_too_large_is_not_read() {
        assert!(drain(Empty::<Bytes>::new()).is_none());
        assert!(drain(Full::new(Bytes::from(vec![0; 101]))).is_none());
        assert!(drain(Full::new(Bytes::from(vec![0; 100]))).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_exactly_the_limit_is_read_to_its_end() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let body = StreamBody::new(receiver);
        let mut drain = task::spawn(drain(body).unwrap());
        let frame = |size| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; size])));
        sender.unbounded_send(frame(100)).unwrap();
        assert_pending!(drain.poll());
        drop(sender);
        assert_ready!(drain.poll());
    }

    #[tokio::test(start_paused = true)]
    async fn reading_stops_at_the_size_limit_and_at_the_timeout() {
        let start = tokio::time::Instant::now();
        drain(chunks(&[60, 60, 60])).unwrap().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        drain(silent).unwrap().await;
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }
}
