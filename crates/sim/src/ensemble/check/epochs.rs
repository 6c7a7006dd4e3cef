//! Epochs: I1 and I2 one leader for each, above all that a quorum has accepted; D4 promises are kept.

use std::collections::BTreeMap;

use zooid_proto::members::Membership;

use super::quorum::is_quorum;
use crate::ensemble::history::Chain;

/// One life of a server: it and the number of its start.
pub type Life = (usize, u64);

/// Who has led, and who has promised.
#[derive(Debug, Default)]
pub struct Epochs {
    /// Who synchronises learners in an epoch.
    leaders: BTreeMap<i64, Life>,
    /// The history that a leader synchronises with.
    initial: BTreeMap<i64, Chain>,
    /// To which leader a server has promised an epoch.
    promised: BTreeMap<(usize, i64), Life>,
    /// The highest epoch that a server has promised.
    highest: BTreeMap<usize, i64>,
}

impl Epochs {
    /// A leader that has a quorum of promises sends the first packet of a synchronisation.
    pub fn leads(&mut self, epoch: i64, life: Life) -> Result<(), String> {
        let leader = *self.leaders.entry(epoch).or_insert(life);
        if leader != life {
            return Err(format!(
                "I1, I2: servers {} and {} both lead epoch {epoch}",
                leader.0 + 1,
                life.0 + 1
            ));
        }
        Ok(())
    }

    /// What a leader begins an epoch with.
    pub fn begins_with(&mut self, epoch: i64, chain: Chain) {
        self.initial.entry(epoch).or_insert(chain);
    }

    /// What the leader of an epoch began with.
    pub fn initial(&self, epoch: i64) -> Option<Chain> {
        self.initial.get(&epoch).copied()
    }

    /// A counted ACKEPOCH leaves.
    pub fn promises(&mut self, server: usize, epoch: i64, to: Life) -> Result<(), String> {
        let highest = self.highest.entry(server).or_insert(epoch);
        let leader = *self.promised.entry((server, epoch)).or_insert(to);
        if *highest > epoch || leader != to {
            return Err(format!(
                "D4: server {} promises epoch {epoch} to {} after epoch {highest}, to {}",
                server + 1,
                to.0 + 1,
                leader.0 + 1
            ));
        }
        *highest = epoch;
        Ok(())
    }
}

/// A leader chooses an epoch: a quorum has told it of lower ones. `accepted` is what each has told, and
/// the leader's own.
pub fn above_a_quorum(
    members: &Membership,
    epoch: i64,
    accepted: &BTreeMap<i64, i64>,
) -> Result<(), String> {
    let lower = |id| accepted.get(&id).is_some_and(|told| *told < epoch);
    if is_quorum(members, lower) {
        return Ok(());
    }
    Err(format!(
        "I2: epoch {epoch} is chosen, and accepted are {accepted:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_is_not_new_is_seen() {
        let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0";
        let members = Membership::parse(text, true).expect("members");
        let accepted = BTreeMap::from([(1, 3), (2, 4)]);
        assert_eq!(above_a_quorum(&members, 5, &accepted), Ok(()));
        assert!(above_a_quorum(&members, 4, &accepted).is_err());
    }

    #[test]
    fn two_leaders_and_two_promises_are_seen() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.leads(1, (0, 1)), Ok(()));
        assert_eq!(epochs.leads(1, (0, 1)), Ok(()));
        assert!(epochs.leads(1, (0, 2)).is_err());
        assert_eq!(epochs.promises(1, 2, (0, 1)), Ok(()));
        assert!(epochs.promises(1, 2, (2, 1)).is_err());
        assert!(epochs.promises(1, 1, (0, 1)).is_err());
    }
}
