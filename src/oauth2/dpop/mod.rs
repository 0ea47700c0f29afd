//! Tokens that are bound to a key (DPoP, RFC 9449).

mod key;
mod nonces;
mod proof;
mod provider;
#[cfg(test)]
mod tests;
mod token;

pub use self::{key::DpopKey, provider::Dpop, token::DpopToken};
pub(super) use self::{nonces::asks_for_nonce, proof::Use};

use http::HeaderName;

/// Where a proof goes.
pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");
