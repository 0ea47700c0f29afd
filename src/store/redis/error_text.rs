//! The texts of errors, without secrets.

use redis::{ErrorKind, RedisError};

pub(super) fn connect_error_text(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::AuthenticationFailed => "cannot connect: the server rejects the user name or \
            the password of the URL, or requires one: correct the URL"
            .to_owned(),
        _ => format!("cannot connect: {}", error_text(error)),
    }
}

/// Describes a server's error or a connection's failure.
pub(super) fn error_text(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no response within 2 s".to_owned();
    }
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => {
            let code = error.code().unwrap_or("error");
            match error.detail().map(without_arguments) {
                Some(detail) if !detail.is_empty() => format!("{code} {detail}"),
                _ => code.to_owned(),
            }
        }
        ErrorKind::Io => error.to_string(),
        ErrorKind::Client => error.to_string().trim_end_matches(" - Client").to_owned(),
        // The texts of other kinds can contain what was sent.
        _ => error.category().to_owned(),
    }
}

/// Removes the arguments that Redis quotes when it does not know a command.
fn without_arguments(detail: &str) -> &str {
    let end = detail.find(", with args").unwrap_or(detail.len());
    detail[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy may not support scripts.
    #[test]
    fn quoted_arguments_are_removed() {
        let text = "unknown command 'EVALSHA', with args beginning with: 'hunter2' ";
        assert_eq!(without_arguments(text), "unknown command 'EVALSHA'");
        assert_eq!(
            without_arguments("max number of clients"),
            "max number of clients"
        );
    }
}
