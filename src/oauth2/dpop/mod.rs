//! Sender-constrained tokens (DPoP, RFC 9449).

mod key;
mod nonces;
#[cfg(test)]
mod tests;
mod token;

pub(super) use self::{
    key::DPOP,
    nonces::{Use, asks_for_nonce},
};
pub use self::{key::DpopKey, token::DpopToken};
