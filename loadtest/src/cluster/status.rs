//! How a cluster is: for programs as JSON, for people as a table.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::counts::Counts;

/// Everything that is to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where clients go: the balancer, or the first gateway.
    pub server: String,
    /// The programs, in the order of their start.
    pub members: Vec<MemberStatus>,
    /// The links between them.
    pub links: Vec<LinkStatus>,
    /// What reached the backend.
    pub backend: Counts,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// What commands call it.
    pub name: String,
    /// `running`, `paused` or `ended`.
    pub state: String,
    /// Of its process, while it runs.
    pub pid: Option<u32>,
    /// Where it listens.
    pub address: String,
    /// Where it tells operators of itself.
    #[serde(default)]
    pub admin: Option<String>,
    /// What it printed.
    pub log: PathBuf,
}

/// One forwarder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// What commands call it.
    pub name: String,
    /// `ok`, or what is wrong with it.
    pub state: String,
    /// Where whoever uses it connects.
    pub address: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.members.iter().map(|member| {
            let pid = member.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            let log = member.log.display().to_string();
            let admin = member.admin.clone().unwrap_or_else(|| "-".to_owned());
            [member.name.clone(), member.state.clone(), pid, member.address.clone(), admin, log]
        });
        let title =
            ["member", "state", "pid", "address", "admin port", "log"].map(ToOwned::to_owned);
        f.write_str(&table([title].into_iter().chain(members).collect()))?;
        let links = self
            .links
            .iter()
            .map(|link| [link.name.clone(), link.state.clone(), link.address.clone()]);
        let title = ["link", "state", "address"].map(ToOwned::to_owned);
        f.write_str("\n")?;
        f.write_str(&table([title].into_iter().chain(links).collect()))?;
        let Counts { uploads, executions, runs, calls } = &self.backend;
        writeln!(f, "\nblobs uploaded: {uploads}")?;
        writeln!(f, "actions sent: {executions}; of these run: {runs}")?;
        let rows = calls.iter().map(|(method, calls)| {
            [
                method.clone(),
                calls.calls.to_string(),
                calls.blobs.to_string(),
                calls.bytes.to_string(),
            ]
        });
        let title = ["call of the backend", "calls", "blobs", "bytes"].map(ToOwned::to_owned);
        f.write_str("\n")?;
        f.write_str(&table([title].into_iter().chain(rows).collect()))?;
        write!(f, "\ngoma-loadtest build --server {}", self.server)
    }
}

/// Columns as wide as their widest cell, two spaces between them.
pub(crate) fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _infallible = write!(line, "{cell:<width$}  ");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![["a", "bb"], ["ccc", "d"]].into_iter().map(|row| row.map(String::from));
        assert_eq!(table(rows.collect()), "a    bb\nccc  d\n");
    }

    #[test]
    fn people_are_told_the_line_to_use() {
        let status = Status {
            server: "http://127.0.0.1:5050".into(),
            members: vec![MemberStatus {
                name: "shard-1".into(),
                state: "ended".into(),
                pid: None,
                address: "127.0.0.1:1".into(),
                admin: None,
                log: "/l".into(),
            }],
            links: Vec::new(),
            backend: Counts::default(),
        };
        let text = status.to_string();
        assert!(text.contains("shard-1  ended  -    127.0.0.1:1  -           /l\n"), "{text}");
        assert!(text.ends_with("goma-loadtest build --server http://127.0.0.1:5050"), "{text}");
    }
}
