//! Who is let in: groups, the first that fits.
//!
//! [`toml`] and [`text_proto`] are the two forms of the file: ours, and the original's.

mod text_proto;
mod toml;

use std::collections::{BTreeMap, HashSet};

use super::{By, Proof};

/// The list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    groups: Vec<Group>,
}

/// Some users, and what is made of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    emails: Vec<String>,
    domains: Vec<String>,
    /// Names of client certificates; `*` is any that an authority of ours vouches for.
    certificates: Vec<String>,
    /// Whether all tokens of ours are in it.
    tokens: bool,
    /// Each of these has one of these values.
    claims: BTreeMap<String, Vec<String>>,
    /// Whom tokens were made for, of issuers that tell.
    audience: Option<String>,
    reject: bool,
    pub(crate) account: BackendAccount,
    pub(crate) quotas: Quotas,
}

/// Whose account the backend is used with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum BackendAccount {
    /// The server's.
    #[default]
    Server,
    /// The user's.
    User,
    /// That of a service account's file, by its name.
    Named(String),
}

/// What all users of a group together may have under way; without a number, anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quotas {
    pub(crate) requests: Option<usize>,
    /// Of request bodies, as sent.
    pub(crate) bytes: Option<usize>,
    /// Those that no cache has answered.
    pub(crate) compiles: Option<usize>,
}

/// What becomes of somebody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision<'a> {
    /// Let in, as one of this group.
    Allowed(&'a Group),
    /// In a group that is not.
    Rejected(&'a Group),
    /// In none.
    Unlisted,
}

impl Acl {
    /// Reads a list, in whichever of the two forms it is.
    ///
    /// # Errors
    /// The line and what is wrong there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_text_proto = crate::text_form::is_text_proto(text);
        let groups = match is_text_proto {
            true => text_proto::groups(text),
            false => toml::groups(text),
        }?;
        if groups.iter().all(|group| group.reject) {
            return Err("no group of it lets anybody in".to_owned());
        }
        let mut ids = HashSet::new();
        for group in &groups {
            let id = &group.id;
            let is_second = !ids.insert(id);
            let checked = match is_second {
                false => group.check(),
                true => Err(("id", "it is there twice".to_owned())),
            };
            checked.map_err(|(field, why)| {
                let number = usize::from(is_second);
                let line = match is_text_proto {
                    true => text_proto::line_of(text, id, number),
                    false => toml::line_of(text, id, number, field),
                };
                format!("line {line}: group {id:?}: {field}: {why}")
            })?;
        }
        Ok(Self { groups })
    }

    /// One group of these users: `name`, `user@domain` or `*@domain`, with tokens for this audience.
    pub(crate) fn of_users(users: &[String], audience: &str) -> Self {
        let mut group = Group { id: "allowed users".to_owned(), ..Group::default() };
        group.audience = Some(audience.to_owned()).filter(|audience| !audience.is_empty());
        for user in users {
            match user.strip_prefix("*@") {
                Some(domain) => group.domains.push(domain.to_owned()),
                None => group.emails.push(user.clone()),
            }
        }
        Self { groups: vec![group] }
    }

    /// The same, with a group for all tokens of ours.
    pub(crate) fn with_tokens(mut self) -> Self {
        self.groups.push(Group { id: "tokens".to_owned(), tokens: true, ..Group::default() });
        self
    }

    /// The same, with a group for all certificates that are shown.
    pub(crate) fn with_certificates(mut self) -> Self {
        let (id, certificates) = ("certificates".to_owned(), vec!["*".to_owned()]);
        self.groups.push(Group { id, certificates, ..Group::default() });
        self
    }

    /// Pure.
    pub(crate) fn decide(&self, proof: &Proof) -> Decision<'_> {
        match self.groups.iter().find(|group| group.fits(proof)) {
            None => Decision::Unlisted,
            Some(group) if group.reject => Decision::Rejected(group),
            Some(group) => Decision::Allowed(group),
        }
    }

    /// The service accounts that its groups use, by name.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().filter_map(|group| match &group.account {
            BackendAccount::Named(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the backend is used on another account than the server's by some group.
    pub(crate) fn has_accounts(&self) -> bool {
        self.groups.iter().any(|group| group.account != BackendAccount::Server)
    }
}

impl Group {
    fn names_somebody(&self) -> bool {
        let Self { emails, domains, certificates, tokens, .. } = self;
        !(emails.is_empty() && domains.is_empty() && certificates.is_empty()) || *tokens
    }

