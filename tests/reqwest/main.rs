//! reqwest and reqwest-middleware over real loopback connections.

mod middleware;
mod redirects;
mod server;
mod service;
