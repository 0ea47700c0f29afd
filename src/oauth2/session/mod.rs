//! The tokens of one user or client, in this process and in the store.
//!
//! For all grants, with or without a store, this module decides whether to contact the server and
//! what to do with its response.

mod issue;
mod lock;
mod locked;
mod log_out;
mod save_retry;
mod shared;
mod spend;
mod state;

pub(super) use self::{
    shared::{Session, SessionSettings},
    state::{RequestTime, tokens},
};
