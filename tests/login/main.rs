//! Log-ins in a browser, and servers that describe themselves.

mod code;
mod device;
mod discovery;
#[cfg(feature = "implicit")]
mod implicit;
mod loopback;
mod server;
