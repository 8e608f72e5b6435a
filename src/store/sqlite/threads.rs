//! The threads that talk to SQLite, since its calls block.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failed;
use crate::{StoreError, StoreErrorKind};

/// How many calls may wait for a thread. Beyond it the store is unavailable: better than memory
/// that grows as long as the disk hangs.
const QUEUE: usize = 10_000;

/// How many writes share one transaction, and so one wait for the disk.
const GROUP: usize = 256;

/// A thread with its connection and its queue. Dropping it lets the queue run empty, then joins.
struct Thread<J> {
    queue: Option<SyncSender<J>>,
    handle: Option<JoinHandle<()>>,
}

impl<J: Send + 'static> Thread<J> {
    fn start(work: impl FnOnce(Receiver<J>) + Send + 'static) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let handle = std::thread::Builder::new()
            .name("api-tokens".to_owned())
            .spawn(move || work(jobs))
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Unavailable, "start a thread").with_source(error)
            })?;
        Ok(Self { queue: Some(queue), handle: Some(handle) })
    }

    fn send(&self, job: J) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                StoreError::new(StoreErrorKind::Unavailable, "too many calls are waiting")
            }
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

impl<J> Drop for Thread<J> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(handle) = self.handle.take() {
            // A thread that panicked has nothing more to say.
            let _ = handle.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the store's thread has stopped")
}

async fn answer<T>(answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Threads that read, each call going to the next one.
pub(super) struct Readers {
    threads: Vec<Thread<Read>>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> Result<Self, StoreError> {
        let start = |connection: Connection| {
            Thread::start(move |jobs: Receiver<Read>| {
                for job in jobs {
                    job(&connection);
                }
            })
        };
        let threads = connections.into_iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { threads, next: AtomicUsize::new(0) })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, received) = oneshot::channel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let thread = turn.checked_rem(self.threads.len()).and_then(|i| self.threads.get(i));
        thread.ok_or_else(stopped)?.send(Box::new(move |connection| {
            // Nobody waits if the caller has given up.
            let _ = reply.send(work(connection));
        }))?;
        answer(received).await
    }
}

/// Why a transaction that several callers share came to nothing.
#[derive(Clone)]
struct Failure {
    kind: StoreErrorKind,
    message: String,
}

impl Failure {
    fn of(error: &StoreError) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }

    fn to_error(&self) -> StoreError {
        StoreError::new(self.kind, "the transaction was undone").with_source(self.message.clone())
    }
}

/// Works within the transaction, unless that has failed already.
type Write = Box<dyn FnOnce(Result<&Connection, &Failure>) -> Written + Send>;

struct Written {
    /// Why the transaction must be undone.
    failure: Option<Failure>,
    /// Answers the caller.
    answer: Box<Answer>,
}

/// Called once it is known how the transaction ended.
type Answer = dyn FnOnce(Result<(), &Failure>);

/// The thread that writes. Calls that come while another transaction waits for the disk share the
/// next one.
pub(super) struct Writer {
    thread: Thread<Write>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let thread = Thread::start(move |jobs: Receiver<Write>| {
            while let Ok(first) = jobs.recv() {
                let more = jobs.try_iter().take(GROUP.saturating_sub(1));
                write_together(&connection, core::iter::once(first).chain(more));
            }
        })?;
        Ok(Self { thread })
    }

    /// Runs `work` in a transaction, and answers when that is committed.
    ///
    /// `Conflict` must mean that `work` has written nothing. Any other error undoes the
    /// transaction, for all who share it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, received) = oneshot::channel();
        self.thread.send(Box::new(move |connection| {
            let result = connection.map_err(Failure::to_error).and_then(work);
            let failure = match &result {
                Ok(_) => None,
                Err(error) => match error.kind() {
                    StoreErrorKind::Conflict => None,
                    _ => Some(Failure::of(error)),
                },
            };
            let answer = move |end: Result<(), &Failure>| {
                let result = result.and_then(|value| match end {
                    Ok(()) => Ok(value),
                    Err(failure) => Err(failure.to_error()),
                });
                // Nobody waits if the caller has given up.
                let _ = reply.send(result);
            };
            Written { failure, answer: Box::new(answer) }
        }))?;
        answer(received).await
    }
}

fn write_together(connection: &Connection, writes: impl Iterator<Item = Write>) {
    let execute = |statement: &'static str| {
        connection
            .execute_batch(statement)
            .map_err(failed(statement))
            .map_err(|error| Failure::of(&error))
    };
    let mut transaction = execute("BEGIN IMMEDIATE");
    let mut answers = Vec::new();
    for write in writes {
        let written = write(transaction.as_ref().map(|()| connection));
        answers.push(written.answer);
        if let (Ok(()), Some(failure)) = (&transaction, written.failure) {
            transaction = Err(failure);
        }
    }
    let end = transaction.and_then(|()| execute("COMMIT"));
    if end.is_err() && !connection.is_autocommit() {
        // Should this fail as well, the next BEGIN does too, and says so.
        let _ = execute("ROLLBACK");
    }
    for answer in answers {
        answer(end.as_ref().copied());
    }
}
