//! Log-ins in a browser, and servers that describe themselves.

mod code;
mod discovery;
mod implicit;
mod loopback;
mod server;
