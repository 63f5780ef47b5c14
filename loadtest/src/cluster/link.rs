//! A link between two members: a TCP forwarder that can be cut, slowed, refused and healed.
//!
//! A cut link loses nothing and says nothing, as a network that drops packets: what is on its way
//! waits, new connections are taken by the kernel and then hear nothing, nobody gets a reset. Healed,
//! everything flows on.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, Result};

/// Pieces on their way at once in one direction, 64 KiB each at most; a slow link holds so many.
const PIECES: usize = 256;
const PIECE: usize = 64 << 10;
/// A peer on this machine accepts at once or not at all.
const CONNECT: Duration = Duration::from_secs(2);
/// Between tries to have the port again that was given up while the link was refused.
const REBIND: Duration = Duration::from_millis(50);

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Everything waits, silently.
    Cut,
    /// Every piece takes so much longer, in each direction.
    Slow(Duration),
    /// Connections are closed and no new ones accepted.
    Refused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("ok"),
            Self::Cut => f.write_str("cut"),
            Self::Slow(delay) => write!(f, "slow by {} ms", delay.as_millis()),
            Self::Refused => f.write_str("refused"),
        }
    }
}

/// What a link does at the moment.
#[derive(Clone, Copy, Debug)]
struct State {
    fault: Fault,
    /// Whether the member at its end runs: the port of a dead process refuses, and so do we.
    up: bool,
}

impl State {
    fn refuses(&self) -> bool {
        !self.up || self.fault == Fault::Refused
    }

    fn is_cut(&self) -> bool {
        self.fault == Fault::Cut
    }

    fn delay(&self) -> Duration {
        match self.fault {
            Fault::Slow(delay) => delay,
            _ => Duration::ZERO,
        }
    }
}

/// A forwarder from an address of its own to that of a member. Dropping it closes everything.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    /// The member at its end.
    pub(super) target: String,
    pub(super) address: SocketAddr,
    state: watch::Sender<State>,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    /// A link called `name` from `address` to the member `target`, which is at `to`.
    ///
    /// # Errors
    /// When the address is not free.
    pub(super) async fn open(
        name: String,
        target: &str,
        address: SocketAddr,
        to: SocketAddr,
    ) -> Result<Self> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|error| Error::member(&name, error))?;
        let state = watch::Sender::new(State { fault: Fault::None, up: true });
        let task = tokio::spawn(serve(listener, address, to, state.subscribe()));
        let task = AbortOnDropHandle::new(task);
        Ok(Self { name, target: target.to_owned(), address, state, _task: task })
    }

    pub(super) fn fault(&self) -> Fault {
        self.state.borrow().fault
    }

    pub(super) fn set_fault(&self, fault: Fault) {
        self.state.send_modify(|state| state.fault = fault);
    }

    /// Tells whether the member at its end runs.
    pub(super) fn set_up(&self, up: bool) {
        self.state.send_modify(|state| state.up = up);
    }
}

/// Accepts while the link does not refuse; when it begins to, the port and all connections go.
async fn serve(
    first: TcpListener,
    address: SocketAddr,
    to: SocketAddr,
    mut state: watch::Receiver<State>,
) {
    let mut listener = Some(first);
    loop {
        if state.wait_for(|state| !state.refuses()).await.is_err() {
            return;
        }
        let listener = match listener.take() {
            Some(listener) => listener,
            None => bind_again(address).await,
        };
        let mut refused = state.clone();
        tokio::select! {
            _ = refused.wait_for(State::refuses) => {}
            () = accept(&listener, to, &state) => {}
        }
    }
}

async fn bind_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%address, %error, "a link waits for its port"),
        }
        tokio::time::sleep(REBIND).await;
    }
}

async fn accept(listener: &TcpListener, to: SocketAddr, state: &watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(forward(client, to, state.clone()));
                }
                // Out of files, as a rule: some have to be closed first.
                Err(_) => tokio::time::sleep(REBIND).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection to its end. Errors show as the close of both sides.
