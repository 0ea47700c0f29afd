//! The way of a request through the layer: attached, rejected, sent again. An API in memory, and
//! paused time.

mod attach;
mod memory;
mod readiness;
mod retry;
