//! Logins in a browser and with a device code, and discovery.

mod code;
mod device;
mod discovery;
#[cfg(feature = "implicit")]
mod implicit;
mod loopback;
mod server;
