//! Access control lists: who may do what, and which lists can be accepted.

use crate::auth::{SUPER, Scheme};
use crate::settings::Settings;
use std::borrow::Cow;
use zooid_proto::ErrorCode;
use zooid_proto::records::{Acl, Id, perms};

/// Whether a connection with the identities `ids` has any of the permissions `wanted` under
/// `list`. Entries only grant; an empty list is open to all.
pub fn allows(settings: &Settings, list: &[Acl<'_>], wanted: i32, ids: &[Id<'_>]) -> bool {
    if settings.skip_acl || list.is_empty() {
        return true;
    }
    // The open entry comes first on nearly every node; the other tests cost more.
    if list
        .iter()
        .any(|entry| entry.perms & wanted != 0 && is_anyone(&entry.id))
    {
        return true;
    }
    if ids.iter().any(|id| id.scheme() == SUPER) {
        return true;
    }
    list.iter()
        .filter(|entry| entry.perms & wanted != 0)
        .any(|entry| {
            let Some(scheme) = Scheme::by_name(settings, entry.id.scheme()) else {
                return false;
            };
            ids.iter().any(|id| {
                id.scheme() == entry.id.scheme() && scheme.matches(id.name(), entry.id.name())
            })
        })
}

fn is_anyone(id: &Id<'_>) -> bool {
    id.scheme() == "world" && id.name() == "anyone"
}

/// The list to store for a list that a client sent: duplicates dropped, `auth` replaced by the
/// identities of the connection (`PrepRequestProcessor.fixupACL` in Java).
///
/// `InvalidAcl` when there is nothing in it, an entry lacks a scheme, a scheme is not offered or
/// does not accept the id, or `auth` stands for nobody; `MarshallingError` for a null id where
/// Java fails to look at it.
pub fn accept<'a>(
    settings: &Settings,
    list: Option<Vec<Acl<'a>>>,
    ids: &[Id<'_>],
) -> Result<Vec<Acl<'a>>, ErrorCode> {
    let mut distinct: Vec<Acl<'a>> = Vec::new();
    for entry in list.unwrap_or_default() {
        if !is_among(&entry, &distinct)? {
            distinct.push(entry);
        }
    }
    if distinct.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    let mut accepted = Vec::with_capacity(distinct.len());
    for entry in distinct {
        match entry.id.scheme.as_deref() {
            None => return Err(ErrorCode::InvalidAcl),
            Some("auth") => {
                let before = accepted.len();
                accepted.extend(
                    ids.iter()
                        .filter(|id| {
                            Scheme::by_name(settings, id.scheme())
                                .is_some_and(Scheme::authenticates)
                        })
                        .map(|id| Acl {
                            perms: entry.perms,
                            id: owned(id),
                        }),
                );
                if accepted.len() == before {
                    return Err(ErrorCode::InvalidAcl);
                }
            }
            Some("world") => match entry.id.id.as_deref() {
                Some("anyone") => accepted.push(entry),
                Some(_) => return Err(ErrorCode::InvalidAcl),
                None => return Err(ErrorCode::MarshallingError),
            },
            Some(scheme) => {
                let scheme = Scheme::by_name(settings, scheme).ok_or(ErrorCode::InvalidAcl)?;
                let id = entry.id.id.as_deref().ok_or(ErrorCode::MarshallingError)?;
                if !scheme.accepts(id) {
                    return Err(ErrorCode::InvalidAcl);
                }
                accepted.push(entry);
            }
        }
    }
    Ok(accepted)
}

