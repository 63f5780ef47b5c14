//! Connections of gateways: accepted, and encrypted where that is wanted.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{Stream, StreamExt};
use goma_common::tls::{Io, ServerTls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Connected;

/// Connections that may shake hands at once.
const HANDSHAKES: usize = 256;

/// The connections of a port; no handshake waits for another.
pub(crate) fn incoming(
    listener: TcpListener,
    tls: Option<ServerTls>,
) -> impl Stream<Item = io::Result<Accepted>> {
    let accepted = TcpListenerStream::new(listener).map(move |stream| {
        let tls = tls.clone();
        async move {
            let stream = stream?;
            // Small answers must not wait for acknowledgements.
            let _ = stream.set_nodelay(true);
            let Some(tls) = tls else { return Ok(Some(Accepted(Box::new(stream)))) };
            Ok(match tls.accept(stream).await {
                Ok(stream) => Some(Accepted(Box::new(stream))),
                Err(error) => {
                    tracing::warn!(%error, "whoever connected is no gateway of ours");
                    None
                }
            })
        }
    });
    let shaken = accepted.buffer_unordered(HANDSHAKES);
    shaken.filter_map(|shaken: io::Result<Option<Accepted>>| async { shaken.transpose() })
}

/// One connection.
pub(crate) struct Accepted(Box<dyn Io>);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
