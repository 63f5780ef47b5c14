//! One process with its children: what it wrote, how it ended, and its end when time is up.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::spawner::Spawner;

/// What is kept of each of stdout and stderr.
const MAX_OUTPUT: usize = 8 << 20;

/// How long a stray child may keep our pipes open after the process has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a process ended.
pub(super) struct Outcome {
    /// As a shell tells it: 128 and the signal for a process that was killed.
    pub(super) exit_code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) timed_out: bool,
}

/// Kills a whole process group, also when the future that waits for it is dropped.
struct Group(Option<Pid>);

/// Runs a command to its end, or to the end of its time.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn run(
    spawner: &Spawner,
    mut command: std::process::Command,
    limit: Duration,
) -> io::Result<Outcome> {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    let mut child = spawner.spawn(command).await?;
    let group = Group(child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (status, timed_out) = {
        let read = async { tokio::join!(read(out, &mut stdout), read(err, &mut stderr)) };
        let mut read = pin!(read);
        let mut all_read = false;
        let in_time = timeout(limit, async {
            loop {
                tokio::select! {
                    status = child.wait() => break status,
                    _ = &mut read, if !all_read => all_read = true,
                }
            }
        })
        .await;
        // Whatever it left running in the background ends with it.
        drop(group);
        let status = match in_time {
            Ok(status) => (status?, false),
            Err(_) => (child.wait().await?, true),
        };
        if !all_read {
            // One that left the group may hold a pipe; what it has to say is not waited for.
            let _ = timeout(LAST_WORDS, read).await;
        }
        status
    };
    Ok(Outcome { exit_code: exit_code(status), stdout, stderr, timed_out })
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // That nobody is left is the usual case.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Reads to the end, but keeps only so much: a process must not block on a full pipe.
async fn read(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut piece = vec![0; 16 << 10];
    let mut cut = false;
    while let Ok(length @ 1..) = pipe.read(&mut piece).await {
        let room = MAX_OUTPUT - kept.len().min(MAX_OUTPUT);
        kept.extend_from_slice(&piece[..length.min(room)]);
        if length > room && !cut {
            cut = true;
            kept.extend_from_slice(b"\n[the rest of this output was cut off]\n");
        }
    }
}
