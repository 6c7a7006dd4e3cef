//! One test for each rule, then the bugs that elections have had.

use std::collections::BTreeMap;

use super::*;
use crate::vote_testing::{config, notification, params, read_frame, vote};
use PeerState::{Following, Leading, Looking, Observing};

/// A server among others, whose words are written down.
struct Server {
    fle: FastLeaderElection,
    now: u64,
    said: Vec<(Sid, PeerState, Vote)>,
    events: Vec<ElectionEvent>,
}

impl Server {
    fn new(params: &Params, committed: Arc<Verifier>, seen: Option<Arc<Verifier>>) -> Server {
        Server {
            fle: FastLeaderElection::new(params, committed, seen),
            now: 0,
            said: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Server `sid` of three, looking, with last zxid 0x100000005 of epoch 1.
    fn of_three(sid: Sid) -> Server {
        let mut server = Server::new(&params(sid), config(3, 0, 0), None);
        server.look(0x1_0000_0005, 1);
        server
    }

    fn act(&mut self, act: impl FnOnce(&mut FastLeaderElection, u64, &mut Step)) {
        let mut step = Step::default();
        act(&mut self.fle, self.now, &mut step);
        for (to, frame) in step.sends {
            let (state, vote) = read_frame(&frame);
            self.said.push((to, state, vote));
        }
        self.events.extend(step.events);
    }

    fn look(&mut self, zxid: i64, current_epoch: i64) {
        let standing = Standing {
            zxid,
            current_epoch,
            observer: false,
        };
        self.act(|fle, now, step| fle.look(standing, now, step));
        self.said.clear();
    }

    fn hear(&mut self, from: Sid, state: PeerState, vote: Vote) {
        self.hear_all(from, &notification(state, vote), false);
    }

    fn hear_all(&mut self, from: Sid, n: &Notification<'_>, first: bool) {
        self.act(|fle, now, step| fle.notified(from, n, first, now, step));
    }

    fn lose(&mut self, sid: Sid) {
        self.act(|fle, now, step| fle.link_down(sid, now, step));
    }

    /// Lets time pass.
    fn wait(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(at) = self.fle.next_timeout().filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.act(|fle, now, step| fle.tick(now, step));
        }
        self.now = end;
    }

    fn said(&mut self) -> Vec<(Sid, PeerState, Vote)> {
        std::mem::take(&mut self.said)
    }

    fn decision(&self) -> Option<(PeerState, Vote)> {
        self.events.iter().find_map(|event| match event {
            ElectionEvent::Decided { state, vote } => Some((*state, *vote)),
            _ => None,
        })
    }
}

const ZXID: i64 = 0x1_0000_0005;

#[test]
fn votes_for_itself_first_and_tells_all_other_voters() {
    let mut server = Server::new(&params(2), config(3, 1, 0), None);
    let standing = Standing {
        zxid: ZXID,
        current_epoch: 1,
        observer: false,
    };
    server.act(|fle, now, step| fle.look(standing, now, step));
    let own = vote(2, ZXID, 1, 1);
    assert_eq!(server.said(), [(1, Looking, own), (3, Looking, own)]);
}

#[test]
fn a_better_vote_has_a_newer_epoch_or_more_transactions_or_a_larger_number() {
    let cases = [
        (vote(1, 3, 1, 2), true),
        (vote(1, ZXID + 1, 1, 1), true),
        (vote(3, ZXID, 1, 1), true),
        (vote(1, ZXID, 1, 1), false),
        (vote(3, ZXID - 1, 1, 1), false),
        (vote(3, ZXID + 9, 1, 0), false),
    ];
    for (other, better) in cases {
        let mut server = Server::of_three(2);
        server.hear(other.leader, Looking, other);
        let expected: Vec<_> = [1, 3].into_iter().map(|to| (to, Looking, other)).collect();
        let expected = if better { expected } else { Vec::new() };
        assert_eq!(server.said(), expected, "{other:?}");
    }
}

#[test]
fn a_vote_for_a_server_without_weight_is_never_better() {
    let text = "server.1=h:1:2\nserver.2=h:3:4\nserver.3=h:5:6\ngroup.1=1:2:3\nweight.3=0";
    let config = Arc::new(Verifier::parse(text).unwrap());
    let mut server = Server::new(&params(2), config, None);
    server.look(ZXID, 1);
    server.hear(3, Looking, vote(3, ZXID + 9, 1, 1));
    assert_eq!(server.said(), []);
}

#[test]
fn an_older_round_is_told_of_the_newer_one_and_does_not_count() {
    let mut server = Server::of_three(2);
    server.look(ZXID, 1);
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    assert_eq!(server.said(), [(1, Looking, vote(2, ZXID, 2, 1))]);
    server.lose(3);
    assert_eq!(server.decision(), None);
}

#[test]
fn a_newer_round_is_joined_with_nothing_of_the_old_one() {
    let mut server = Server::of_three(2);
    server.hear(3, Looking, vote(3, ZXID, 1, 1));
    server.said.clear();
    // Not better than its own: so it votes for itself again, not for 3.
    server.hear(1, Looking, vote(1, ZXID, 7, 1));
    let own = vote(2, ZXID, 7, 1);
    assert_eq!(server.said(), [(1, Looking, own), (3, Looking, own)]);
    server.lose(3);
    assert_eq!(
        server.decision(),
        None,
        "the vote of 3 was of the old round"
    );
    server.hear(1, Looking, own);
    assert_eq!(server.decision(), Some((Leading, own)));
}

#[test]
fn who_followed_in_an_older_round_is_not_counted_in_a_newer_one() {
    let mut server = Server::new(&params(1), config(5, 0, 0), None);
    server.look(ZXID, 1);
    server.hear(2, Following, vote(5, ZXID, 1, 1));
    server.hear(3, Looking, vote(3, ZXID, 7, 1));
    server.hear(5, Leading, vote(5, ZXID, 7, 2));
    server.hear(4, Following, vote(5, ZXID, 7, 2));
    assert_eq!(server.decision(), None);
    server.hear(2, Following, vote(5, ZXID, 7, 1));
    assert_eq!(server.decision().map(|(_, vote)| vote.leader), Some(5));
}

#[test]
fn a_server_that_may_have_lost_its_data_neither_votes_nor_is_voted_for() {
    let mut server = Server::of_three(2);
    server.hear(3, Looking, vote(3, -1, 1, 9));
    assert_eq!(server.said(), []);
    let mut lost = Server::new(&params(2), config(3, 0, 0), None);
    lost.look(-1, 1);
    for sid in [1, 3] {
        lost.hear(sid, Looking, vote(3, ZXID, 1, 1));
    }
    lost.wait(150);
    assert_eq!((lost.said(), lost.decision()), (vec![], None));
    lost.hear(1, Following, vote(3, ZXID, 1, 1));
    lost.hear(3, Leading, vote(3, ZXID, 1, 1));
    let joins = Some((Following, vote(3, ZXID, 1, 1)));
    assert_eq!(
        lost.decision(),
        joins,
        "it may follow a leader that there is"
    );
}

#[test]
fn a_quorum_waits_for_a_better_vote_where_one_can_come() {
    let mut server = Server::of_three(2);
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    server.wait(199);
    assert_eq!(server.decision(), None);
    server.wait(1);
    assert_eq!(server.decision(), Some((Leading, vote(2, ZXID, 1, 1))));
}

#[test]
fn a_better_vote_ends_the_wait() {
    let mut server = Server::of_three(2);
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    server.wait(150);
    let better = vote(3, ZXID + 1, 1, 1);
    server.hear(3, Looking, better);
    server.wait(100);
    server.hear(1, Looking, better);
    assert_eq!(server.decision(), Some((Following, better)));
}

#[test]
fn nothing_is_waited_for_if_all_agree_or_cannot_be_reached() {
    let own = vote(2, ZXID, 1, 1);
    let decided = Some((Leading, own));
    let mut server = Server::of_three(2);
    server.hear(1, Looking, own);
    server.hear(3, Looking, own);
    assert_eq!(server.decision(), decided, "all agree");
    let mut server = Server::of_three(2);
    server.lose(3);
    server.hear(1, Looking, own);
    assert_eq!(server.decision(), decided, "the third is not there");
    let mut server = Server::of_three(2);
    server.hear(1, Looking, own);
    server.lose(3);
    assert_eq!(server.decision(), decided, "and is seen to be gone later");
    let mut server = Server::of_three(2);
    server.lose(3);
    server.fle.link_up(3);
    server.hear(1, Looking, own);
    assert_eq!(server.decision(), None, "it has come back");
}

#[test]
fn the_first_words_on_a_connection_may_be_old_and_are_not_relied_on() {
    let own = vote(2, ZXID, 1, 1);
    let mut server = Server::of_three(2);
    server.lose(3);
    server.hear_all(1, &notification(Looking, own), true);
    assert_eq!(server.decision(), None);
    server.wait(200);
    assert_eq!(server.decision(), Some((Leading, own)));
}

#[test]
fn words_that_change_nothing_do_not_prolong_the_wait() {
    let mut server = Server::of_three(2);
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    for _ in 0..20 {
        server.hear(3, Looking, vote(1, 3, 1, 0));
        server.wait(10);
    }
    assert_eq!(server.decision().map(|(state, _)| state), Some(Leading));
}

#[test]
fn proposals_are_sent_again_less_and_less_often() {
    let mut server = Server::of_three(2);
    let mut times = Vec::new();
    for _ in 0..11 {
        let at = server.fle.next_timeout().expect("it goes on");
        server.wait(at - server.now);
        assert_eq!(server.said().len(), 2);
        times.push(at);
    }
    let java = [
        200, 600, 1400, 3000, 6200, 12_600, 25_400, 51_000, 102_200, 162_200, 222_200,
    ];
    assert_eq!(times, java);
}

#[test]
fn a_leader_that_is_there_is_joined_at_once_in_whatever_round() {
    let mut server = Server::of_three(1);
    let theirs = vote(3, 7, 12, 4);
    server.hear(2, Following, theirs);
    assert_eq!(server.decision(), None, "3 does not say that it leads");
    server.hear(3, Leading, theirs);
    assert_eq!(server.decision(), Some((Following, theirs)));
    assert_eq!(server.fle.clock, 12);
}

#[test]
fn a_pending_configuration_has_a_say() {
    let mut server = Server::new(&params(1), config(3, 0, 1), Some(config(5, 0, 2)));
    server.look(ZXID, 1);
    let theirs = vote(3, ZXID, 1, 1);
    server.lose(2);
    server.lose(5);
    server.hear(3, Looking, theirs);
    server.wait(1000);
    assert_eq!(server.decision(), None, "two of five");
    server.hear(4, Looking, theirs);
    assert_eq!(server.decision(), Some((Following, theirs)));
}

/// It was cut off with a list that leaves only itself and one other; a vote from outside an election
/// does not count itself.
#[test]
fn a_pending_configuration_keeps_nobody_from_a_leader_that_is_there() {
    let mut server = Server::new(&params(1), config(3, 0, 1), Some(config(2, 0, 2)));
    server.look(ZXID, 1);
    let theirs = vote(3, 7, 12, 4);
    server.hear(3, Leading, theirs);
    assert_eq!(server.decision(), None, "nobody says that it follows");
    server.hear(2, Following, theirs);
    assert_eq!(server.decision(), Some((Following, theirs)));
    // Who shall lead itself needs both.
    let mut server = Server::new(&params(1), config(3, 0, 1), Some(config(7, 0, 2)));
    server.look(ZXID, 1);
    let mine = vote(1, ZXID, 1, 1);
    server.hear(2, Following, mine);
    server.hear(3, Following, mine);
    assert_eq!(server.decision(), None, "three of seven");
}

#[test]
fn who_is_no_voter_is_answered_but_not_counted() {
    let mut server = Server::new(&params(2), config(3, 1, 0), None);
    server.look(ZXID, 1);
    // A server that is about to join votes for nobody.
    let asking = vote(i64::MIN, 9, 1, 0);
    server.hear(5, Looking, asking);
    // Java answers with the vote of the term before, but the round of now.
    assert_eq!(server.said(), [(5, Looking, vote(2, ZXID, 1, 1))]);
    let mut odd = notification(Looking, asking);
    odd.state = None;
    server.hear_all(4, &odd, false);
    assert_eq!(server.said().len(), 1, "also with a state that is none");
    server.hear_all(3, &odd, false);
    assert_eq!(server.said(), [], "that of a voter is dropped");
    server.hear(5, Following, asking);
    server.hear(5, Looking, asking);
    assert_eq!(
        server.said(),
        [],
        "answers are not answered, nor all questions"
    );
    server.wait(20);
    server.hear(5, Looking, asking);
    assert_eq!(server.said().len(), 1);
}

#[test]
fn an_observer_asks_for_a_leader_and_is_told_when_there_is_one() {
    let mut observer = Server::new(&params(4), config(3, 1, 0), None);
    let standing = Standing {
        zxid: ZXID,
        current_epoch: 1,
        observer: true,
    };
    observer.act(|fle, now, step| fle.look(standing, now, step));
    let asking = vote(i64::MIN, i64::MIN, 1, i64::MIN);
    let said: Vec<_> = (1..=3).map(|to| (to, Looking, asking)).collect();
    assert_eq!(observer.said(), said);
    // The old leader, in the answers of voters that look for another one.
    let old = vote(2, 5, 1, 1);
    for sid in 1..=3 {
        observer.hear(sid, Looking, old);
    }
    observer.wait(2000);
    assert_eq!(observer.decision(), None);
    observer.hear(1, Following, vote(3, ZXID, 2, 1));
    observer.hear(3, Leading, vote(3, ZXID, 2, 1));
    assert_eq!(observer.decision(), Some((Observing, vote(3, ZXID, 2, 1))));

    let mut voter = Server::of_three(2);
    voter.hear(4, Looking, asking);
    voter.said();
    voter.lose(3);
    voter.hear(1, Looking, vote(2, ZXID, 1, 1));
    assert_eq!(voter.said(), [(4, Leading, vote(2, ZXID, 1, 1))]);
}

#[test]
fn a_newer_configuration_is_taken_over_while_looking_only() {
    let members = config(5, 0, 9).text();
    let mut n = notification(Looking, vote(1, 3, 1, 1));
    n.config = Some(members.clone().into());
    let mut server = Server::of_three(2);
    server.hear_all(1, &n, false);
    assert_eq!(server.events, [ElectionEvent::NewerConfig(members)]);
    server.hear(3, Looking, vote(3, ZXID, 1, 1));
    assert_eq!(server.said(), [], "nothing is said before it is in force");
    assert!(server.fle.reconfigure(config(5, 0, 9), None));
    server.look(ZXID, 1);
    assert_eq!(server.fle.clock, 1, "rounds begin anew");

    let mut settled = Server::of_three(2);
    settled.act(|fle, _, step| fle.settle(Following, vote(3, ZXID, 1, 1), step));
    settled.hear_all(1, &n, false);
    assert_eq!(settled.events, []);

    let mut fixed = params(2);
    fixed.reconfig = false;
    let mut fixed = Server::new(&fixed, config(3, 0, 0), None);
    fixed.look(ZXID, 1);
    fixed.hear_all(1, &n, false);
    assert_eq!(fixed.events, [], "members do not change here");

    for text in ["server.1=", "\\u00", "server.1=h:1:2\nversion=-1"] {
        let mut server = Server::of_three(1);
        let mut n = notification(Looking, vote(3, ZXID, 1, 1));
        n.config = Some(text.into());
        server.hear_all(3, &n, false);
        assert_eq!(server.events, []);
        assert_eq!(server.said().len(), 2, "the vote counts without {text:?}");
    }
}

#[test]
fn the_same_members_as_a_newer_version_do_not_stop_an_election() {
    let mut server = Server::of_three(2);
    server.lose(3);
    let mut n = notification(Looking, vote(2, ZXID, 1, 1));
    n.config = Some(config(3, 0, 9).text().into());
    server.hear_all(1, &n, false);
    assert!(matches!(server.events[0], ElectionEvent::NewerConfig(_)));
    assert_eq!(server.decision().map(|(state, _)| state), Some(Leading));
    assert!(!server.fle.reconfigure(config(3, 0, 9), None));
}

#[test]
fn who_asked_is_told_the_epoch_when_it_is_established() {
    let mut server = Server::of_three(2);
    server.lose(3);
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    server.said();
    server.hear(3, Looking, vote(3, ZXID - 1, 1, 1));
    assert_eq!(server.said(), [(3, Leading, vote(2, ZXID, 1, 1))]);
    let established = vote(2, ZXID, 1, 2);
    server.act(|fle, _, step| fle.settle(Leading, established, step));
    assert_eq!(server.said(), [(3, Leading, established)]);
    server.act(|fle, _, step| fle.settle(Leading, established, step));
    assert_eq!(server.said(), []);
}

#[test]
fn who_was_not_looking_yet_hears_the_proposal_when_it_is() {
    let mut server = Server::of_three(2);
    server.hear(1, Following, vote(3, 0, 0, 1));
    server.hear(1, Looking, vote(1, ZXID, 1, 1));
    assert_eq!(server.said(), [(1, Looking, vote(2, ZXID, 1, 1))]);
    server.hear(1, Looking, vote(1, ZXID, 1, 1));
    assert_eq!(server.said(), [], "once is enough");
}

#[test]
fn votes_that_come_too_early_are_not_lost() {
    let better = vote(3, ZXID, 1, 1);
    let mut server = Server::new(&params(2), config(3, 0, 0), None);
    server.hear(3, Looking, better);
    server.hear(1, Looking, vote(1, ZXID, 1, 1));
    server.look(ZXID, 1);
    assert_eq!(server.fle.proposal, better);
    server.wait(200);
    assert_eq!(server.decision(), Some((Following, better)));
    // Those of servers that are gone, or have a leader meanwhile, are.
    for gone in [true, false] {
        let round = server.fle.clock + 1;
        server.hear(3, Looking, vote(3, ZXID, round, 1));
        if gone {
            server.lose(3);
        } else {
            server.hear(3, Following, vote(1, ZXID, round, 1));
        }
        server.look(ZXID, 1);
        assert_eq!(server.fle.proposal.leader, 2);
        server.act(|fle, _, step| fle.settle(Following, better, step));
    }
}

#[test]
fn a_vote_that_comes_between_a_role_and_its_election_is_as_good_as_a_later_one() {
    for resting in [true, false] {
        let mut server = Server::of_three(1);
        server.act(|fle, _, step| fle.settle(Following, vote(3, ZXID, 1, 1), step));
        if resting {
            server.fle.rest();
        }
        server.said.clear();
        let next = vote(2, ZXID, 2, 1);
        server.hear(2, Looking, next);
        // Otherwise its vote is asked for once more by this answer.
        assert_eq!(server.said().is_empty(), resting);
        server.lose(3);
        server.look(ZXID, 1);
        let decided = resting.then_some((Following, next));
        assert_eq!(server.decision(), decided, "resting: {resting}");
    }
}

#[test]
fn a_new_connection_begins_with_what_is_true_now() {
    let mut server = Server::of_three(2);
    let frame = server.fle.link_up(1).expect("a proposal");
    assert_eq!(read_frame(&frame), (Looking, vote(2, ZXID, 1, 1)));
    assert_eq!(server.fle.link_up(7), None, "it has no vote");
    server.act(|fle, _, step| fle.settle(Following, vote(3, ZXID, 1, 1), step));
    assert_eq!(server.fle.link_up(1), None, "the election is over");
}

#[test]
fn a_server_alone_elects_itself() {
    let mut server = Server::new(&params(1), config(1, 0, 0), None);
    server.look(ZXID, 1);
    assert_eq!(server.decision(), Some((Leading, vote(1, ZXID, 1, 1))));
}

/// A server that fell out asks others that agree on the leader but not on zxid and round of its
/// election, or joined it later with an epoch of its own (ZOOKEEPER-1732, 1805, 1808, 1810, 1817,
/// 1818).
#[test]
fn zookeeper_1732_votes_of_an_election_that_is_over_agree_on_leader_and_epoch() {
    let mut server = Server::new(&params(1), config(5, 0, 0), None);
    server.look(ZXID, 1);
    server.hear(5, Leading, vote(5, 40, 3, 6));
    server.hear(2, Following, vote(5, 41, 9, 6));
    assert_eq!(server.decision(), None);
    server.hear(3, Following, vote(5, i64::MIN, -1, 6));
    assert_eq!(
        server.decision().map(|(state, v)| (state, v.leader)),
        Some((Following, 5))
    );
}

#[test]
fn zookeeper_1818_releases_that_send_no_version_agree_on_the_leader() {
    let old = |vote: Vote| Notification {
        version: 0,
        ..notification(Following, vote)
    };
    let mut server = Server::of_three(1);
    server.hear_all(2, &old(vote(3, 0, 7, -1)), false);
    assert_eq!(server.decision(), None);
    server.hear(3, Leading, vote(3, 5, 9, 6));
    assert_eq!(server.decision().map(|(_, v)| v.leader), Some(3));
}

/// A server that returns must not lead because others still follow it: theirs is another round.
#[test]
fn zookeeper_1514_a_server_does_not_lead_by_votes_of_another_round() {
    let mut server = Server::of_three(3);
    for sid in [1, 2] {
        server.hear(sid, Following, vote(3, ZXID, 4, 1));
    }
    assert_eq!(server.decision(), None);
}

/// A server that returns must not follow one that is said to lead and does not say so itself.
#[test]
fn zookeeper_975_a_leader_is_followed_only_if_it_says_that_it_leads() {
    let mut server = Server::new(&params(1), config(5, 0, 0), None);
    server.look(ZXID, 1);
    for sid in [2, 3, 4] {
        server.hear(sid, Following, vote(5, ZXID, 1, 1));
    }
    server.wait(1000);
    assert_eq!(server.decision(), None);
}

/// Votes of an election that is over are no votes in this one.
#[test]
fn zookeeper_3537_last_words_of_an_old_election_are_not_counted_in_a_new_one() {
    let mut server = Server::of_three(3);
    server.look(ZXID, 1);
    server.hear_all(1, &notification(Looking, vote(2, ZXID + 5, 1, 1)), true);
    server.hear_all(2, &notification(Looking, vote(2, ZXID + 5, 1, 1)), true);
    server.wait(1000);
    assert_eq!(server.decision(), None);
}

#[test]
fn zookeeper_3109_a_leader_hears_that_its_voter_looks_again() {
    let mut server = Server::of_three(2);
    server.lose(3);
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    server.events.clear();
    server.hear(3, Looking, vote(3, 1, 1, 1));
    assert_eq!(server.events, [], "3 had not voted for it");
    server.hear(1, Looking, vote(2, ZXID, 1, 1));
    server.hear(1, Looking, vote(1, ZXID, 1, 1));
    assert_eq!(server.events, [], "what 1 said before it went over");
    server.hear(1, Looking, vote(1, ZXID, 2, 1));
    server.hear(1, Looking, vote(1, ZXID, 2, 1));
    assert_eq!(server.events, [ElectionEvent::LookingAgain { sid: 1 }]);
}

#[test]
fn no_number_is_too_large_or_too_small() {
    let numbers = [i64::MIN, -1, 0, 1, 2, 3, i64::MAX];
    let mut told = BTreeMap::new();
    for state in [Looking, Following, Leading, Observing] {
        let mut server = Server::of_three(2);
        for number in numbers.iter().flat_map(|&a| numbers.map(|b| (a, b))) {
            for from in [1, 3, 4, i64::MIN] {
                let odd = vote(number.0, number.1, number.1, number.0);
                server.hear(from, state, odd);
                server.hear(from, state, vote(3, number.0, number.1, 1));
            }
            server.wait(300);
            if server.decision().is_some() {
                server.events.clear();
                server.look(number.0, number.1);
                *told.entry(state.to_wire()).or_insert(0) += 1;
            }
        }
    }
    assert!(!told.is_empty(), "elections end in spite of it");
}
