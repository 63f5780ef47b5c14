//! One direction of a connection over a link.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::link::State;

/// Pieces on their way at once, 64 KiB each at most; a slow link holds so many.
const PIECES: usize = 256;
const PIECE: usize = 64 << 10;

/// Passes bytes on as the link's state has it, until the end of `from`.
pub(super) async fn pump(
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
    use std::time::Duration;

    use tokio::io::DuplexStream;
    use tokio::time::timeout;

    use super::*;
    use crate::cluster::Fault;

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
}
