//! In which order members are replaced.

use super::judge::Target;
use super::seen::{Ensemble, Seen, Server};

/// The replacement of one member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step<'e> {
    pub(super) member: &'e Seen,
    pub(super) server: &'e Server,
    /// Why it comes here.
    pub(super) why: &'static str,
}

/// What is left to do: observers first, then followers, those with the fewest connections before
/// others, the leader last. `first` are the numbers of followers that come before the others.
pub(super) fn steps<'e>(seen: &'e Ensemble, to: Target, first: &[i64]) -> Vec<Step<'e>> {
    let mut steps: Vec<(_, Step<'e>)> = seen
        .serving()
        .filter(|(_, server)| !to.is(&server.kind))
        .map(|(member, server)| {
            let wished = member.id.is_some_and(|id| first.contains(&id));
            let (rank, why) = match server.mode.as_str() {
                _ if seen.is_observer(member) => (0, "an observer has no vote"),
                "leader" => (3, "the leader comes last: this costs the only election"),
                "standalone" => (3, "it is alone"),
                _ if wished => (1, "you want it early"),
                _ => (2, "a follower: no election"),
            };
            let order = (rank, server.connections, member.id, member.address.clone());
            (
                order,
                Step {
                    member,
                    server,
                    why,
                },
            )
        })
        .collect();
    steps.sort_by(|(one, _), (other, _)| one.cmp(other));
    steps.into_iter().map(|(_, step)| step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::seen::Kind;
    use crate::migrate::testing::{change, end, ensemble};

    fn order(seen: &Ensemble, to: Target, first: &[i64]) -> Vec<i64> {
        steps(seen, to, first)
            .iter()
            .map(|step| step.member.id.unwrap())
            .collect()
    }

    #[test]
    fn observers_then_followers_then_the_leader() {
        let mut seen = ensemble();
        assert_eq!(order(&seen, Target::Zooid, &[]), [4, 1, 2, 3]);
        change(&mut seen, 1, |server| server.connections = 11);
        assert_eq!(order(&seen, Target::Zooid, &[]), [4, 2, 1, 3]);
        assert_eq!(order(&seen, Target::Zooid, &[1, 3]), [4, 1, 2, 3]);
    }

    #[test]
    fn what_is_done_is_not_done_again() {
        let mut seen = ensemble();
        assert_eq!(order(&seen, Target::Java, &[]), [] as [i64; 0]);
        for id in [1, 4] {
            change(&mut seen, id, |server| {
                server.kind = Kind::Zooid("1".to_owned());
            });
        }
        assert_eq!(order(&seen, Target::Zooid, &[]), [2, 3]);
        assert_eq!(order(&seen, Target::Java, &[]), [4, 1]);
        end(&mut seen, 2);
        assert_eq!(order(&seen, Target::Zooid, &[]), [3]);
    }
}
