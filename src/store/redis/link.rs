//! The connection, made anew when it has broken.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

use super::said::{no_connection, said};
use crate::store::StoreError;

/// How long connecting may take, and how long an answer.
const STEP: Duration = Duration::from_secs(2);
/// All of it: less than the 5 s that an operation of a store has, so that the error says more.
const MOST: Duration = Duration::from_millis(4500);

type Connecting = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// One connection, on which the commands of all callers travel together.
pub(super) struct Link {
    client: Client,
    /// Those who come while it is being made wait for the same one, and share its failure.
    connection: Mutex<Option<Arc<Connecting>>>,
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            connection: Mutex::new(None),
        }
    }

    /// Runs a script. If the connection breaks meanwhile, it is not known whether it ran; what
    /// may be done twice is then sent once more.
    pub(super) async fn run(
        &self,
        script: &ScriptInvocation<'_>,
        may_be_done_twice: bool,
    ) -> Result<Vec<Value>, StoreError> {
        let work = |mut connection| async move { script.invoke_async(&mut connection).await };
        self.work(may_be_done_twice, work)
            .await?
            .map_err(|error| StoreError::new(said(&error)))
    }

    /// One of the server's settings, if it tells.
    pub(super) async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let work = |mut connection: MultiplexedConnection| async move {
            let mut command = redis::cmd("CONFIG");
            command.arg("GET").arg(name);
            command.query_async::<Vec<String>>(&mut connection).await
        };
        match self.work(true, work).await? {
            Ok(pair) => Ok(pair.into_iter().nth(1)),
            Err(error) if is_broken(&error) => Err(StoreError::new(said(&error))),
            // Managed servers forbid the question.
            Err(_) => Ok(None),
        }
    }

    async fn work<T, F>(
        &self,
        mut may_be_done_twice: bool,
        work: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<Result<T, RedisError>, StoreError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let all = async {
            loop {
                let connecting = self.connecting();
                let connection = match Connecting::clone(&connecting).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        self.discard(&connecting);
                        return Err(StoreError::new(no_connection(&error)));
                    }
                };
                let result = work(connection).await;
                let Err(error) = &result else {
                    return Ok(result);
                };
                if is_broken(error) {
                    self.discard(&connecting);
                }
                // The server may have closed it long ago, when it was restarted.
                if !may_be_done_twice || !error.is_connection_dropped() {
                    return Ok(result);
                }
                may_be_done_twice = false;
            }
        };
        let late = |_| Err(StoreError::new("no answer within 4.5 s"));
        timeout(MOST, all).await.unwrap_or_else(late)
    }

    fn connecting(&self) -> Arc<Connecting> {
        let mut slot = self.slot();
        let connecting = slot.get_or_insert_with(|| {
            let client = self.client.clone();
            // In a task of its own: those who wait for it may go away.
            let task = tokio::spawn(async move {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(STEP))
                    .set_response_timeout(Some(STEP));
                client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await
            });
            let connection = task.map(|joined| {
                joined.unwrap_or_else(|ended| {
                    // TLS libraries panic when they lack a part.
                    let why = match ended.is_panic() {
                        true => "connecting panicked: is TLS set up as RedisStore's docs say?",
                        false => "the runtime is shutting down",
                    };
                    Err((ErrorKind::Client, why).into())
                })
            });
            Arc::new(connection.boxed().shared())
        });
        Arc::clone(connecting)
    }

    /// The next one to come makes a new connection, unless somebody has already.
    fn discard(&self, broken: &Arc<Connecting>) {
        let mut slot = self.slot();
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, broken))
        {
            *slot = None;
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Connecting>>> {
        // Nothing panics while it is held.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another connection might do better: this one is closed or does not answer, or leads to
/// a server that has been made a replica.
fn is_broken(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => kind == ServerErrorKind::ReadOnly,
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}
