//! The challenges in a rejection: what `WWW-Authenticate` asks for (RFC 9110 section 11.6.1).
//!
//! Providers get them in [`RefreshContext::challenges`](crate::RefreshContext::challenges). Most
//! programs do not need this module.

mod error_code;
mod parse;
mod step_up;

#[cfg(test)]
mod tests;

pub(crate) use self::error_code::{ErrorCode, error_code};
pub use self::{parse::Challenge, step_up::StepUp};
