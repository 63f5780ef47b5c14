//! The list in TOML.
//!
//! ```toml
//! [[group]]
//! id = "contractors"
//! domains = ["elsewhere.example"]
//! reject = true
//!
//! [[group]]
//! id = "developers"
//! emails = ["ann@farm.example"]     # or names of tokens of ours, or what a proxy says
//! domains = ["farm.example"]
//! certificates = ["build-1.farm.example"]  # names in client certificates; "*" is any
//! tokens = false                    # whether all tokens of ours are in it
//! claims = { team = ["graphics", "engine"] }  # of an OpenID token; alone, or beside names
//! audience = "some client's id"     # of Google's tokens; without it any
//! backend-account = "server"        # "user" is the user's own token, another name a service account
//! max-requests = 2000               # of all of them, under way at once; the rest waits
//! max-bytes = 500_000_000           # of their request bodies
//! max-compiles = 400                # that no cache has answered
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BackendAccount, Group, Quotas};
use crate::toml_error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    group: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    id: String,
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    tokens: bool,
    #[serde(default)]
    claims: BTreeMap<String, Values>,
    audience: Option<String>,
    #[serde(default)]
    reject: bool,
    backend_account: Option<String>,
    max_requests: Option<usize>,
    max_bytes: Option<usize>,
    max_compiles: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Any(Vec<String>),
}

/// The groups of a file.
///
/// # Errors
/// The line and what is wrong there.
pub(super) fn groups(text: &str) -> Result<Vec<Group>, String> {
    let file: File = toml::from_str(text).map_err(|error| toml_error::told(text, &error))?;
    Ok(file.group.into_iter().map(Group::from).collect())
}

/// The line of a field of a group, counted from 0 among those of this name, or of the group where it has no such field.
pub(super) fn line_of(text: &str, id: &str, number: usize, field: &str) -> usize {
    let groups = toml::from_str::<File>(text).map_or_else(|_| Vec::new(), |file| file.group);
    let mut named = (0..groups.len()).filter(|at| groups[*at].id == id);
    let at = named.nth(number).unwrap_or_default().to_string();
    toml_error::line_of(text, &["group", &at, field])
}

impl From<Table> for Group {
    fn from(table: Table) -> Self {
        let values = |values| match values {
            Values::One(value) => vec![value],
            Values::Any(values) => values,
        };
        let (requests, bytes) = (table.max_requests, table.max_bytes);
        Self {
            id: table.id,
            emails: table.emails,
            domains: table.domains,
            certificates: table.certificates,
            tokens: table.tokens,
            claims: table.claims.into_iter().map(|(name, told)| (name, values(told))).collect(),
            audience: table.audience,
            reject: table.reject,
            account: match table.backend_account.as_deref() {
                None | Some("server") => BackendAccount::Server,
                Some("user") => BackendAccount::User,
                Some(name) => BackendAccount::Named(name.to_owned()),
            },
            quotas: Quotas { requests, bytes, compiles: table.max_compiles },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_and_no_other() {
        let group = groups(
            "[[group]]\nid = \"a\"\nemails = [\"e\"]\ndomains = [\"d\"]\ncertificates = [\"c\"]\n\
             tokens = true\nclaims = { one = \"1\", two = [\"2\", \"3\"] }\naudience = \"x\"\n\
             reject = true\nbackend-account = \"farm\"\nmax-requests = 1\nmax-bytes = 2\n\
             max-compiles = 3\n",
        )
        .expect("it is right")
        .remove(0);
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let claims = [("one", texts(&["1"])), ("two", texts(&["2", "3"]))];
        let wanted = Group {
            id: "a".to_owned(),
            emails: texts(&["e"]),
            domains: texts(&["d"]),
            certificates: texts(&["c"]),
            tokens: true,
            claims: claims.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
            audience: Some("x".to_owned()),
            reject: true,
            account: BackendAccount::Named("farm".to_owned()),
            quotas: Quotas { requests: Some(1), bytes: Some(2), compiles: Some(3) },
        };
        assert_eq!(group, wanted);
        let error = groups("[[group]]\nid = \"a\"\nemail = [\"x\"]\n").expect_err("no such field");
        assert!(error.contains("line 3: unknown field `email`"), "{error}");
    }
}
