//! Who is let in: groups by name, domain and audience, the first that fits.
//!
//! ```toml
//! [[group]]
//! id = "contractors"
//! domains = ["elsewhere.example"]
//! reject = true
//!
//! [[group]]
//! id = "developers"
//! emails = ["ann@farm.example"]     # or names of tokens of ours
//! tokens = false                    # whether all tokens of ours are in it
//! domains = ["farm.example"]
//! audience = "some client's id"     # of Google's tokens; without it any
//! backend-account = "user"          # the backend is used with the user's own token
//! max-requests = 2000               # of all of them, under way at once; the rest waits
//! ```

use serde::Deserialize;

use super::Proof;
use crate::shares::Share;
use crate::toml_error;

/// The list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acl {
    #[serde(default, rename = "group")]
    groups: Vec<Group>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Group {
    id: String,
    #[serde(default)]
    emails: Vec<String>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    tokens: bool,
    audience: Option<String>,
    #[serde(default)]
    reject: bool,
    #[serde(default)]
    backend_account: Account,
    max_requests: Option<usize>,
}

/// Whose account the backend is used with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Account {
    /// The server's.
    #[default]
    Server,
    /// The user's.
    User,
}

/// What becomes of somebody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Let in: whether the user's own token goes to the backend, and what his group may have under
    /// way.
    Allowed { passes_token: bool, share: Option<Share> },
    /// In a group that is not.
    Rejected { group: String },
    /// In none.
    Unlisted,
}

impl Acl {
    /// One group of these users: `name`, `user@domain` or `*@domain`, with tokens for this audience.
    pub(crate) fn of_users(users: &[String], audience: &str) -> Self {
        let (mut emails, mut domains) = (Vec::new(), Vec::new());
        for user in users {
            match user.strip_prefix("*@") {
                Some(domain) => domains.push(domain.to_owned()),
                None => emails.push(user.clone()),
            }
        }
        let audience = Some(audience.to_owned()).filter(|audience| !audience.is_empty());
        let id = "allowed users".to_owned();
        let backend_account = Account::Server;
        let tokens = false;
        let (reject, max_requests) = (false, None);
        let group =
            Group { id, emails, domains, tokens, audience, reject, backend_account, max_requests };
        Self { groups: vec![group] }
    }

    /// The same, with a group for all tokens of ours.
    pub(crate) fn with_tokens(mut self) -> Self {
        self.groups.push(Group {
            id: "tokens".to_owned(),
            emails: Vec::new(),
            domains: Vec::new(),
            tokens: true,
            audience: None,
            reject: false,
            backend_account: Account::Server,
            max_requests: None,
        });
        self
    }

    /// Reads a list.
    ///
    /// # Errors
    /// The line and what is wrong there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let acl: Self = toml::from_str(text).map_err(|error| toml_error::told(text, &error))?;
        let (mut ids, groups) = (std::collections::HashSet::new(), &acl.groups);
        if groups.iter().all(|group| group.reject) {
            return Err("no [[group]] of it lets anybody in".to_owned());
        }
        for Group { id, emails, domains, tokens, max_requests, .. } in groups {
            if !ids.insert(id) {
                return Err(format!("group {id:?} is there twice"));
            }
            if emails.is_empty() && domains.is_empty() && !tokens {
                return Err(format!(
                    "group {id:?} names nobody: give it emails, domains or tokens"
                ));
            }
            if *max_requests == Some(0) {
                return Err(format!(
                    "group {id:?}: max-requests of 0; to let nobody in, reject = true"
                ));
            }
            let stray = domains.iter().find(|name| name.is_empty() || name.contains('@'));
            if let Some(domain) = stray {
                return Err(format!("group {id:?}: {domain:?} is no domain"));
            }
        }
        Ok(acl)
    }

    /// Pure.
    pub(crate) fn decide(&self, proof: &Proof) -> Decision {
        match self.groups.iter().find(|group| group.fits(proof)) {
            None => Decision::Unlisted,
            Some(group) if group.reject => Decision::Rejected { group: group.id.clone() },
            Some(group) => {
                let of = format!("group {}", group.id);
                let share = group.max_requests.map(|requests| Share { of, requests });
                let passes_token = group.backend_account == Account::User;
                Decision::Allowed { passes_token, share }
            }
        }
    }

    pub(crate) fn passes_tokens(&self) -> bool {
        self.groups.iter().any(|group| group.backend_account == Account::User)
    }
}

