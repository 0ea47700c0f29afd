//! Signed JWTs (RFC 7515, RFC 7519), and client authentication with them (RFC 7523).

mod algorithm;
mod assertion;
mod builder;
pub(super) mod jwk;
mod key;
mod local;
#[cfg(test)]
mod tests;

pub use self::{algorithm::SigningAlgorithm, key::SigningKey};
#[cfg(feature = "dpop")]
pub(super) use self::{
    assertion::random_id,
    key::{compact, signing_input},
    local::LocalKey,
};
pub(super) use self::{
    assertion::{AssertionMode, ClientAssertion},
    local::hmac_sha256,
};
