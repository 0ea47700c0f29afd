//! The builder for all grants and logins.

mod discover;
mod settings;
mod standard;

pub use self::settings::Builder;
