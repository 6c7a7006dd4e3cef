//! What a run asks for, and the shape of the tree that it asks.

use anyhow::bail;
use std::time::Duration;

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// getData.
    Get,
    /// exists.
    Exists,
    /// getChildren of the parent of the first nodes.
    Children,
    /// setData.
    Set,
    /// Create of a new node each time.
    Create,
    /// Delete of a node that the same connection made just before; the create does not count.
    Delete,
    /// A multi of several setData.
    Multi,
    /// getData, with a share of setData.
    Mixed {
        /// setData in a hundred requests.
        writes_percent: u32,
    },
    /// One setData and an event to everyone who watches the node.
    Fanout,
    /// New sessions as quickly as the server gives them; all stay open.
    Storm,
    /// Sessions that come, ask once, and go.
    Churn,
    /// A watch of each connection on each node.
    Watches,
    /// The nodes themselves; they stay.
    Fill,
}

impl Operation {
    /// Whether it can be paced: requests one by one, for a time.
    pub fn can_be_paced(self) -> bool {
        use Operation::*;
        matches!(
            self,
            Get | Exists | Children | Set | Create | Multi | Mixed { .. }
        )
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// host:port.
    pub server: String,
    /// What to ask for.
    pub operation: Operation,
    /// Connections, each with a session of its own. For a storm: handshakes under way at a time.
    pub connections: usize,
    /// Requests under way on each.
    pub outstanding: usize,
    /// Requests a second over all connections, sent at fixed times; latencies count from those
    /// times. `None`: the next request leaves when one is answered.
    pub rate: Option<f64>,
    /// Bytes of data in each node.
    pub size: usize,
    /// Nodes that requests go to.
    pub keys: usize,
    /// Nodes below each other between the root and the nodes.
    pub depth: usize,
    /// Nodes in one parent; 0: all in one.
    pub per_parent: usize,
    /// Characters in a node's whole path, filled up with zeros; 0: as short as it gets.
    pub path_length: usize,
    /// Operations in one multi.
    pub multi: usize,
    /// Sessions of a storm.
    pub sessions: usize,
    /// Connections of a storm that are cut when it is over; their sessions stay.
    pub abandon: usize,
    /// Changes of a fan-out.
    pub rounds: usize,
    /// Wanted session timeout, ms.
    pub timeout_ms: i32,
    /// Not measured at the beginning.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// Where all nodes are.
    pub root: String,
    /// The nodes are there already: nothing is made and nothing removed.
    pub existing: bool,
    /// Nothing is removed.
    pub keep: bool,
    /// Sessions and watches stay until the caller says so.
    pub hold: bool,
    /// Tell on stderr how it goes, each second.
    pub progress: bool,
}

impl Plan {
    /// The usual run against a server.
    pub fn new(server: &str, operation: Operation) -> Plan {
        Plan {
            server: server.to_owned(),
            operation,
            connections: 32,
            outstanding: 16,
            rate: None,
            size: 100,
            keys: 1000,
            depth: 0,
            per_parent: 0,
            path_length: 0,
            multi: 8,
            sessions: 1000,
            abandon: 0,
            rounds: 10,
            timeout_ms: 30_000,
            warm_up: Duration::from_secs(2),
            duration: Duration::from_secs(5),
            root: format!("/zooid-bench-{}", std::process::id()),
            existing: false,
            keep: false,
            hold: false,
            progress: false,
        }
    }

    /// Says what is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        let counts = [
            ("connections", self.connections),
            ("outstanding", self.outstanding),
            ("keys", self.keys),
            ("multi", self.multi),
            ("sessions", self.sessions),
            ("rounds", self.rounds),
        ];
        for (name, count) in counts {
            if count == 0 {
                bail!("{name} must be at least 1");
            }
        }
        zooid_proto::path::validate(&self.root)
            .map_err(|error| anyhow::anyhow!("root {:?}: {error}", self.root))?;
        if self.root == "/" {
            bail!("root must be a node of its own: everything in it is removed");
        }
        if let Some(rate) = self.rate {
            if !(rate.is_finite() && rate > 0.0) {
                bail!("rate must be above 0");
            }
            if !self.operation.can_be_paced() {
                bail!("rate: {:?} cannot be paced", self.operation);
            }
        }
        if let Operation::Mixed { writes_percent } = self.operation
            && writes_percent > 100
        {
            bail!("writes: {writes_percent} percent is more than all");
        }
        if self.abandon > self.sessions {
            bail!("abandon: only {} sessions are made", self.sessions);
        }
        let shortest = self.path(self.keys - 1).len();
        if self.path_length > 0 && shortest > self.path_length {
            bail!(
                "path-length: {} characters are too few, the paths need {shortest}",
                self.path_length
            );
        }
        Ok(())
    }

    pub(crate) fn keeps(&self) -> bool {
        self.keep || self.existing || self.operation == Operation::Fill
    }

    pub(crate) fn makes_nodes(&self) -> bool {
        !self.existing && self.operation != Operation::Fill
    }

    /// The node that all parents or all nodes are in.
    pub(crate) fn base(&self) -> String {
        self.root.clone() + &"/d".repeat(self.depth)
    }

    /// The parent of a node.
    pub(crate) fn parent(&self, key: usize) -> String {
        match key.checked_div(self.per_parent) {
            Some(parent) => format!("{}/p{parent}", self.base()),
            None => self.base(),
        }
    }

    /// The path of a node.
    pub(crate) fn path(&self, key: usize) -> String {
        let parent = self.parent(key);
        let digits = self.path_length.saturating_sub(parent.len() + 2);
        format!("{parent}/k{key:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            root: "/b".into(),
            ..Plan::new("", Operation::Get)
        }
    }

    #[test]
    fn shapes_of_the_tree() {
        let flat = plan();
        assert_eq!(flat.path(7), "/b/k7");
        let deep = Plan {
            depth: 2,
            per_parent: 10,
            path_length: 20,
            ..plan()
        };
        assert_eq!(deep.path(37), "/b/d/d/p3/k000000037");
        assert_eq!(deep.path(37).len(), 20);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let complaint = |plan: Plan| plan.check().expect_err("must fail").to_string();
        let none = Plan {
            connections: 0,
            ..plan()
        };
        assert!(complaint(none).contains("connections"));
        let root = Plan {
            root: "/".into(),
            ..plan()
        };
        assert!(complaint(root).contains("root"));
        let storm = Plan {
            rate: Some(5.0),
            operation: Operation::Storm,
            ..plan()
        };
        assert!(complaint(storm).contains("paced"));
        let short = Plan {
            path_length: 4,
            ..plan()
        };
        assert!(complaint(short).contains("path-length"));
        assert!(plan().check().is_ok());
    }
}
