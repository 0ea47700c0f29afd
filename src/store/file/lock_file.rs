//! Files whose locks the operating system releases when a process ends.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

/// Opens or creates a file that exists only to be locked.
pub(super) fn lock_file(path: &Path) -> io::Result<File> {
    refuse_link(path)?;
    owner_only(OpenOptions::new().write(true).create(true).truncate(false)).open(path)
}

/// Returns whether a process holds the lock on this file.
pub(super) fn holds(path: &Path) -> io::Result<bool> {
    refuse_link(path)?;
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Rejects a symbolic link, which could lead to a file that must not be touched.
pub(super) fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(io::Error::other(format!(
            "{} is a symbolic link, which is not followed",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Makes new files readable by their owner only.
#[cfg(unix)]
pub(super) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    options.mode(0o600)
}

#[cfg(not(unix))]
pub(super) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}
