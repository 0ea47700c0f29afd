//! Checks whether a server's programs are installed.

use std::{
    env,
    path::{Path, PathBuf},
};

#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// A program in the `PATH`.
    Command(&'static str),
    /// A file or folder.
    Path(&'static str),
    /// An npm package, which the install script puts into the target folder.
    Module(&'static str),
}

/// Returns the first need that is missing.
pub(crate) fn missing(needs: &[Need]) -> Option<String> {
    needs.iter().find(|need| !need.is_met()).map(Need::name)
}

/// Returns the package's root folder.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// Returns this suite's folder within the target folder.
pub(crate) fn workshop() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target)
        .join("interop")
}

impl Need {
    fn is_met(&self) -> bool {
        match self {
            Self::Command(name) => env::var_os("PATH")
                .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(name).is_file())),
            Self::Path(path) => Path::new(path).exists(),
            Self::Module(name) => workshop().join("node_modules").join(name).exists(),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Command(name) | Self::Path(name) => (*name).to_owned(),
            Self::Module(name) => format!("npm package {name}"),
        }
    }
}
