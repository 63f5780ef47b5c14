//! Sources in a directory of their own, and the client that compiles them.

use std::path::{Path, PathBuf};
use std::process::Command;

use goma_loadtest::{Client, ClientConfig, Compile, Outcome, Server};
use tempfile::TempDir;

use super::process::{Program, temp_dir};

/// A user's directory.
pub struct Tree(TempDir);

impl Tree {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(temp_dir());
        files.iter().for_each(|(name, text)| tree.write(name, text));
        tree
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A command line here; its words hold no spaces.
    pub fn command(&self, line: &str) -> Compile {
        Compile::new(self.dir(), line.split(' '))
    }

    /// What the compiler of this machine writes to `output` of the same command line.
    pub fn local(&self, line: &str, output: &str) -> Vec<u8> {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().expect("a compiler"));
        let ended = command.args(words).current_dir(self.dir()).status().expect("it runs");
        assert!(ended.success(), "{line}: {ended}");
        let object = self.read(output);
        std::fs::remove_file(self.path(output)).expect("removed");
        object
    }
}

/// A client process that behaves as the stock client does.
pub fn stock_client(server: &Program) -> Client {
    client(server, true)
}

pub fn client(server: &Program, stock: bool) -> Client {
    let url = format!("http://127.0.0.1:{}", server.port);
    let mut config = ClientConfig::new(Server::parse(&url).expect("a URL"), stock);
    // A test that hangs is to fail before its runner gives up.
    config.manners.first_byte = std::time::Duration::from_secs(60);
    Client::new(config)
}

#[track_caller]
pub fn assert_success(outcome: &Outcome) {
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.is_success(), "{outcome:?}\n{stderr}");
}
