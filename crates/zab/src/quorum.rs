//! Configurations and their quorums: who votes, and which servers together decide.
//!
//! With an oracle (`oraclePath`, `QuorumOracleMaj`) one of two voters may decide alone. That both do is
//! kept out by whoever writes the oracle's answers, as in Java.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zooid_proto::members::{Member, MembersError, Membership, Role};

use crate::io::Sid;
use crate::mutations::{Guard, without};

/// One configuration with the rule of its quorums, as `QuorumMaj` and `QuorumHierarchical` have it.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    membership: Membership,
    voters: BTreeSet<Sid>,
    /// Weight of each voter and of each other server that is given one.
    weights: BTreeMap<Sid, i64>,
    /// Group of each server; empty where majorities decide.
    groups: BTreeMap<Sid, i64>,
    /// Sum of the weights in each group that has any.
    group_weights: BTreeMap<i64, i128>,
}

impl Verifier {
    /// Reads `server.N`, `group.G`, `weight.N` and `version` lines.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(text: &str) -> Result<Verifier, MembersError> {
        // Java refuses several addresses unless `multiAddress` is on. Who sends them has it on.
        Membership::parse(text, true).map(Verifier::new)
    }

    /// The rule of a list of members.
    pub(crate) fn new(membership: Membership) -> Verifier {
        let voters: BTreeSet<Sid> = membership
            .members
            .values()
            .filter(|member| member.role == Role::Participant)
            .map(|member| member.id)
            .collect();
        let mut weights: BTreeMap<Sid, i64> = voters.iter().map(|&sid| (sid, 1)).collect();
        let mut groups = BTreeMap::new();
        let mut group_weights: BTreeMap<i64, i128> = BTreeMap::new();
        if membership.hierarchical {
            weights.extend(&membership.weights);
            for (&group, sids) in &membership.groups {
                for &sid in sids {
                    groups.insert(sid, group);
                    let weight = weights.get(&sid).copied().unwrap_or(0);
                    *group_weights.entry(group).or_default() += i128::from(weight);
                }
            }
            group_weights.retain(|_, &mut weight| weight != 0);
        }
        Verifier {
            membership,
            voters,
            weights,
            groups,
            group_weights,
        }
    }

    /// The same members as another version.
    pub(crate) fn with_version(&self, version: i64) -> Verifier {
        let mut other = self.clone();
        other.membership.version = version;
        other
    }

    /// zxid of the transaction that made it; 0 where it comes from a file.
    pub(crate) fn version(&self) -> i64 {
        self.membership.version
    }

    /// As it travels: the lines of all members, and the version.
    pub(crate) fn text(&self) -> String {
        self.membership.to_string()
    }

    /// The list behind it.
    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// A member, voting or not.
    pub(crate) fn member(&self, sid: Sid) -> Option<&Member> {
        self.membership.members.get(&sid)
    }

    /// Those that vote.
    pub(crate) fn voters(&self) -> &BTreeSet<Sid> {
        &self.voters
    }

    /// Whether it votes.
    pub(crate) fn is_voter(&self, sid: Sid) -> bool {
        self.voters.contains(&sid)
    }

    /// What the vote of a server weighs. Where majorities decide that is 1, for whomever, as in
    /// Java; with groups it is 0 for those without a vote, where Java has no answer.
    pub(crate) fn weight(&self, sid: Sid) -> i64 {
        if self.membership.hierarchical {
            self.weights.get(&sid).copied().unwrap_or(0)
        } else {
            1
        }
    }

    /// Whether the voters among `sids` decide.
    pub(crate) fn contains_quorum(&self, sids: &BTreeSet<Sid>) -> bool {
        let acked = sids.intersection(&self.voters);
        if !self.membership.hierarchical {
            if without(Guard::VotersOnly) {
                return sids.len() > self.voters.len() / 2;
            }
            return acked.count() > self.voters.len() / 2;
        }
        let mut sums: BTreeMap<i64, i128> = BTreeMap::new();
        for &sid in acked {
            if let Some(&group) = self.groups.get(&sid) {
                *sums.entry(group).or_default() += i128::from(self.weight(sid));
            }
        }
        let won = self
            .group_weights
            .iter()
            .filter(|&(group, &all)| sums.get(group).is_some_and(|&sum| sum > all / 2))
            .count();
        won > self.group_weights.len() / 2
    }

    /// Whether they decide, where an oracle lets one of two voters do so alone. It must be among them:
    /// what others had said before they went counts for nothing then.
    pub(crate) fn decides(&self, sids: &BTreeSet<Sid>, alone: Option<Sid>) -> bool {
        let one = alone.is_some_and(|one| self.is_voter(one) && sids.contains(&one));
        self.contains_quorum(sids) || (one && self.voters.len() <= 2)
    }

    /// Whether both are one configuration: the same version, or the same members and rule. Addresses
    /// are compared as configured, so that a name that moves to another machine changes nothing
    /// (ZOOKEEPER-4708: Java then takes a leader for another one than itself).
    pub(crate) fn is_same(&self, other: &Verifier) -> bool {
        self.membership.is_same(&other.membership)
    }
}

