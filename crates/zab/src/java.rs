//! A member of Java for simulations: a peer that does what Apache ZooKeeper does where that is not
//! what this one does. It says what Java says, when Java says it, and has on its disk what Java has;
//! `docs/zab.md` lists what is modelled, and which of Java's defects are left out because they break
//! a quorum of Java alone. Without the feature `mutations` there is no way to make one, and every
//! question here is answered at compile time.

/// A release of Apache ZooKeeper.
#[cfg_attr(
    not(feature = "mutations"),
    allow(unreachable_pub, dead_code, reason = "public where the module is")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Java {
    /// 3.8.6: all of a DIFF is logged at NEWLEADER and acknowledged one by one behind UPTODATE, and
    /// a COMMIT in between ends the connection (ZOOKEEPER-4394).
    V3_8,
    /// 3.9.5: what is committed is logged at NEWLEADER, the rest behind UPTODATE.
    V3_9,
}

/// Whom a peer takes after.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Model {
    #[cfg(feature = "mutations")]
    pub(crate) java: Option<Java>,
    /// The counter at which an epoch ends, if it is not the last one that there is.
    #[cfg(feature = "mutations")]
    pub(crate) last_counter: Option<u32>,
}

#[cfg(feature = "mutations")]
impl Model {
    /// Whether it is any Java.
    pub(crate) fn is_java(self) -> bool {
        self.java.is_some()
    }

    /// Whether it is Java 3.8.
    pub(crate) fn is_java_38(self) -> bool {
        self.java == Some(Java::V3_8)
    }

    /// The counter that is never given.
    pub(crate) fn last_counter(self) -> u32 {
        self.last_counter.unwrap_or(u32::MAX)
    }
}

#[cfg(not(feature = "mutations"))]
impl Model {
    /// Whether it is any Java: never.
    pub(crate) fn is_java(self) -> bool {
        false
    }

    /// Whether it is Java 3.8: never.
    pub(crate) fn is_java_38(self) -> bool {
        false
    }

    /// The counter that is never given.
    pub(crate) fn last_counter(self) -> u32 {
        u32::MAX
    }
}
