//! Hints that there was a change: a connection of its own that listens.

use core::{future::poll_fn, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_postgres::{AsyncMessage, Error};

use super::connect::Connector;

/// The pauses between attempts to connect.
const PAUSES: core::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(30);
/// How often a silent connection is asked whether it is there.
const CHECK: Duration = Duration::from_secs(30);

/// Listens until it is dropped.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    pub(super) fn start(
        connector: Connector,
        channel: String,
        patience: Duration,
        hints: watch::Sender<()>,
    ) -> Self {
        Self(tokio::spawn(async move {
            let mut pause = *PAUSES.start();
            loop {
                if listen(&connector, &channel, patience, &hints).await {
                    pause = *PAUSES.start();
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(*PAUSES.end());
            }
        }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens until the connection fails. Returns whether it ever listened.
async fn listen(
    connector: &Connector,
    channel: &str,
    patience: Duration,
    hints: &watch::Sender<()>,
) -> bool {
    let Ok(Ok((client, mut connection))) = timeout(patience, connector.connect()).await else {
        return false;
    };
    let receive = async {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                hints.send_replace(());
            }
        }
    };
    let mut listened = false;
    let talk = async {
        let answered = |result: Result<Result<(), Error>, _>| matches!(result, Ok(Ok(())));
        let listen = format!("LISTEN \"{channel}\"");
        if answered(timeout(patience, client.batch_execute(&listen)).await) {
            listened = true;
            // There may have been changes while nobody listened.
            hints.send_replace(());
            loop {
                tokio::time::sleep(CHECK).await;
                if !answered(timeout(patience, client.check_connection()).await) {
                    break;
                }
            }
        }
    };
    either(receive, talk).await;
    listened
}

/// Runs both until one of them ends.
async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (core::pin::pin!(one), core::pin::pin!(other));
    poll_fn(|context| {
        let ended =
            one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready();
        if ended { core::task::Poll::Ready(()) } else { core::task::Poll::Pending }
    })
    .await;
}
