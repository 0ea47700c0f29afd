//! A body that is sent several times concurrently. A copy that reaches its end has yielded the
//! whole body.

#![no_main]

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use libfuzzer_sys::fuzz_target;
use tower_auth::{CloneBody, ReplayBody};

/// The frames of a body. An empty one stands for a moment without data.
struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(frame) if frame.is_empty() => Poll::Pending,
            Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
            None => Poll::Ready(None),
        }
    }
}

struct Sending {
    body: ReplayBody<Frames>,
    yielded: Vec<u8>,
    started: bool,
}

fuzz_target!(|data: &[u8]| {
    let [cap, count, rest @ ..] = data else {
        return;
    };
    let (lengths, steps) = rest.split_at(rest.len().min(usize::from(count % 16)));
    let mut next = 0u8;
    let frames: VecDeque<Bytes> = lengths
        .iter()
        .map(|length| {
            let bytes = (0..length % 32).map(|_| {
                next = next.wrapping_add(1);
                next
            });
            bytes.collect()
        })
        .collect();
    let whole: Vec<u8> = frames.iter().flatten().copied().collect();
    let body = ReplayBody::with_cap(Frames(frames), usize::from(*cap));
    let mut sendings = vec![Some(Sending {
        body,
        yielded: Vec::new(),
        started: false,
    })];
    for step in steps {
        let count = sendings.len();
        let index = usize::from(step >> 2) % count;
        let Some(sending) = &mut sendings[index] else {
            continue;
        };
        match step & 3 {
            0 => poll(&mut sendings[index], &whole),
            1 if count < 32 => {
                let clone = sending.body.try_clone_body();
                assert!(
                    clone.is_none() || !sending.started,
                    "cloned when it was half sent"
                );
                sendings.extend(clone.map(|body| {
                    Some(Sending {
                        body,
                        yielded: Vec::new(),
                        started: false,
                    })
                }));
            }
            2 if !sending.started => {
                let could = sending.body.can_replay();
                assert_eq!(sending.body.take_over(), could);
            }
            _ => sendings[index] = None,
        }
    }
});

fn poll(slot: &mut Option<Sending>, whole: &[u8]) {
    let Some(sending) = slot else {
        return;
    };
    sending.started = true;
    let cx = &mut Context::from_waker(Waker::noop());
    match Pin::new(&mut sending.body).poll_frame(cx) {
        Poll::Ready(Some(Ok(frame))) => {
            sending.yielded.extend(frame.into_data().unwrap());
            assert!(
                whole.starts_with(&sending.yielded),
                "other bytes than the body's"
            );
        }
        Poll::Ready(None) => {
            assert_eq!(sending.yielded, whole, "an end before the end");
            *slot = None;
        }
        Poll::Ready(Some(Err(_))) => *slot = None,
        Poll::Pending => {}
    }
}
