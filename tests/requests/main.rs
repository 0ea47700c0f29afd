//! How the layer processes requests: attaching, rejection, retry. The API is in memory, and time is
//! paused.

mod attach;
mod memory;
mod readiness;
mod retry;
