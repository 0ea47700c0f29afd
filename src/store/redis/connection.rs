//! One shared connection, which is replaced when it breaks.
//!
//! The `redis` crate's `ConnectionManager` (feature `connection-manager`, version 1.8) is not used,
//! for three reasons that were found by running it against a server:
//!
//! - If an attempt to reconnect fails with anything other than an I/O error (a password that is
//!   being changed, `max number of clients reached`), the manager returns that error forever and
//!   never connects again.
//! - It keeps a connection on which responses time out, so after a silent failover every operation
//!   times out until the operating system gives up on the connection. That can take 15 minutes.
//! - It reconnects right after a failure and stores the outcome. The first operation after an
//!   outage therefore fails with that old error, even if the server has been back for hours.
//!
//! The tests `a_refused_reconnection_is_attempted_again`, `a_silent_connection_is_replaced` and
//! `a_restarted_server_is_found_and_has_kept_everything` cover these cases.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, ScriptInvocation, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

use crate::{store::StoreError, sync::lock};

/// The time limit for connecting, and for each response.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit for a whole operation, including reconnecting. It is shorter than the 5 s limit
/// of every store, so that callers get this module's more specific error.
const OPERATION_TIMEOUT: Duration = Duration::from_millis(4500);

type Connecting = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// A connection that all callers share. Their commands are pipelined on it.
pub(super) struct Connection {
    client: Client,
    /// Callers that arrive while the connection is being established wait for the same attempt and
    /// share its failure.
    current: Mutex<Option<Arc<Connecting>>>,
}

impl Connection {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            current: Mutex::new(None),
        }
    }

    /// Runs a script.
    ///
    /// If the connection breaks in the meantime, it is unknown whether the script ran. An
    /// idempotent script is then sent a second time.
    pub(super) async fn run(
        &self,
        script: &ScriptInvocation<'_>,
        is_idempotent: bool,
    ) -> Result<Vec<Value>, StoreError> {
        let send = |mut connection| async move { script.invoke_async(&mut connection).await };
        self.send(is_idempotent, send)
            .await?
            .map_err(|error| StoreError::new(error_text(&error)))
    }

    /// Returns one of the server's settings, or `None` if the server does not reveal it.
    pub(super) async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let send = |mut connection: MultiplexedConnection| async move {
            let mut command = redis::cmd("CONFIG");
            command.arg("GET").arg(name);
            command.query_async::<Vec<String>>(&mut connection).await
        };
        match self.send(true, send).await? {
            Ok(pair) => Ok(pair.into_iter().nth(1)),
            Err(error) if is_broken(&error) => Err(StoreError::new(error_text(&error))),
            // Managed servers often forbid `CONFIG GET`.
            Err(_) => Ok(None),
        }
    }

    async fn send<T, F>(
        &self,
        mut may_send_again: bool,
        send: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<Result<T, RedisError>, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let attempts = async {
            loop {
                let connecting = self.connecting();
                let connection = match Connecting::clone(&connecting).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        self.discard(&connecting);
                        return Err(StoreError::new(connect_error_text(&error)));
                    }
                };
                let result = send(connection).await;
                let Err(error) = &result else {
                    return Ok(result);
                };
                if is_broken(error) {
                    self.discard(&connecting);
                }
                // The connection may have been closed long ago, when the server was restarted.
                if !may_send_again || !error.is_connection_dropped() {
                    return Ok(result);
                }
                may_send_again = false;
            }
        };
        let late = |_| Err(StoreError::new("no response within 4.5 s"));
        timeout(OPERATION_TIMEOUT, attempts)
            .await
            .unwrap_or_else(late)
    }

    fn connecting(&self) -> Arc<Connecting> {
        let mut current = lock(&self.current);
        let connecting = current.get_or_insert_with(|| {
            let client = self.client.clone();
            // Use a separate task, so that a canceled caller does not cancel the attempt.
            let task = tokio::spawn(async move {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(STEP_TIMEOUT))
                    .set_response_timeout(Some(STEP_TIMEOUT));
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            });
            let connection = task.map(|joined| {
                joined.unwrap_or_else(|ended| {
                    // TLS libraries panic if no crypto provider is installed.
                    let why = match ended.is_panic() {
                        true => "connecting panicked: is TLS set up as RedisStore's docs describe?",
                        false => "the runtime is shutting down",
                    };
                    Err((ErrorKind::Client, why).into())
                })
            });
            Arc::new(connection.boxed().shared())
        });
        Arc::clone(connecting)
    }

    /// Makes the next caller connect again, unless another caller has already discarded `broken`.
    fn discard(&self, broken: &Arc<Connecting>) {
        let is_current = |current: &mut Arc<Connecting>| Arc::ptr_eq(current, broken);
        lock(&self.current).take_if(is_current);
    }
}

/// Returns whether a new connection might succeed, because this one is closed, does not respond, or
/// leads to a server that has become a replica.
fn is_broken(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => kind == ServerErrorKind::ReadOnly,
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

/// Describes a failure to connect, without secrets.
fn connect_error_text(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::AuthenticationFailed => "cannot connect: the server rejects the user name or \
            the password of the URL, or requires one: correct the URL"
            .to_owned(),
        _ => format!("cannot connect: {}", error_text(error)),
    }
}

/// Describes a server's error or a connection's failure.
fn error_text(error: &RedisError) -> String {
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
        // The error texts of other kinds can contain the data that was sent.
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

    /// Some proxies do not support scripts.
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
