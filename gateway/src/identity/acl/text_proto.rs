//! The list in the original's form: a text proto of `goma.config.Acl`, whose fields are the original's.
//!
//! ```text
//! groups {
//!   id: "developers"
//!   domains: "farm.example"
//!   service_account: "default"
//! }
//! ```

use goma_proto::text_proto;

use super::{BackendAccount, Group};

/// The original's name for the server's own account.
const DEFAULT: &str = "default";

/// The groups of a file. As there, a group without a service account has its users' own tokens passed
/// on, and one that names nobody lets nobody in: it is left out. One that rejects whom it does not name
/// is no mistake to be passed over.
///
/// # Errors
/// The line and what is wrong there.
pub(super) fn groups(text: &str) -> Result<Vec<Group>, String> {
    let acl: goma_proto::config::Acl = text_proto::parse(text)?;
    let group = |group: goma_proto::config::AclGroup| Group {
        id: group.id,
        emails: group.emails,
        domains: group.domains,
        audience: Some(group.audience).filter(|audience| !audience.is_empty()),
        reject: group.reject,
        account: match group.service_account.as_str() {
            "" => BackendAccount::User,
            DEFAULT => BackendAccount::Server,
            name => BackendAccount::Named(name.to_owned()),
        },
        ..Group::default()
    };
    let (left_out, groups): (Vec<_>, Vec<_>) = acl.groups.into_iter().partition(is_nobodys);
    for goma_proto::config::AclGroup { id, .. } in left_out {
        tracing::warn!("group {id:?} of the list has neither emails nor domains: it is left out");
    }
    Ok(groups.into_iter().map(group).collect())
}

/// The line of a group that was not left out, counted from 0 among those of this name.
pub(super) fn line_of(text: &str, id: &str, number: usize) -> usize {
    let acl = text_proto::parse::<goma_proto::config::Acl>(text).unwrap_or_default();
    let is_named = |at: &usize| acl.groups[*at].id == id && !is_nobodys(&acl.groups[*at]);
    let at = (0..acl.groups.len()).filter(is_named).nth(number);
    crate::text_form::line_of_entry(text, "groups", at.unwrap_or_default())
}

/// Whether it lets nobody in and keeps nobody out.
fn is_nobodys(group: &goma_proto::config::AclGroup) -> bool {
    group.emails.is_empty() && group.domains.is_empty() && !group.reject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_form_is_read() {
        let text = "# who may compile\n\ngroups {\n  id: \"out\" reject: true emails: \"eve@x\"\n}\n\
                    groups: <\n  id: 'in'\n  description: \"all\"\n  audience: \"client\"\n  \
                    emails: [\"a@x\", \"b@x\"] emails: \"c@x\";\n  domains: \"y\"\n  \
                    service_account: \"farm\"\n>\n\
                    groups { id: \"guests\" domains: \"z\" }\n\
                    groups { id: \"own\" domains: \"w\" service_account: \"default\" }\n";
        let groups = groups(text).expect("it is right");
        let ids: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
        assert_eq!(ids, ["out", "in", "guests", "own"]);
        assert!(groups[0].reject && !groups[1].reject);
        assert_eq!(groups[1].emails, ["a@x", "b@x", "c@x"]);
        assert_eq!(groups[1].audience.as_deref(), Some("client"));
        assert_eq!(groups[1].account, BackendAccount::Named("farm".to_owned()));
        assert_eq!(groups[2].account, BackendAccount::User);
        assert_eq!(groups[3].account, BackendAccount::Server);
    }

    #[test]
    fn a_group_that_names_nobody_lets_nobody_in_and_one_that_rejects_is_no_such() {
        let text = "groups { id: \"empty\" audience: \"client\" }\ngroups { id: \"in\" emails: \"a@x\" }\n";
        let ids: Vec<String> =
            groups(text).expect("it is right").into_iter().map(|group| group.id).collect();
        assert_eq!(ids, ["in"]);
        let rejects = text.replace("audience", "reject: true audience");
        let told = super::super::Acl::parse(&rejects).expect_err("it is refused");
        assert!(told.contains("line 1: group \"empty\": emails: it names nobody"), "{told}");
        let twice = "groups { id: \"a\" emails: \"x\" }\n".repeat(2);
        let told = super::super::Acl::parse(&twice).expect_err("it is refused");
        assert!(told.contains("line 2: group \"a\": id: it is there twice"), "{told}");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line, why) in [
            ("groups {\n  id: \"a\"\n  email: \"x\"\n}\n", 3, "email"),
            ("groups {\n  id: \"a\"\n  reject: 3\n}\n", 3, "reject: 3"),
            ("groups {\n  id: \"a\"\n", 2, ""),
        ] {
            let told = groups(text).expect_err("wrong");
            assert!(told.contains(&format!("line {line}")) && told.contains(why), "{told}");
        }
    }
}