/// Counts who has agreed, in each configuration that must: `SyncedLearnerTracker`.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    sets: Vec<(Arc<Verifier>, BTreeSet<Sid>)>,
}

impl Tracker {
    /// Nobody has agreed yet: a quorum of the committed configuration is needed and, while a newer
    /// one waits for its commit, one of that too.
    pub(crate) fn new(committed: &Arc<Verifier>, seen: Option<&Arc<Verifier>>) -> Tracker {
        let newer = seen.filter(|seen| seen.version() > committed.version());
        Tracker {
            sets: [Some(committed), newer]
                .into_iter()
                .flatten()
                .map(|verifier| (verifier.clone(), BTreeSet::new()))
                .collect(),
        }
    }

    /// Asks one more configuration, of which nobody has agreed yet.
    pub(crate) fn require(&mut self, verifier: &Arc<Verifier>) {
        self.sets.push((verifier.clone(), BTreeSet::new()));
    }

    /// A server agrees; it counts where it votes. Whether that was news.
    pub(crate) fn add(&mut self, sid: Sid) -> bool {
        let mut news = false;
        for (verifier, acked) in &mut self.sets {
            if verifier.is_voter(sid) || without(Guard::VotersOnly) {
                news |= acked.insert(sid);
            }
        }
        news
    }

    /// Whether it has agreed in a configuration where it votes.
    pub(crate) fn contains(&self, sid: Sid) -> bool {
        self.sets.iter().any(|(_, acked)| acked.contains(&sid))
    }

    /// Whether those who have agreed decide in every configuration (see [`Verifier::decides`]).
    pub(crate) fn is_decided(&self, alone: Option<Sid>) -> bool {
        self.sets
            .iter()
            .all(|(verifier, acked)| verifier.decides(acked, alone))
    }

