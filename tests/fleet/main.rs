//! Many processes that share one rotating refresh token, or one client's access token, in a store.
//! The server revokes the whole family of tokens when a refresh token is spent twice.

mod access_token;
mod chaos;
mod fleet;
mod log_out;
mod place;
#[cfg(feature = "redis")]
#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "../support/redis.rs"]
mod redis_server;
mod refresh_token;
mod server;
mod sharing;
mod watched;
mod worker;

/// A fleet of busy callers needs the machine for itself.
static LANE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