impl Group {
    fn fits(&self, proof: &Proof) -> bool {
        let domain = proof.name.rsplit_once('@').map_or("", |(_, domain)| domain);
        let named = (self.tokens && proof.is_ours)
            || self.emails.iter().any(|email| email.eq_ignore_ascii_case(&proof.name))
            || self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain));
        let meant = match (&self.audience, &proof.audience) {
            (Some(wanted), Some(told)) => wanted == told,
            _ => true,
        };
        named && meant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without an audience, by a token of ours.
    fn who(name: &str, audience: &str) -> Proof {
        let audience = Some(audience.to_owned()).filter(|audience| !audience.is_empty());
        Proof { name: name.to_owned(), is_ours: audience.is_none(), audience }
    }

    #[test]
    fn the_first_group_that_fits_decides() {
        let acl = Acl::parse(
            "[[group]]\nid = \"out\"\nemails = [\"eve@farm.example\"]\nreject = true\n\
             [[group]]\nid = \"in\"\ndomains = [\"farm.example\"]\naudience = \"client\"\n\
             [[group]]\nid = \"guests\"\nemails = [\"bob@else.example\", \"ci\"]\n\
             backend-account = \"user\"\nmax-requests = 7\n",
        )
        .expect("it is right");
        let own = Decision::Allowed { passes_token: false, share: None };
        let share = Some(Share { of: "group guests".to_owned(), requests: 7 });
        let passes = Decision::Allowed { passes_token: true, share };
        let rejected = Decision::Rejected { group: "out".to_owned() };
        assert_eq!(acl.decide(&who("ann@farm.example", "client")), own);
        assert_eq!(acl.decide(&who("Ann@FARM.example", "client")), own);
        assert_eq!(acl.decide(&who("eve@farm.example", "client")), rejected);
        assert_eq!(acl.decide(&who("ann@farm.example", "another")), Decision::Unlisted);
        assert_eq!(acl.decide(&who("ann@sub.farm.example", "client")), Decision::Unlisted);
        assert_eq!(acl.decide(&who("bob@else.example", "")), passes);
        assert_eq!(acl.decide(&who("ci", "")), passes);
        assert_eq!(acl.decide(&who("", "")), Decision::Unlisted);
        assert!(acl.passes_tokens());
    }

    #[test]
    fn users_are_named_as_the_original_has_them() {
        let users = ["ann@a.example", "*@b.example"].map(str::to_owned);
        let acl = Acl::of_users(&users, "client");
        let own = Decision::Allowed { passes_token: false, share: None };
        assert_eq!(acl.decide(&who("ann@a.example", "client")), own);
        assert_eq!(acl.decide(&who("bob@b.example", "client")), own);
        assert_eq!(acl.decide(&who("bob@a.example", "client")), Decision::Unlisted);
        assert_eq!(acl.decide(&who("ann@a.example", "")), own, "a token of ours by that name");
        assert_eq!(acl.decide(&who("ci", "")), Decision::Unlisted);
        assert_eq!(acl.with_tokens().decide(&who("ci", "")), own);
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused_with_its_line() {
        for (text, why) in [
            ("", "lets anybody in"),
            ("[[group]]\nid = \"a\"\n", "names nobody"),
            ("[[group]]\nid = \"a\"\nemail = [\"x\"]\n", "line 3: unknown field `email`"),
            ("[[group]]\nid = \"a\"\ndomains = [\"*@x\"]\n", "\"*@x\" is no domain"),
            (
                "[[group]]\nid = \"a\"\nemails = [\"x\"]\n[[group]]\nid = \"a\"\nemails = [\"y\"]\n",
                "twice",
            ),
        ] {
            let told = Acl::parse(text).expect_err("wrong");
            assert!(told.contains(why), "{told}, not {why}");
        }
    }
}