    /// The field that is wrong, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.names_somebody() && self.claims.is_empty() {
            let why = "it names nobody: give it emails, domains, certificates, claims or tokens";
            return Err(("emails", why.to_owned()));
        }
        let Quotas { requests, bytes, compiles } = self.quotas;
        let quotas = [("max-requests", requests), ("max-bytes", bytes), ("max-compiles", compiles)];
        if let Some((field, _)) = quotas.into_iter().find(|(_, quota)| *quota == Some(0)) {
            return Err((field, "a quota of 0; to let nobody in, reject = true".to_owned()));
        }
        match self.domains.iter().find(|name| name.is_empty() || name.contains('@')) {
            Some(domain) => Err(("domains", format!("{domain:?} is no domain"))),
            None => Ok(()),
        }
    }

    fn fits(&self, proof: &Proof) -> bool {
        let meant = match (&self.audience, &proof.audience) {
            (Some(wanted), Some(told)) => wanted == told,
            _ => true,
        };
        let claimed = || self.claims.iter().all(|(claim, values)| proof.claims(claim, values));
        // Of a group of claims alone they are what names its users; one of nothing is nobody's.
        let by_claims = !self.names_somebody() && !self.claims.is_empty();
        meant && (self.names(proof) || by_claims) && claimed()
    }

    /// Whether it is somebody of the names of this group.
    fn names(&self, proof: &Proof) -> bool {
        let name = proof.name.as_str();
        let domain = name.rsplit_once('@').map_or("", |(_, domain)| domain);
        let shown = || self.certificates.iter().any(|known| known == "*" || known == name);
        (self.tokens && proof.by == By::OurToken)
            || (proof.by == By::Certificate && shown())
            || self.emails.iter().any(|email| email.eq_ignore_ascii_case(name))
            || self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Without an audience, by a token of ours.
    fn who(name: &str, audience: &str) -> Proof {
        match audience {
            "" => Proof::of(name, By::OurToken),
            _ => Proof { audience: Some(audience.to_owned()), ..Proof::of(name, By::Google) },
        }
    }

    fn decided(acl: &Acl, proof: &Proof) -> String {
        match acl.decide(proof) {
            Decision::Allowed(group) => format!("in {}", group.id),
            Decision::Rejected(group) => format!("not in {}", group.id),
            Decision::Unlisted => String::new(),
        }
    }

    #[test]
    fn the_first_group_that_fits_decides() {
        let acl = Acl::parse(
            "[[group]]\nid = \"out\"\nemails = [\"eve@farm.example\"]\nreject = true\n\
             [[group]]\nid = \"own\"\ndomains = [\"farm.example\"]\naudience = \"client\"\n\
             [[group]]\nid = \"guests\"\nemails = [\"bob@else.example\", \"ci\"]\n",
        )
        .expect("it is right");
        for (name, audience, group) in [
            ("ann@farm.example", "client", "in own"),
            ("Ann@FARM.example", "client", "in own"),
            ("eve@farm.example", "client", "not in out"),
            ("ann@farm.example", "another", ""),
            ("ann@sub.farm.example", "client", ""),
            ("bob@else.example", "", "in guests"),
            ("ci", "", "in guests"),
            ("", "", ""),
        ] {
            assert_eq!(decided(&acl, &who(name, audience)), group, "{name}");
        }
    }

    #[test]
    fn certificates_and_claims_make_groups() {
        let acl = Acl::parse(
            "[[group]]\nid = \"hosts\"\ncertificates = [\"build-1\"]\n\
             [[group]]\nid = \"graphics\"\ndomains = [\"x\"]\nclaims = { team = [\"a\", \"b\"], on = \"yes\" }\n\
             [[group]]\nid = \"ops\"\nclaims = { roles = \"ops\" }\n",
        )
        .expect("it is right");
        let with = |name: &str, claims: serde_json::Value| {
            let claims = claims.as_object().cloned().expect("an object");
            Proof { claims: Some(claims), ..Proof::of(name, By::Oidc) }
        };
        for (proof, group) in [
            (Proof::of("build-1", By::Certificate), "in hosts"),
            (Proof::of("build-2", By::Certificate), ""),
            (Proof::of("build-1", By::OurToken), ""),
            (with("a@x", json!({"team": "b", "on": "yes"})), "in graphics"),
            (with("a@x", json!({"team": ["c", "a"], "on": "yes"})), "in graphics"),
            (with("a@x", json!({"team": "b"})), ""),
            (with("a@y", json!({"team": "b", "on": "yes"})), ""),
            (with("a@y", json!({"roles": ["ops", "dev"]})), "in ops"),
            (Proof::of("a@y", By::OurToken), ""),
        ] {
            assert_eq!(decided(&acl, &proof), group, "{proof:?}");
        }
        let any = Acl::of_users(&[], "").with_certificates();
        assert_eq!(decided(&any, &Proof::of("x", By::Certificate)), "in certificates");
        assert_eq!(decided(&any, &Proof::of("x", By::OurToken)), "");
    }

    #[test]
    fn users_are_named_as_the_original_has_them() {
        let users = ["ann@a.example", "*@b.example"].map(str::to_owned);
        let acl = Acl::of_users(&users, "client");
        let allowed = "in allowed users";
        assert_eq!(decided(&acl, &who("ann@a.example", "client")), allowed);
        assert_eq!(decided(&acl, &who("bob@b.example", "client")), allowed);
        assert_eq!(decided(&acl, &who("bob@a.example", "client")), "");
        assert_eq!(
            decided(&acl, &who("ann@a.example", "")),
            allowed,
            "a token of ours by that name"
        );
        assert_eq!(decided(&acl, &who("ci", "")), "");
        assert_eq!(decided(&acl.with_tokens(), &who("ci", "")), "in tokens");
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused() {
        let group = |rest: &str| format!("[[group]]\nid = \"a\"\n{rest}");
        let twice = format!("{0}{0}", group("emails = [\"x\"]\n"));
        for (text, why) in [
            (String::new(), "lets anybody in"),
            (group(""), "line 1: group \"a\": emails: it names nobody"),
            (
                group("emails = [\"x\"]\nmax-bytes = 0\n"),
                "line 4: group \"a\": max-bytes: a quota of 0",
            ),
            (group("domains = [\"*@x\"]\n"), "line 3: group \"a\": domains: \"*@x\" is no domain"),
            (twice, "line 5: group \"a\": id: it is there twice"),
            (
                group("domains = [\"@\"]\n") + &group("emails = [\"x\"]\n"),
                "line 3: group \"a\": domains: ",
            ),
        ] {
            let told = Acl::parse(&text).expect_err("wrong");
            assert!(told.contains(why), "{told}, not {why}");
        }
    }
}
