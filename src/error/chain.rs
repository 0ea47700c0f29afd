//! Boxed errors, and printing an error with all of its sources.

use std::{error::Error, fmt};

/// A boxed error of any type, as used by tower's middleware.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Prints the messages of an error and of its sources, joined by `: `; `Debug` quotes the text.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// Implements `Debug` with the messages of the whole chain, and then the listed fields.
macro_rules! chain_debug {
    ($error:ident $(, $field:ident)*) => {
        impl std::fmt::Debug for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut debug = f.debug_tuple(stringify!($error));
                debug.field(&$crate::error::Chain(self)) $(.field(&self.$field))*.finish()
            }
        }
    };
}
pub(crate) use chain_debug;
