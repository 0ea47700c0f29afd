//! reqwest and reqwest-middleware, on real connections over loopback.

mod middleware;
mod redirects;
mod server;
mod service;
