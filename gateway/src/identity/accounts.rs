//! The service accounts that groups have the backend used with.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goma_common::reapi::{Account, Grant, ServiceAccount};
use goma_common::{Code, Error, Result};

use super::acl::Acl;

/// Where their files are, and how tokens come of them.
#[derive(Clone, Debug)]
pub(super) struct AccountFiles {
    pub(super) dir: Option<PathBuf>,
    pub(super) grant: Grant,
}

/// A list of groups, and the accounts that it names.
pub(super) struct Listed {
    pub(super) acl: Acl,
    accounts: HashMap<String, Account>,
}

impl AccountFiles {
    /// Opens the accounts that a list names.
    ///
    /// # Errors
    /// `InvalidArgument` naming the account that has no such file.
    pub(super) fn open(&self, acl: Acl) -> Result<Listed> {
        let mut accounts = HashMap::new();
        for name in acl.accounts() {
            let account = self.account(name)?;
            accounts.insert(name.to_owned(), account);
        }
        Ok(Listed { acl, accounts })
    }

    fn account(&self, name: &str) -> Result<Account> {
        let wrong = |why: &str| {
            let message = format!("service account {name:?}: {why}");
            Error::new(Code::InvalidArgument, message)
        };
        let Some(dir) = &self.dir else {
            return Err(wrong("say where its file is, by --service-account-json-dir"));
        };
        // A list says who may do what, not which files of this machine are read.
        if Path::new(name).components().count() != 1 || name.contains(['/', '\\']) || name == ".." {
            return Err(wrong("that is no name of a file"));
        }
        let file = dir.join(format!("{name}.json"));
        let account = ServiceAccount::open(file, self.grant.clone());
        let account = account.map_err(|error| wrong(&error.message))?;
        Ok(Account::of(Arc::new(account)))
    }
}

impl Listed {
    /// The account of this name; all that the list names are there.
    pub(super) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_file_of_the_directory_and_no_other() {
        let acl = |name: &str| {
            let text =
                format!("[[group]]\nid = \"a\"\ndomains = [\"x\"]\nbackend-account = {name:?}\n");
            Acl::parse(&text).expect("it is right")
        };
        let dir = tempfile::tempdir().expect("a directory");
        let grant = Grant::Exchanged { scope: "s".to_owned() };
        let told = |dir: Option<PathBuf>, name: &str| {
            let files = AccountFiles { dir, grant: grant.clone() };
            files.open(acl(name)).err().expect("no such account").message
        };
        assert!(told(None, "farm").contains("--service-account-json-dir"));
        assert!(told(Some(dir.path().into()), "farm").contains("farm.json"));
        for name in ["../farm", "/etc/farm", "a/b", ".."] {
            let why = told(Some(dir.path().into()), name);
            assert!(why.contains("no name of a file"), "{why}");
        }
    }
}
