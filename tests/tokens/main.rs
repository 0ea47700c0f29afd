//! Providers with refresh tokens, passwords and stores, through the layer. An in-memory token server
//! records its requests, and time is paused.

#[cfg(feature = "jwt")]
mod assertions;
mod clients;
mod errors;
mod failing_store;
mod faulty;
mod log_out;
mod password_grant;
mod password_login;
mod refresh_token;
mod server;
mod shared_store;
mod statics;
mod step_up;
mod subjects;
