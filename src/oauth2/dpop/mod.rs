//! Sender-constrained tokens (DPoP, RFC 9449).

mod key;
mod nonces;
mod proof;
#[cfg(test)]
mod tests;
mod token;

pub use self::{key::DpopKey, token::DpopToken};
pub(super) use self::{
    nonces::{Use, asks_for_nonce},
    proof::DPOP,
};
