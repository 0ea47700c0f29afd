//! Errors in words, without secrets.

use redis::{ErrorKind, RedisError};

pub(super) fn no_connection(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::AuthenticationFailed => "no connection: it refuses the user name or the \
            password of the URL, or wants one; correct the URL"
            .to_owned(),
        _ => format!("no connection: {}", said(error)),
    }
}

/// What Redis said, or what became of the connection.
pub(super) fn said(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer within 2 s".to_owned();
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
        // Their texts can hold what was sent.
        _ => error.category().to_owned(),
    }
}

/// Redis answers an unknown command with the beginning of its arguments.
fn without_arguments(detail: &str) -> &str {
    let end = detail.find(", with args").unwrap_or(detail.len());
    detail[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy may know no scripts.
    #[test]
    fn arguments_that_come_back_in_an_error_are_left_out() {
        let said = "unknown command 'EVALSHA', with args beginning with: 'hunter2' ";
        assert_eq!(without_arguments(said), "unknown command 'EVALSHA'");
        assert_eq!(
            without_arguments("max number of clients"),
            "max number of clients"
        );
    }
}
