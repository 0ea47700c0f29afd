//! Signed JWTs (RFC 7515, RFC 7519), and clients that prove with them who they are (RFC 7523).

mod assertion;
mod builder;
mod jwk;
mod key;
mod local;
mod pem;
#[cfg(test)]
mod tests;

pub use self::key::{SigningAlgorithm, SigningKey};
pub(super) use self::{
    assertion::{AssertionMode, ClientAssertion},
    local::hmac_sha256,
};
