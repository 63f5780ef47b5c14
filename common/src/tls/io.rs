//! A connection, whether it is encrypted or not.

use tokio::io::{AsyncRead, AsyncWrite};

/// Either.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}
