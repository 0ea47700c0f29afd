//! The cost of `ReplayBody` for a stream: `cargo bench --bench replay`.
//!
//! Streams 1 GiB in frames of 64 KiB: bare, through a `ReplayBody` whose limit it exceeds, and
//! through one that keeps everything. Meanwhile, a copy is held for the retry, as in the layer. All
//! frames share one piece of memory, so that creating data is not measured. The reported memory is
//! the cost of kept frames in addition to their data. Each variant runs twice: without a consumer,
//! to measure the cost per frame, and into a socket on loopback, to relate that to a real stream.
//! Futures are polled by hand. The variants take turns, and medians are reported. `BENCH_QUICK=1`
//! makes a short run.

mod memory;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::{
    convert::Infallible,
    hint::black_box,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    pin::Pin,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tower_auth::{CloneBody, ReplayBody};

use self::support::{
    is_quick, median,
    report::{Report, Table, number, text},
};

const FRAME: usize = 64 * 1024;
const CAP: usize = 64 * 1024;

/// Yields the same frame a number of times.
struct Frames {
    frame: Bytes,
    left: usize,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.frame.clone()))))
    }

    fn size_hint(&self) -> SizeHint {
        // The size is unknown, as for a stream. If it were known to exceed the cap, nothing would
        // be kept.
        SizeHint::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Bare,
    OverTheCap,
    UnderTheCap,
}

const VARIANTS: [(Variant, &str); 3] = [
    (Variant::Bare, "bare"),
    (Variant::OverTheCap, "ReplayBody, over its cap"),
    (Variant::UnderTheCap, "ReplayBody, under its cap"),
];

fn main() -> io::Result<()> {
    let quick = is_quick();
    let (frames, rounds) = if quick { (1024, 3) } else { (16 * 1024, 15) };
    let megabytes = frames * FRAME / 1024 / 1024;

    let mut report = Report::new("replay");
    let title = format!("{megabytes} MiB, data discarded");
    report.table(table(title, frames, rounds, None));
    let title = format!("{megabytes} MiB into a socket on loopback");
    report.table(table(title, frames, rounds, Some(&socket()?)));
    report.finish()?;
    println!("every frame is the memory that was put in: no byte was copied");
    Ok(())
}

/// Measures all variants.
fn table(title: String, frames: usize, rounds: usize, socket: Option<&TcpStream>) -> Table {
    let frame = Bytes::from(vec![7; FRAME]);
    let mut times = vec![Vec::new(); VARIANTS.len()];
    let mut peaks = vec![0; VARIANTS.len()];
    for _ in 0..rounds {
        for (index, (variant, _)) in VARIANTS.iter().enumerate() {
            let body = Frames {
                frame: frame.clone(),
                left: frames,
            };
            let before = memory::start();
            times[index].push(stream(*variant, body, &frame, socket).as_secs_f64());
            peaks[index] = memory::peak() - before;
        }
    }
    let columns = ["", "ms", "/ bare", "ns per frame", "extra KiB"];
    let mut table = Table::new(title, &columns);
    let mut bare = None;
    for (((_, name), times), peak) in VARIANTS.iter().zip(times).zip(peaks) {
        let time = median(times);
        let bare = *bare.get_or_insert(time);
        table.row([
            text(*name),
            number(time * 1e3, 2),
            number(time / bare, 3),
            number(time * 1e9 / frames as f64, 1),
            number(peak as f64 / 1024.0, 1),
        ]);
    }
    table
}

/// Opens a connection whose other end reads and discards everything.
fn socket() -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut reader, _) = listener.accept()?;
    thread::spawn(move || {
        let mut buffer = vec![0; FRAME];
        while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    Ok(stream)
}

/// Streams a body to its end.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn stream(variant: Variant, body: Frames, frame: &Bytes, socket: Option<&TcpStream>) -> Duration {
    let start = Instant::now();
    match variant {
        Variant::Bare => drain(body, frame, socket),
        Variant::OverTheCap => {
            drain_with_copy(ReplayBody::with_cap(body, CAP), frame, socket);
        }
        Variant::UnderTheCap => {
            drain_with_copy(ReplayBody::with_cap(body, usize::MAX), frame, socket);
        }
    }
    start.elapsed()
}

fn drain_with_copy(body: ReplayBody<Frames>, frame: &Bytes, socket: Option<&TcpStream>) {
    let copy = body.try_clone_body();
    drain(body, frame, socket);
    drop(black_box(copy));
}

/// Consumes a body as a client does.
fn drain<B: Body<Data = Bytes>>(body: B, original: &Bytes, socket: Option<&TcpStream>) {
    let mut body = std::pin::pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        if let Ok(data) = frame.into_data() {
            assert_eq!(data.as_ptr(), original.as_ptr(), "the data was copied");
            if let Some(mut socket) = socket {
                socket.write_all(&data).expect("the reader reads");
            }
            black_box(data);
        }
    }
}
