//! Log-ins in a browser, and servers that describe themselves.

mod code;
mod device;
mod discovery;
mod implicit;
mod loopback;
mod server;
