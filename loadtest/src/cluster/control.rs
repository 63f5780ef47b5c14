//! The control socket: one command a connection, from another terminal or a script.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::{Cluster, Command};
use crate::error::{Error, Result};

/// The longest command.
const LINE: u64 = 1024;
/// The longest answer: a status.
const ANSWER: u64 = 1 << 20;
/// How long a command may take to be sent.
const READ: Duration = Duration::from_secs(5);
/// How long a command may take: a gateway that finishes its work before it ends takes longest.
const DO: Duration = Duration::from_secs(180);

/// Where commands come in. Dropping it removes the socket.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// A socket in the cluster's directory, which is this process's alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = path(dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file(path, error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(|error| Error::file(&path, error))?;
        Ok(Self { listener, path })
    }

    /// Does what it is told, one thing after the other, for as long as it is polled.
    pub async fn serve(&self, cluster: &mut Cluster) {
        loop {
            match self.listener.accept().await {
                // Whoever asks and goes is no concern of ours.
                Ok((stream, _)) => drop(answer(stream, cluster).await),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // A socket that is left behind refuses connections, and the next cluster removes it.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Tells the cluster in `dir` what to do.
///
/// # Errors
/// When there is none, or in its words why it could not.
pub async fn tell(dir: &Path, command: &Command) -> Result<String> {
    let path = path(dir);
    let connected = UnixStream::connect(&path).await;
    let mut stream = connected.map_err(|error| {
        let dir = dir.display();
        Error::member("cluster", format!("none runs in {dir}: {error}; --dir names another"))
    })?;
    let exchange = async {
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.take(ANSWER).read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let answer: std::io::Result<String> =
        timeout(DO, exchange).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let answer = answer.map_err(|error| Error::file(&path, error))?;
    match answer.trim_end().split_once(' ') {
        Some(("ok", rest)) => Ok(rest.to_owned()),
        Some(("error", why)) => Err(Error::member("cluster", why)),
        _ => Err(Error::member("cluster", "it ended before it answered")),
    }
}

async fn answer(mut stream: UnixStream, cluster: &mut Cluster) -> std::io::Result<()> {
    let mut line = String::new();
    let (reads, mut writes) = stream.split();
    timeout(READ, reads.take(LINE).read_to_string(&mut line)).await??;
    let done = match line.parse::<Command>() {
        Ok(command) => cluster.run(&command).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let answer = match done {
        Ok(words) => format!("ok {words}\n"),
        Err(why) => format!("error {why}\n"),
    };
    timeout(READ, writes.write_all(answer.as_bytes())).await?
}

fn path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}
