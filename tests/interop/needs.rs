//! Whether a server's programs are installed.

use std::{
    env,
    path::{Path, PathBuf},
};

#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// In the `PATH`.
    Command(&'static str),
    /// A file or folder.
    Path(&'static str),
    /// A package of npm, which the install script puts into the target folder.
    Module(&'static str),
}

/// The first of them that is not there.
pub(crate) fn missing(needs: &[Need]) -> Option<String> {
    needs.iter().find(|need| !need.is_met()).map(Need::name)
}

/// Where this package's files are.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The folder in the target folder that belongs to this suite.
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
