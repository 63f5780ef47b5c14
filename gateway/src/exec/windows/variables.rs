//! The variables of a Windows client, for a worker that runs Linux.

use super::command::Commands;
use crate::command as line;
use crate::refusal::Refusal;

/// Those that a compile is given: others name programs and directories of Windows.
const VARIABLES: [&str; 4] = ["INCLUDE", "EXTERNAL_INCLUDE", "LIB", "SOURCE_DATE_EPOCH"];

impl Commands<'_> {
    /// The variables that matter to a compile, with ways for names.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] naming one with a name that leads nowhere.
    pub(super) fn environment(&self) -> Result<Vec<(String, String)>, Refusal> {
        for (name, value) in &self.job.env {
            let name = name.to_ascii_uppercase();
            if !line::is_list(&name) || !VARIABLES.contains(&name.as_str()) {
                continue;
            }
            for dir in value.split(';').filter(|dir| !dir.is_empty()) {
                self.way(&format!("variable {name}:"), dir)?;
            }
        }
        Ok(self.variables())
    }

    /// Names of variables have no case on Windows.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> = self
            .job
            .env
            .iter()
            .map(|(name, value)| (name.to_ascii_uppercase(), value))
            .filter(|(name, _)| VARIABLES.contains(&name.as_str()))
            .map(|(name, value)| {
                let way = |dir: &str| self.dir.way(dir).unwrap_or_default();
                let value = match line::is_list(&name) {
                    true => line::of_each(&name, value, way),
                    false => value.clone(),
                };
                (name, value)
            })
            .collect();
        variables.sort_unstable();
        variables.dedup_by(|next, one| next.0 == one.0);
        variables
    }
}
