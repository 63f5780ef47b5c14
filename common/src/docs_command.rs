//! What a program can tell of its command line to shells and to `man`.

use std::path::PathBuf;

use clap::{Command, Subcommand};
use clap_complete::Shell;

use crate::program::Failure;

/// Verbs that every program has.
#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// Print completions for a shell, to be put where that looks for them
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write manual pages, one for the program and one for each verb
    Man {
        /// Directory for them
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

impl DocsCommand {
    /// Tells it of this program.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn run(self, mut program: Command) -> Result<(), Failure> {
        match self {
            Self::Completions { shell } => {
                let name = program.get_name().to_owned();
                clap_complete::generate(shell, &mut program, name, &mut std::io::stdout());
                Ok(())
            }
            Self::Man { dir } => {
                let told = |error| Failure::Start(format!("{}: {error}", dir.display()));
                std::fs::create_dir_all(&dir).map_err(told)?;
                clap_mangen::generate_to(program, &dir).map_err(told)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn each_verb_has_its_page() {
        let dir = tempfile::tempdir().expect("a directory");
        let verb = Command::new("doctor").about("Examines a backend");
        let flag = Arg::new("port").long("port").help("Port for clients");
        let program = Command::new("x").arg(flag).subcommand(verb);
        DocsCommand::Man { dir: dir.path().join("man") }.run(program).expect("written");
        let page = |name: &str| std::fs::read_to_string(dir.path().join("man").join(name));
        assert!(page("x.1").expect("a page").contains("Port for clients"));
        assert!(page("x-doctor.1").expect("a page").contains("Examines a backend"));
    }
}
