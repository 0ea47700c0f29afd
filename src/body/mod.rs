//! Bodies: cloning, replaying and draining them.

mod clone;
mod drain;

pub use self::clone::CloneBody;
pub(crate) use self::drain::Drain;
