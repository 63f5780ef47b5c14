//! The table of what a server can do.

use std::fmt::Write as _;

use goma_proto::reapi::ServerCapabilities;
use serde::Serialize;

use super::Need;

/// One line of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Whether a Goma server needs it.
    pub need: Need,
    /// What.
    pub name: &'static str,
    /// Whether the server can.
    pub can: bool,
    /// How that was seen, or in what words it refused.
    pub said: String,
    /// How long it took.
    pub milliseconds: u64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct ConformanceReport {
    /// Versions of the protocol that it claims, from and to.
    pub versions: [String; 2],
    /// In the order in which they were made.
    pub rows: Vec<Row>,
}

impl ConformanceReport {
    pub(super) fn new(capabilities: &ServerCapabilities) -> Self {
        let version = |version: &Option<goma_proto::semver::SemVer>| match version {
            Some(version) => format!("{}.{}", version.major, version.minor),
            None => "untold".to_owned(),
        };
        let versions =
            [version(&capabilities.low_api_version), version(&capabilities.high_api_version)];
        Self { versions, rows: Vec::new() }
    }

    /// Whether a Goma server can use it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.rows.iter().all(|row| row.can || row.need == Need::May)
    }

    /// For people; also Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let [low, high] = &self.versions;
        let mut text = format!("API {low} to {high}\n\n");
        text.push_str("| | can | what | seen |\n|---|---|---|---|\n");
        for Row { need, name, can, said, .. } in &self.rows {
            let need = if *need == Need::Must { "must" } else { "may" };
            let can = match (*can, need) {
                (true, _) => "yes",
                (false, "must") => "**NO**",
                (false, _) => "no",
            };
            let said = said.replace('|', "\\|").replace('\n', " ");
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {need} | {can} | {name} | {said} |");
        }
        let failed = self.rows.iter().filter(|row| !row.can && row.need == Need::Must).count();
        let _ = match failed {
            0 => writeln!(text, "\nusable by a Goma server"),
            failed => writeln!(text, "\nnot usable by a Goma server: {failed} of what it must do"),
        };
        text
    }
}