async fn forward(client: TcpStream, to: SocketAddr, mut state: watch::Receiver<State>) {
    if state.wait_for(|state| !state.is_cut()).await.is_err() {
        return;
    }
    let Ok(Ok(server)) = tokio::time::timeout(CONNECT, TcpStream::connect(to)).await else {
        return;
    };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let there = pump(client_reads, server_writes, state.clone());
    let back = pump(server_reads, client_writes, state);
    // A side that broke ends both; a side that merely has no more to say does not.
    let _broken = tokio::try_join!(there, back);
}

/// Passes bytes on as the link's state has it, until the end of `from`.
async fn pump(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::try_join!(take(from, sender, state.clone()), give(to, receiver, state))?;
    Ok(())
}

async fn take(
    mut from: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<(Instant, Bytes)>,
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let read = from.read_buf(&mut buffer).await?;
        let delay = match state.wait_for(|state| !state.is_cut()).await {
            Ok(state) => state.delay(),
            Err(_) => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        if pieces.send((Instant::now() + delay, buffer.split().freeze())).await.is_err() {
            return Ok(());
        }
    }
}

async fn give(
    mut to: impl AsyncWrite + Unpin,
    mut pieces: mpsc::Receiver<(Instant, Bytes)>,
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    while let Some((due, piece)) = pieces.recv().await {
        tokio::time::sleep_until(due).await;
        if state.wait_for(|state| !state.is_cut()).await.is_err() {
            return Ok(());
        }
        to.write_all(&piece).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::time::timeout;

    use super::*;

    const AGES: Duration = Duration::from_secs(24 * 60 * 60);

    fn pumped(fault: Fault) -> (DuplexStream, DuplexStream, watch::Sender<State>) {
        let state = watch::Sender::new(State { fault, up: true });
        let (ours, from) = tokio::io::duplex(1024);
        let (to, theirs) = tokio::io::duplex(1024);
        tokio::spawn(pump(from, to, state.subscribe()));
        (ours, theirs, state)
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_link_is_silent_and_loses_nothing() {
        let (mut ours, mut theirs, state) = pumped(Fault::None);
        let mut read = [0; 2];
        ours.write_all(b"ab").await.expect("written");
        theirs.read_exact(&mut read).await.expect("passed on");
        state.send_modify(|state| state.fault = Fault::Cut);
        ours.write_all(b"cd").await.expect("written");
        drop(ours);
        assert!(timeout(AGES, theirs.read_exact(&mut read)).await.is_err(), "cut");
        state.send_modify(|state| state.fault = Fault::None);
        theirs.read_exact(&mut read).await.expect("passed on");
        assert_eq!(&read, b"cd");
        assert_eq!(theirs.read(&mut read).await.expect("the end"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_link_delays_each_piece_and_holds_back_none() {
        let delay = Duration::from_secs(2);
        let (mut ours, mut theirs, _state) = pumped(Fault::Slow(delay));
        let begun = Instant::now();
        let mut read = [0; 1];
        ours.write_all(b"a").await.expect("written");
        tokio::time::sleep(Duration::from_secs(1)).await;
        ours.write_all(b"b").await.expect("written");
        theirs.read_exact(&mut read).await.expect("passed on");
        assert_eq!(begun.elapsed().as_secs(), 2);
        theirs.read_exact(&mut read).await.expect("passed on");
        assert_eq!(begun.elapsed().as_secs(), 3);
    }

    #[tokio::test]
    async fn the_port_of_a_dead_member_refuses_and_is_back_with_it() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = server.local_addr().expect("an address");
        let address = super::super::ports::Ports::new().take().expect("a port");
        let link = Link::open("a>b".into(), "b", address, to).await.expect("opened");
        let mut client = TcpStream::connect(address).await.expect("accepted");
        let (mut accepted, _) = server.accept().await.expect("forwarded");
        accepted.write_all(b"x").await.expect("written");
        assert_eq!(client.read_u8().await.expect("passed on"), b'x');

        link.set_up(false);
        client.read_u8().await.expect_err("closed");
        while let Ok(_accepted) = TcpStream::connect(address).await {
            tokio::task::yield_now().await;
        }
        link.set_up(true);
        // The port is taken again by another task.
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
