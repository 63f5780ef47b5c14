//! Lets everything pass between clients and a server, and writes down what clients ask for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::file::{Contents, Recorded, SUFFIX, route};
use super::tap::{Tap, Tapped};
use crate::client::blocking;
use crate::error::{Error, Result};
use crate::http::{Server, inflate};

const CONNECT: Duration = Duration::from_secs(5);
/// A connection on which neither side said anything for longer than any answer takes is closed.
const SILENCE: Duration = Duration::from_secs(620);
/// Largest inflated request.
const MAX_MESSAGE: usize = 1 << 30;

/// Between whom, and where to.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// Address to listen on.
    pub listen: String,
    /// The server; paths pass unchanged.
    pub upstream: Server,
    /// An empty directory, or one that will be made.
    pub out: PathBuf,
    /// Whether contents of files are kept.
    pub contents: Contents,
}

/// A recording proxy that listens.
#[derive(Debug)]
pub struct Recorder {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RecordConfig,
    start: Instant,
    number: AtomicU64,
}

impl Recorder {
    /// Begins to listen.
    ///
    /// # Errors
    /// Names the flag of an address or a directory that cannot be used.
    pub async fn bind(config: RecordConfig) -> Result<Self> {
        let refuse = |flag, reason: String| Error::Config { flag, reason };
        let out = config.out.clone();
        let is_empty = blocking(move || {
            std::fs::create_dir_all(&out).map_err(|error| Error::file(&out, error))?;
            let mut entries = std::fs::read_dir(&out).map_err(|error| Error::file(&out, error))?;
            Ok(entries.next().is_none())
        });
        if !is_empty.await? {
            return Err(refuse("--out", format!("{} is not empty", config.out.display())));
        }
        let listener = TcpListener::bind(&config.listen).await;
        let listener =
            listener.map_err(|error| refuse("--listen", format!("{}: {error}", config.listen)))?;
        let shared = Shared { config, start: Instant::now(), number: AtomicU64::new(0) };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> Result<std::net::SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::file("a socket", error))
    }

    /// Records until `stop`; how many requests were kept.
    ///
    /// # Errors
    /// A request that could not be written down: a recording with holes would be worth little.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<u64> {
        tokio::pin!(stop);
        let mut passing = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => {
                    // A client that is gone already is none.
                    let Ok((client, _)) = accepted else { continue };
                    passing.spawn(pass(client, Arc::clone(&self.shared)));
                }
                Some(ended) = passing.join_next() => {
                    ended.map_err(|error| Error::member("a connection", error))??;
                }
            }
        }
        Ok(self.shared.number.load(Ordering::Relaxed))
    }
}

/// One connection. It ends when either side closes, or breaks; that is theirs to notice.
async fn pass(mut client: TcpStream, shared: Arc<Shared>) -> Result<()> {
    let upstream = &shared.config.upstream;
    let connecting = TcpStream::connect((upstream.host.as_str(), upstream.port));
    let Ok(Ok(mut server)) = timeout(CONNECT, connecting).await else { return Ok(()) };
    // What comes in two pieces goes on in two, neither waiting for the other.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return Ok(());
    }
    let mut tap = Tap::default();
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = timeout(SILENCE, client.read(&mut asked)) => {
                let Ok(Ok(bytes @ 1..)) = read else { return Ok(()) };
                if !write(&mut server, &asked[..bytes]).await {
                    return Ok(());
                }
                for tapped in tap.push(&asked[..bytes]) {
                    shared.keep(tapped).await?;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(bytes @ 1..) = read else { return Ok(()) };
                if !write(&mut client, &answered[..bytes]).await {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether the other side took it.
async fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    matches!(timeout(SILENCE, stream.write_all(bytes)).await, Ok(Ok(())))
}

impl Shared {
    async fn keep(&self, tapped: Tapped) -> Result<()> {
        let Some(path) = route(&tapped.path) else { return Ok(()) };
        let at = Some(self.start.elapsed());
        let (contents, out) = (self.config.contents, self.config.out.clone());
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        blocking(move || {
            let Tapped { encoding, body, .. } = tapped;
            // What the server cannot read either is nothing to be asked again.
            let Ok(message) = inflate(encoding.as_deref(), body, MAX_MESSAGE) else {
                return Ok(());
            };
            let recorded = Recorded { at, path, message: message.into() };
            let Some(recorded) = recorded.kept(contents) else { return Ok(()) };
            let file = out.join(format!("{number:08}.{SUFFIX}"));
            std::fs::write(&file, recorded.to_bytes()).map_err(|error| Error::file(&file, error))
        })
        .await
    }
}