/// Whether an entry is there already. Java compares permissions, scheme and id in that order, and
/// fails on a null that it has to compare.
fn is_among(entry: &Acl<'_>, kept: &[Acl<'_>]) -> Result<bool, ErrorCode> {
    for other in kept.iter().filter(|other| other.perms == entry.perms) {
        let scheme = entry
            .id
            .scheme
            .as_ref()
            .ok_or(ErrorCode::MarshallingError)?;
        if other.id.scheme.as_ref() != Some(scheme) {
            continue;
        }
        let id = entry.id.id.as_ref().ok_or(ErrorCode::MarshallingError)?;
        if other.id.id.as_ref() == Some(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn owned<'a>(id: &Id<'_>) -> Id<'a> {
    Id {
        scheme: Some(Cow::Owned(id.scheme().to_owned())),
        id: Some(Cow::Owned(id.name().to_owned())),
    }
}

/// The list as somebody without ADMIN sees it: no more of a digest than its user.
pub fn masked<'a>(list: &'a [Acl<'a>]) -> Vec<Acl<'a>> {
    list.iter()
        .map(
            |entry| match (entry.id.scheme(), entry.id.name().split_once(':')) {
                ("digest", Some((user, _))) => Acl {
                    perms: entry.perms,
                    id: Id {
                        scheme: entry.id.scheme.clone(),
                        id: Some(format!("{user}:x").into()),
                    },
                },
                _ => entry.clone(),
            },
        )
        .collect()
}

/// The list that a node without one of its own shows.
pub fn open() -> Vec<Acl<'static>> {
    vec![Acl::new(perms::ALL, "world", "anyone")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_user(name: &'static str) -> Id<'static> {
        Id {
            scheme: Some("digest".into()),
            id: Some(name.into()),
        }
    }

    #[test]
    fn entries_grant_by_any_common_bit() {
        let settings = Settings::default();
        let list = [
            Acl::new(perms::READ, "world", "anyone"),
            Acl::new(perms::ALL, "digest", "a:h"),
        ];
        assert!(allows(&settings, &list, perms::READ, &[]));
        assert!(!allows(&settings, &list, perms::WRITE, &[]));
        assert!(allows(
            &settings,
            &list,
            perms::WRITE,
            &[digest_user("a:h")]
        ));
        assert!(!allows(
            &settings,
            &list,
            perms::WRITE,
            &[digest_user("b:h")]
        ));
        let boss = Id {
            scheme: Some(SUPER.into()),
            id: Some("".into()),
        };
        assert!(allows(&settings, &list, perms::WRITE, &[boss]));
        assert!(allows(&settings, &[], perms::ADMIN, &[]));
    }

    /// Checklist 101 and 102 of the client protocol.
    #[test]
    fn auth_stands_for_authenticated_identities_only() {
        let settings = Settings::default();
        let auth = || {
            let id = Id {
                scheme: Some("auth".into()),
                id: None,
            };
            Some(vec![Acl { perms: 31, id }])
        };
        let ip = Id {
            scheme: Some("ip".into()),
            id: Some("127.0.0.1".into()),
        };
        assert_eq!(
            accept(&settings, auth(), std::slice::from_ref(&ip)),
            Err(ErrorCode::InvalidAcl)
        );
        let accepted = accept(&settings, auth(), &[ip, digest_user("a:h")]).unwrap();
        assert_eq!(accepted, [Acl::new(31, "digest", "a:h")]);
    }

    #[test]
    fn lists_that_are_refused() {
        let settings = Settings::default();
        let refused = |list| accept(&settings, list, &[]).unwrap_err();
        assert_eq!(refused(None), ErrorCode::InvalidAcl);
        assert_eq!(refused(Some(vec![])), ErrorCode::InvalidAcl);
        assert_eq!(refused(Some(vec![Acl::default()])), ErrorCode::InvalidAcl);
        assert_eq!(
            refused(Some(vec![Acl::new(1, "world", "me")])),
            ErrorCode::InvalidAcl
        );
        assert_eq!(
            refused(Some(vec![Acl::new(1, "sasl", "me")])),
            ErrorCode::InvalidAcl
        );
        let (kept, nobody) = (
            Acl::new(31, "auth", ""),
            Acl {
                perms: 31,
                id: Id::default(),
            },
        );
        assert_eq!(
            refused(Some(vec![kept, nobody])),
            ErrorCode::MarshallingError
        );
        let null = Id {
            scheme: Some("digest".into()),
            id: None,
        };
        assert_eq!(
            refused(Some(vec![Acl { perms: 1, id: null }])),
            ErrorCode::MarshallingError
        );
    }

    #[test]
    fn masks_hide_digests() {
        let list = [
            Acl::new(31, "digest", "user:hash"),
            Acl::new(1, "ip", "::1"),
        ];
        let masked = masked(&list);
        assert_eq!(
            masked,
            [Acl::new(31, "digest", "user:x"), Acl::new(1, "ip", "::1")]
        );
    }
}
