//! Ten processes that share one rotating refresh token, or one client's access token, in a store.
//!
//! The server revokes the whole token family if a refresh token is spent twice.

mod access_token;
mod backend;
mod chaos;
mod fleet;
mod log_out;
#[cfg(feature = "redis")]
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "../support/redis.rs"]
mod redis_server;
mod refresh_token;
mod server;
mod sharing;
mod watched;
mod worker;

/// Only one fleet runs at a time, because its callers keep the whole machine busy.
static EXCLUSIVE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
