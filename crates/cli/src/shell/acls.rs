//! ACLs as text: what the user types, what the shell shows.

use std::fmt::Write;

use zooid_proto::records::{Acl, perms};

/// Two lines for each entry.
pub(crate) fn show(list: &[Acl<'_>]) -> String {
    let mut text = String::new();
    for entry in list {
        let (scheme, id) = (entry.id.scheme(), entry.id.name());
        let letters: String = LETTERS
            .iter()
            .filter(|(_, bit)| entry.perms & bit != 0)
            .map(|(letter, _)| *letter)
            .collect();
        let _ = writeln!(text, "'{scheme},'{id}\n: {letters}");
    }
    text
}

/// In the order in which zkCli.sh prints them.
const LETTERS: [(char, i32); 5] = [
    ('c', perms::CREATE),
    ('d', perms::DELETE),
    ('r', perms::READ),
    ('w', perms::WRITE),
    ('a', perms::ADMIN),
];

/// Reads `scheme:id:perms,...`. The id may hold colons.
///
/// zkCli.sh drops letters that it does not know and sets the rest, which is another ACL than the
/// one asked for; here nothing is set.
pub(crate) fn parse(text: &str) -> Result<Vec<Acl<'_>>, String> {
    text.split(',')
        .map(|entry| {
            let parts = entry
                .split_once(':')
                .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once(':')?)));
            let Some((scheme, (id, letters))) = parts else {
                return Err(format!("{entry} does not have the form scheme:id:perm"));
            };
            let mut bits = 0;
            for letter in letters.chars() {
                let known = LETTERS.iter().find(|(known, _)| *known == letter);
                bits |= known.ok_or(format!("Unknown perm type: {letter}"))?.1;
            }
            Ok(Acl::new(bits, scheme, id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acls_both_ways() {
        let list = parse("world:anyone:cdrwa,digest:bob:x=:r,ip:::1:w").unwrap();
        assert_eq!(
            show(&list),
            "'world,'anyone\n: cdrwa\n'digest,'bob:x=\n: r\n'ip,'::1\n: w\n"
        );
        assert_eq!(
            parse("foo").unwrap_err(),
            "foo does not have the form scheme:id:perm"
        );
        assert_eq!(
            parse("foo:bar").unwrap_err(),
            "foo:bar does not have the form scheme:id:perm"
        );
        assert_eq!(
            parse("world:anyone:rq").unwrap_err(),
            "Unknown perm type: q"
        );
    }
}