    /// The configurations, oldest first, and who has agreed in each.
    pub(crate) fn sets(&self) -> &[(Arc<Verifier>, BTreeSet<Sid>)] {
        &self.sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(lines: &str, voters: i64) -> Verifier {
        let servers: String = (1..=voters)
            .map(|sid| format!("server.{sid}=host{sid}:2888:3888:participant\n"))
            .collect();
        Verifier::parse(&(servers + lines)).expect("a configuration")
    }

    fn quorum(verifier: &Verifier, sids: &[Sid]) -> bool {
        verifier.contains_quorum(&sids.iter().copied().collect())
    }

    #[test]
    fn a_majority_of_those_that_vote_decides() {
        let five = members("server.6=o:1:2:observer", 5);
        assert!(!quorum(&five, &[1, 2]));
        assert!(!quorum(&five, &[1, 2, 6, 7]), "neither votes");
        assert!(quorum(&five, &[1, 2, 5]));
        assert!(!quorum(&members("", 4), &[1, 2]));
        assert!(!quorum(&members("", 2), &[1]));
        assert_eq!((five.weight(1), five.weight(6)), (1, 1));
    }

    #[test]
    fn a_majority_of_groups_decides_each_by_weight() {
        let groups = "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n";
        let nine = members(groups, 9);
        assert!(quorum(&nine, &[1, 2, 4, 5]));
        assert!(!quorum(&nine, &[1, 2, 3, 4, 7]));
        assert!(!quorum(&nine, &[]));
        let weights = "weight.1=3\nweight.7=0\nweight.8=0\nweight.9=0";
        let weighted = members(&format!("{groups}{weights}"), 9);
        assert!(quorum(&weighted, &[1, 4, 5]), "3 of 5 and 2 of 3");
        assert!(!quorum(&weighted, &[1, 7, 8, 9]), "a group without weight");
        assert!(
            !quorum(&weighted, &[2, 3, 4, 5]),
            "one of two groups is no majority"
        );
        assert_eq!((weighted.weight(1), weighted.weight(7)), (3, 0));
    }

    #[test]
    fn weights_of_any_size_are_added() {
        let lines = "group.1=1:2:3\nweight.1=9223372036854775807\nweight.2=9223372036854775807";
        assert!(quorum(&members(lines, 3), &[1, 2]));
        assert!(!quorum(&members(lines, 3), &[1]));
    }

    #[test]
    fn a_tracker_asks_both_configurations_while_one_is_pending() {
        let old = Arc::new(members("version=1", 3));
        let new = Arc::new(members("version=2", 5));
        let mut tracker = Tracker::new(&old, Some(&new));
        assert!(tracker.add(1) && tracker.add(2));
        assert!(!tracker.add(2), "it has agreed before");
        assert!(!tracker.is_decided(None), "two of five");
        assert!(tracker.add(5));
        assert!(tracker.is_decided(None));
        assert!(!tracker.add(6) && !tracker.contains(6));
        let mut tracker = Tracker::new(&new, Some(&old));
        assert_eq!(tracker.sets().len(), 1, "an older one has no say");
        for sid in [3, 4, 5] {
            tracker.add(sid);
        }
        assert!(tracker.is_decided(None));
    }

    #[test]
    fn an_oracle_lets_one_of_two_decide_alone() {
        let two = Arc::new(members("server.6=o:1:2:observer", 2));
        let set = |sids: &[Sid]| sids.iter().copied().collect::<BTreeSet<Sid>>();
        assert!(two.decides(&set(&[1]), Some(1)));
        assert!(!two.decides(&set(&[1]), None), "without its word");
        assert!(!two.decides(&set(&[2]), Some(1)), "who is gone may not");
        assert!(!two.decides(&set(&[6]), Some(6)), "nor who has no vote");
        assert!(two.decides(&set(&[1, 2]), None));
        assert!(!members("", 3).decides(&set(&[1]), Some(1)), "one of three");
        let mut tracker = Tracker::new(&two, None);
        assert!(!tracker.is_decided(Some(1)));
        tracker.add(1);
        assert!(tracker.is_decided(Some(1)) && !tracker.is_decided(None));
    }

    /// Java compares the machines behind names: a leader whose name has moved is not itself any more,
    /// and hands its leadership to another one or stops committing.
    #[test]
    fn zookeeper_4708_addresses_are_compared_as_configured() {
        let one = members("version=1", 3);
        assert!(one.is_same(&one.with_version(7)));
        assert!(!one.is_same(&members("version=3", 4)));
        assert!(
            one.is_same(&members("version=1", 4)),
            "the version says all"
        );
        let grouped = members("group.1=1:2:3\nversion=1", 3);
        assert!(
            !one.is_same(&grouped),
            "another rule is another configuration"
        );
    }

    #[test]
    fn the_text_says_all() {
        let text = members("group.1=1:2:3\nweight.1=2\nversion=10000000a", 3).text();
        assert!(text.ends_with("version=10000000a"), "{text}");
        let again = Verifier::parse(&text).expect("the text of a configuration");
        assert_eq!((again.text(), again.version()), (text, 0x1_0000_000a));
    }
}
