//! A network between the verifiers and the server: a TCP proxy that stops, delays or trickles what
//! goes through it.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// What the network does to each direction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    pub(crate) to_server: Flow,
    pub(crate) from_server: Flow,
    /// To the connection that listens for notifications alone.
    pub(crate) to_listener: Flow,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Flow {
    #[default]
    Free,
    /// Nothing comes through, and nobody is told. What was sent comes later, as it does when TCP
    /// sends it again.
    Stopped,
    /// Everything comes so much later.
    Delayed(Duration),
    /// A few bytes at a time.
    Trickling,
}

impl Weather {
    fn to_client(self, is_listener: bool) -> Flow {
        match self.to_listener {
            Flow::Free => self.from_server,
            flow if is_listener => flow,
            _ => self.from_server,
        }
    }
}

pub(crate) struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let weather = watch::Sender::new(Weather::default());
        let server = SocketAddr::from(([127, 0, 0, 1], server_port));
        let following = weather.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server, following.clone()));
            }
        });
        Self { port, weather, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, server: SocketAddr, weather: watch::Sender<Weather>) {
    passage(&weather, |weather| weather.to_server).await;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let is_listener = watch::Sender::new(false);
    tokio::join!(
        carry(
            from_client,
            to_server,
            &weather,
            |weather| weather.to_server,
            |bytes| {
                if bytes.windows(6).any(|word| word == b"LISTEN") {
                    is_listener.send_replace(true);
                }
            }
        ),
        carry(
            from_server,
            to_client,
            &weather,
            |weather| weather.to_client(*is_listener.borrow()),
            |_| {}
        ),
    );
}

/// Until one end closes the connection; that is passed on like everything else.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    weather: &watch::Sender<Weather>,
    direction: impl Fn(&Weather) -> Flow,
    mut look: impl FnMut(&[u8]),
) {
    const PIECE: usize = 24;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let bytes = &buffer[..read];
        look(bytes);
        passage(weather, &direction).await;
        let flow = direction(&weather.borrow());
        let written = match flow {
            _ if bytes.is_empty() => break,
            Flow::Trickling => trickle(&mut to, bytes.chunks(PIECE)).await,
            Flow::Delayed(delay) => {
                sleep(delay).await;
                to.write_all(bytes).await
            }
            Flow::Free | Flow::Stopped => to.write_all(bytes).await,
        };
        if written.is_err() {
            break;
        }
    }
}

async fn trickle(
    to: &mut OwnedWriteHalf,
    pieces: impl Iterator<Item = &[u8]>,
) -> std::io::Result<()> {
    for piece in pieces {
        to.write_all(piece).await?;
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Waits until something may pass.
async fn passage(weather: &watch::Sender<Weather>, direction: impl Fn(&Weather) -> Flow) {
    let mut changes = weather.subscribe();
    // Never fails, since we hold a sender.
    let _ = changes.wait_for(|weather| !matches!(direction(weather), Flow::Stopped)).await;
}
