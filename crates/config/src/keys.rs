//! The table of all configuration keys: the one place to add, change or document a key.
//!
//! Per entry: the name in code, the name in `zoo.cfg`, where it may be written, its type, its
//! default, its unit and bounds, what Zooid does with it, and what it is for.

use crate::registry::Area::*;
use crate::registry::Class::*;
use crate::registry::Demand::*;
use crate::registry::Form::*;
use crate::registry::KeySpec;
use crate::registry::Kind::*;

const THREADS: &str = "the runtime sizes its own threads";
const PIPELINE: &str = "Zooid has no such stage in its pipeline";
const NETTY_OR_NIO: &str = "there is one connection layer, which needs no such tuning";
const BUFFERS: &str = "buffers grow with what is received";
const CACHE: &str = "there is no response cache: replies are made from memory";
const WATCHES: &str = "there is one watch manager, which needs no cleaner";
const JVM: &str = "there is no Java virtual machine";
const JAVA_ONLY: &str = "it belongs to Java programs around the server, not to the server";
const NEVER_BLOCKS: &str = "sending to and closing a connection never block here";
const LOGBACK: &str = "logs go to the standard error stream";
const GROUP_COMMIT: &str =
    "all that waits is flushed at once, without a timer or a limit of requests";
const BACK_PRESSURE: &str =
    "requests that are too many wait in their connections, see globalOutstandingLimit";
const ONE_STEP: &str = "observers get what they lack and all that follows in one step, and nothing need be kept for them";
const DISLOYAL: &str = "a leader gives up as soon as a voter that it needs looks for another one";
const STATISTICS: &str = "there are no statistics per path";

macro_rules! keys {
    ($($section:literal { $($id:ident, $name:literal, $form:expr, $kind:expr, $default:literal, $unit:literal, $class:expr, $doc:literal;)* })*) => {
        /// The identity of an entry of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key { $($(#[doc = $doc] $id,)*)* }

        /// All keys, in the order of the manual.
        pub static KEYS: &[KeySpec] = &[$($(KeySpec {
            key: Key::$id, section: $section, name: $name, form: $form, kind: $kind,
            default: $default, unit: $unit, class: $class, doc: $doc,
        },)*)*];
    };
}

keys! {
    "Basics" {
        DataDir, "dataDir", File, Path, "", "", Honoured, "Directory of the snapshots and of the file `myid`; a configuration file must name it.";
        DataLogDir, "dataLogDir", File, Path, "", "default: dataDir", Honoured, "Directory of the transaction logs, best on a device of its own.";
        ClientPort, "clientPort", File, Int, "", "0 to 65535; 0 takes any free port", Honoured, "Port for clients in plain text; without it nothing listens.";
        ClientPortAddress, "clientPortAddress", File, Host, "", "default: all addresses", Honoured, "Local address of the client port.";
        SecureClientPort, "secureClientPort", File, Int, "", "0 to 65535", NotYet(Tls, Refuse), "Port for clients with TLS.";
        SecureClientPortAddress, "secureClientPortAddress", File, Host, "", "default: all addresses", NotYet(Tls, Refuse), "Local address of the TLS client port.";
        TickTime, "tickTime", File, Int, "3000", "ms, at least 1", Honoured, "The unit of time of sessions and of the limits between members.";
        DatadirAutocreate, "datadir.autocreate", Property, Bool, "true", "", Honoured, "Whether missing data directories are made at the start; false makes a missing one an error.";
        DbAutocreate, "db.autocreate", Property, Bool, "true", "", Honoured, "Whether an empty database may be started without the marker file `initialize`.";
    }
    "Transaction log and snapshots" {
        PreAllocSize, "preAllocSize", Property, DecimalLong, "65536", "KiB; 0 or less: off", Honoured, "Step in which a log file grows ahead of its content.";
        ForceSync, "forceSync", Property, Unless("no"), "yes", "", Honoured, "Whether the log is forced to the disk before a write is acknowledged; `no` risks acknowledged data.";
        FsyncWarningThreshold, "fsync.warningthresholdms", PropertyOrBare, Long, "1000", "ms", Honoured, "A sync of the log that takes longer is counted and logged.";
        SnapCount, "snapCount", Property, Int, "100000", "transactions, at least 2", Honoured, "A snapshot is taken after a random number of transactions between half of this and this.";
        SnapSizeLimit, "snapSizeLimitInKb", Property, Long, "4194304", "KiB; 0 or less: off", Honoured, "A snapshot is taken after a random amount of log between half of this and this.";
        TxnLogSizeLimit, "txnLogSizeLimitInKb", Property, Long, "-1", "KiB; 0 or less: off", Honoured, "A log file that has reached this size is closed and the next one begun.";
        MaxBatchSize, "maxBatchSize", Property, Int, "1000", "requests; 0 or less: no limit", NoEffect(GROUP_COMMIT), "The log is flushed at the latest after this many queued requests.";
        FlushDelay, "flushDelay", Property, Long, "0", "ms", NoEffect(GROUP_COMMIT), "How long a flush of the log may wait for more requests.";
        MaxWriteQueuePollTime, "maxWriteQueuePollTime", Property, Long, "", "ms; default: a third of flushDelay", NoEffect(GROUP_COMMIT), "With a flush delay, how long to wait for one more request before the flush.";
        SnapshotCompression, "snapshot.compression.method", Property, Text, "", "gz, snappy or empty", Honoured, "Compression of new snapshots; existing ones are read whatever theirs is.";
        SnapshotTrustEmpty, "snapshot.trust.empty", Property, Bool, "false", "", Honoured, "Whether logs without any snapshot are trusted, for an upgrade from version 3.4.";
        DigestEnabled, "digest.enabled", Property, Bool, "true", "", Honoured, "Whether transactions and snapshots carry a digest of the tree.";
        SerializeLastProcessedZxid, "serializeLastProcessedZxid.enabled", Property, Bool, "true", "", Honoured, "Whether snapshots end with the zxid that they are complete for.";
        CloseSessionTxn, "closeSessionTxn.enabled", Property, Bool, "true", "", Honoured, "Whether the transaction that closes a session lists the nodes that go with it.";
        SnapRetainCount, "autopurge.snapRetainCount", File, Int, "3", "snapshots, at least 3", Honoured, "How many snapshots a purge keeps, with the logs that they need.";
        PurgeInterval, "autopurge.purgeInterval", File, Int, "0", "hours; 0 or less: off; not set at all: 1, where Apache ZooKeeper does not purge", Honoured, "How often old snapshots and logs are deleted.";
        CommitLogCount, "commitLogCount", Property, DecimalInt, "500", "proposals, at least 500; not set at all: 100000", Honoured, "How many committed proposals a member that was away may lack and still get them one by one; of those, what fits into 32 MiB stays in memory, the rest is read from the log.";
        SnapshotSizeFactor, "snapshotSizeFactor", Property, Double, "0.33", "0 to 1; 0: no limit; negative: off; not set at all: 0.33, but never below commitLogCount", Honoured, "Up to which fraction of the snapshot's size a member catches up from the log on the disk; Zooid compares numbers of transactions and of nodes, where Apache ZooKeeper compares sizes of files.";
        AllowDiscontinuousProposals, "test.allowDiscontinuousProposals", Property, Bool, "false", "", NoEffect("a gap in the log is never accepted"), "Switches off the check that transaction numbers follow one another, for tests.";
    }
    "Sessions and client connections" {
        MinSessionTimeout, "minSessionTimeout", File, Int, "-1", "ms; -1: 2 ticks", Honoured, "The shortest session timeout that a client gets.";
        MaxSessionTimeout, "maxSessionTimeout", File, Int, "-1", "ms; -1: 20 ticks", Honoured, "The longest session timeout that a client gets.";
        MaxClientCnxns, "maxClientCnxns", File, Int, "60", "connections; 0 or less: no limit", Honoured, "How many connections one address may have.";
        MaxCnxns, "maxCnxns", Property, Int, "0", "connections; 0 or less: no limit", Honoured, "How many connections the server accepts in all.";
        ClientPortListenBacklog, "clientPortListenBacklog", File, Int, "-1", "connections; -1: as the system has it", Honoured, "Length of the queue of connections that wait to be accepted.";
        LocalSessionsEnabled, "localSessionsEnabled", File, Bool, "false", "", Honoured, "Sessions that are known to one member only until they need more.";
        LocalSessionsUpgradingEnabled, "localSessionsUpgradingEnabled", File, Bool, "false", "", Honoured, "Makes a local session global when it creates an ephemeral node.";
        ServerCnxnFactory, "serverCnxnFactory", Property, JavaClass, "org.apache.zookeeper.server.NIOServerCnxnFactory", "", NoEffect("there is one connection layer, for all that the two of Apache ZooKeeper do"), "Connection layer of Apache ZooKeeper.";
        SessionlessCnxnTimeout, "nio.sessionlessCnxnTimeout", Property, Int, "10000", "ms", Honoured, "A connection that opens no session is closed after this time.";
        NioNumSelectorThreads, "nio.numSelectorThreads", Property, Int, "", "", NoEffect(THREADS), "Threads that wait for input.";
        NioNumWorkerThreads, "nio.numWorkerThreads", Property, Int, "", "", NoEffect(THREADS), "Threads that read and write.";
        NioDirectBufferBytes, "nio.directBufferBytes", Property, Int, "65536", "bytes", NoEffect(BUFFERS), "Size of a thread's output buffer.";
        NioShutdownTimeout, "nio.shutdownTimeout", Property, Long, "5000", "ms", NoEffect(THREADS), "How long the end of the worker threads is awaited.";
        ClientTcpKeepAlive, "clientTcpKeepAlive", Property, Bool, "false", "", Honoured, "TCP keep-alive on client connections.";
        NettyAdvancedFlowControl, "netty.advancedFlowControl.enabled", Property, Bool, "false", "", NoEffect(NETTY_OR_NIO), "A variant of back-pressure of the Netty layer.";
        NettyHandshakeLimit, "netty.server.outstandingHandshake.limit", Property, Int, "-1", "handshakes; 0 or less: no limit", NotYet(Tls, Warn), "How many TLS handshakes may be under way.";
        NettyEarlyDrop, "netty.server.earlyDropSecureConnectionHandshakes", Property, Bool, "false", "", NotYet(Tls, Warn), "Closes a TLS connection before its handshake when the server could not serve it.";
        ClientPortUnification, "client.portUnification", Property, Bool, "false", "", NotYet(Tls, Refuse), "Accepts TLS and plain text on the client port.";
        JuteMaxBuffer, "jute.maxbuffer", CommandLine, Int, "1048575", "bytes", Honoured, "The largest request, string or buffer that is accepted.";
        JuteMaxBufferExtra, "jute.maxbuffer.extrasize", Property, Int, "", "bytes, at least 1024; default: jute.maxbuffer", NoEffect("records are read as long as the bytes that are there"), "Added to jute.maxbuffer where records of logs and snapshots are read.";
        IntBufferStartingSize, "intBufferStartingSizeBytes", Property, Int, "1024", "bytes, at least 32", NoEffect(BUFFERS), "First size of a buffer that a record is written to.";
        MaxResponseCacheSize, "maxResponseCacheSize", Property, Int, "400", "entries", NoEffect(CACHE), "Size of the cache of getData replies.";
        MaxGetChildrenResponseCacheSize, "maxGetChildrenResponseCacheSize", Property, Int, "400", "entries", NoEffect(CACHE), "Size of the cache of getChildren replies.";
        ExtendedTypesEnabled, "extendedTypesEnabled", Property, Bool, "false", "", Honoured, "Allows nodes with a time to live.";
        Emulate353TtlNodes, "emulate353TTLNodes", Property, Bool, "false", "", Honoured, "Reads the owner field of such nodes as version 3.5.3 wrote it.";
        ContainerCheckInterval, "znode.container.checkIntervalMs", CommandLine, Int, "60000", "ms", Honoured, "How often empty containers and nodes past their time to live are looked for.";
        ContainerMaxPerMinute, "znode.container.maxPerMinute", CommandLine, Int, "10000", "nodes a minute", Honoured, "How fast such nodes are deleted.";
        ContainerMaxNeverUsed, "znode.container.maxNeverUsedIntervalMs", CommandLine, Long, "0", "ms; 0: never", Honoured, "A container that never had a child is deleted after this time.";
        EnforceQuota, "enforceQuota", Property, Bool, "false", "", Honoured, "Refuses writes above a hard quota.";
    }
    "Request pipeline and throttling" {
        GlobalOutstandingLimit, "globalOutstandingLimit", Property, Int, "1000", "requests", Honoured, "Connections are not read from while more requests are under way.";
        LargeRequestMaxBytes, "largeRequestMaxBytes", Property, Int, "104857600", "bytes, at least 1", Honoured, "How many bytes of large requests may be under way.";
        LargeRequestThreshold, "largeRequestThreshold", Property, Int, "-1", "bytes; -1: off", Honoured, "From which size on a request is large.";
        RequestThrottleMaxRequests, "request_throttle_max_requests", Property, Int, "0", "requests; 0: off", NoEffect(BACK_PRESSURE), "How many requests the pipeline takes at once.";
        RequestThrottleStallTime, "request_throttle_stall_time", Property, Int, "100", "ms", NoEffect(BACK_PRESSURE), "Longest wait of a stalled request before the limit is looked at again.";
        RequestThrottleDropStale, "request_throttle_drop_stale", Property, Bool, "true", "", NoEffect(BACK_PRESSURE), "Whether stalled requests that have become stale are dropped.";
        RequestStaleConnectionCheck, "request_stale_connection_check", Property, Bool, "true", "", NoEffect(BACK_PRESSURE), "A request is stale when its connection is closed.";
        RequestStaleLatencyCheck, "request_stale_latency_check", Property, Bool, "false", "", NoEffect(BACK_PRESSURE), "A request is stale when it has waited longer than the session timeout.";
        RequestThrottlerShutdownTimeout, "request_throttler.shutdownTimeout", Property, Int, "10000", "ms", NoEffect("a stop answers what is in the pipeline and takes nothing more"), "How long the end of requests under way is awaited at a shutdown.";
        ThrottledOpWaitTime, "throttled_op_wait_time", Property, Int, "0", "ms; 0 or less: off", Honoured, "A request that waited longer is answered with an error instead of being executed.";
        ConnectionThrottleTokens, "connection_throttle_tokens", Property, Int, "0", "tokens; 0: off", Honoured, "Size of the token bucket for new connections.";
        ConnectionThrottleFillTime, "connection_throttle_fill_time", Property, Int, "1", "ms", Honoured, "How often tokens are added.";
        ConnectionThrottleFillCount, "connection_throttle_fill_count", Property, Int, "1", "tokens", Honoured, "How many tokens are added.";
        ConnectionThrottleFreezeTime, "connection_throttle_freeze_time", Property, Int, "-1", "ms; -1: off", Honoured, "How often the probability of dropping a connection is adjusted.";
        ConnectionThrottleDropIncrease, "connection_throttle_drop_increase", Property, StrictDouble, "0.02", "0 to 1", Honoured, "Step by which that probability rises.";
        ConnectionThrottleDropDecrease, "connection_throttle_drop_decrease", Property, StrictDouble, "0.002", "0 to 1", Honoured, "Step by which that probability falls.";
        ConnectionThrottleDecreaseRatio, "connection_throttle_decrease_ratio", Property, StrictDouble, "0", "0 to 1", Honoured, "How full the bucket must be for the probability to fall.";
        ConnectionThrottleWeightEnabled, "connection_throttle_weight_enabled", Property, Bool, "false", "", Honoured, "Whether kinds of sessions cost different numbers of tokens.";
        ConnectionThrottleGlobalWeight, "connection_throttle_global_session_weight", Property, Int, "3", "tokens, at least 1", Honoured, "Cost of a new global session.";
        ConnectionThrottleLocalWeight, "connection_throttle_local_session_weight", Property, Int, "1", "tokens, at least 1", Honoured, "Cost of a new local session.";
        ConnectionThrottleRenewWeight, "connection_throttle_renew_session_weight", Property, Int, "2", "tokens, at least 1", Honoured, "Cost of a reconnect.";
        CommitProcessorNumWorkerThreads, "commitProcessor.numWorkerThreads", Property, Int, "", "", NoEffect(THREADS), "Threads of the commit stage.";
        CommitProcessorShutdownTimeout, "commitProcessor.shutdownTimeout", Property, Long, "5000", "ms", NoEffect(THREADS), "How long their end is awaited.";
        CommitProcessorMaxReadBatchSize, "commitProcessor.maxReadBatchSize", Property, Int, "-1", "requests", NoEffect(PIPELINE), "Reads that the commit stage takes before it looks at commits.";
        CommitProcessorMaxCommitBatchSize, "commitProcessor.maxCommitBatchSize", Property, Int, "1", "requests, at least 1", NoEffect(PIPELINE), "Commits that it takes before it looks at reads.";
        EnableEagerAclCheck, "enableEagerACLCheck", Property, Bool, "false", "", NoEffect("the leader checks the ACLs of every request; one that is refused takes a transaction number, as without the setting"), "A member checks ACLs before it forwards a request to the leader.";
        SkipAcl, "skipACL", Property, OnlyIf("yes"), "no", "", Honoured, "Switches off all checks of ACLs.";
        ForwardLearnerRequests, "forward_learner_requests_to_commit_processor_disabled", Property, Bool, "false", "", NoEffect(PIPELINE), "Keeps learners' requests out of the leader's own commit stage.";
        FollowerSkipLearnerRequest, "follower.skipLearnerRequestToNextProcessor", Property, Bool, "false", "", NoEffect(PIPELINE), "Keeps observers' requests out of the follower's own stages.";
    }
    "Ensemble membership and timing" {
        Server, "server.*", File, Text, "", "host:port:port[:role][;[host:]port]", Honoured, "A member; one participant alone runs standalone.";
        Group, "group*", File, Text, "", "group.G=id:id", Honoured, "A group of members with a quorum of its own.";
        Weight, "weight*", File, Text, "", "weight.N=w", Honoured, "Weight of a member in its group.";
        InitLimit, "initLimit", File, Int, "", "ticks", Honoured, "How long members may take to connect to the leader and to catch up.";
        SyncLimit, "syncLimit", File, Int, "", "ticks", Honoured, "How far a member may fall behind the leader.";
        ConnectToLearnerMasterLimit, "connectToLearnerMasterLimit", File, Int, "0", "ticks; 0: initLimit; in any case at most 2000 ms", Honoured, "How long connecting to the leader may take.";
        PeerType, "peerType", File, Text, "participant", "participant or observer", Honoured, "Role of this server; the list of members wins.";
        ElectionAlg, "electionAlg", File, Int, "3", "only 3", Honoured, "Election algorithm.";
        QuorumListenOnAllIps, "quorumListenOnAllIPs", File, Bool, "false", "", Honoured, "Accepts members on all addresses.";
        StandaloneEnabled, "standaloneEnabled", File, Bool, "true", "", Honoured, "Whether one participant runs standalone; false asks for an ensemble of one.";
        OraclePath, "oraclePath", File, Path, "", "", Honoured, "File whose first character, if it is 1, lets one of two voters go on alone; it must never say so to both.";
        MultiAddressEnabled, "multiAddress.enabled", FileOrProperty, Bool, "false", "", Honoured, "Allows several addresses per member; here the key in the file is enough, where Apache ZooKeeper needs the property.";
        MultiAddressReachabilityCheckEnabled, "multiAddress.reachabilityCheckEnabled", FileOrProperty, Bool, "true", "", Honoured, "With several addresses per member, looks whether connections still reach the other side. All addresses are tried at once in any case, and the first that answers is used.";
        MultiAddressReachabilityCheckTimeout, "multiAddress.reachabilityCheckTimeoutMs", FileOrProperty, StrictInt, "1000", "ms, at least 1", Honoured, "How long a member with several addresses may leave what was sent to it without a sign of life before its connection is closed, and opened through another address.";
        TcpKeepAlive, "tcpKeepAlive", Property, Bool, "false", "", Honoured, "TCP keep-alive on election connections.";
        ElectionPortBindRetry, "electionPortBindRetry", Property, Int, "3", "attempts; 0: no end", Honoured, "How often the ports for members are tried, once a second, before the server ends with exit code 14; of several addresses one is enough.";
        CnxTimeout, "cnxTimeout", Property, StrictInt, "5000", "ms", Honoured, "How long connecting for an election may take.";
        QuorumCnxnTimeout, "quorumCnxnTimeoutMs", Property, Int, "-1", "ms; 0 or less: syncLimit", Honoured, "How long a connection on the election port may take to say who it is.";
        QuorumCnxnThreadsSize, "quorum.cnxn.threads.size", File, Int, "20", "", NoEffect(THREADS), "Threads that connect to members.";
        CanonicalizeHostNames, "kerberos.canonicalizeHostNames", Property, Bool, "false", "", NotYet(Sasl, Warn), "Replaces the host names of members by those that the name service gives back.";
        ReadOnlyMode, "readonlymode.enabled", CommandLine, OnlyIf("true"), "false", "", Honoured, "Lets a member that is cut off serve reads; it also puts `isro` into the list of four-letter words.";
    }
    "Election, leader and learner" {
        MinNotificationInterval, "fastleader.minNotificationInterval", Property, Int, "200", "ms", Honoured, "First wait for votes.";
        MaxNotificationInterval, "fastleader.maxNotificationInterval", Property, Int, "60000", "ms", Honoured, "Longest wait for votes.";
        MaxTimeToWaitForEpoch, "leader.maxTimeToWaitForEpoch", Property, Int, "-1", "ms; -1: initLimit", NoEffect(DISLOYAL), "When a leader whose voters look for another one gives up.";
        LeaderServes, "leaderServes", Property, Unless("no"), "yes", "", Honoured, "Whether the leader takes clients. If not, it closes their connections, and answers four-letter words as a server without a leader does.";
        MaxConcurrentSnapSyncs, "leader.maxConcurrentSnapSyncs", Property, Int, "10", "members, at least 1", Honoured, "How many members may be sent a snapshot before one more observer is refused; members that vote never are.";
        MaxConcurrentDiffSyncs, "leader.maxConcurrentDiffSyncs", Property, Int, "100", "members, at least 1", Honoured, "The same for members that catch up by transactions.";
        AckLoggingFrequency, "leader.ackLoggingFrequency", Property, Int, "1000", "proposals", NoEffect("no such metric is sampled"), "How often the latency of acknowledgements is measured.";
        LeaderCloseSocketAsync, "leader.closeSocketAsync", PropertyOrBare, Bool, "false", "", NoEffect(NEVER_BLOCKS), "Closes connections to learners in a thread.";
        LearnerCloseSocketAsync, "learner.closeSocketAsync", PropertyOrBare, Bool, "false", "", NoEffect(NEVER_BLOCKS), "Closes the connection to the leader in a thread.";
        LearnerAsyncSending, "learner.asyncSending", PropertyOrBare, Bool, "false", "", NoEffect(NEVER_BLOCKS), "Sends to the leader from a queue.";
        LeaderConnectDelay, "leaderConnectDelayDuringRetryMs", Property, Int, "100", "ms, at least 1; not set at all: 25", Honoured, "Pause between attempts to connect to the leader.";
        LeaderNodelay, "leader.nodelay", CommandLine, OnlyIf("true"), "true", "", NoEffect("small packets are always sent at once"), "TCP_NODELAY on the leader's side.";
        FollowerNodelay, "follower.nodelay", CommandLine, OnlyIf("true"), "true", "", NoEffect("small packets are always sent at once"), "TCP_NODELAY on the learner's side.";
        ForceSnapshotSync, "forceSnapshotSync", Property, Bool, "false", "", Honoured, "Members always catch up by snapshot.";
        InitialZxid, "testingonly.initialZxid", Property, DecimalLong, "", "", NoEffect("the numbers of an epoch begin with 1; nothing but tests of Apache ZooKeeper itself uses it"), "First transaction number of an epoch, for tests.";
    }
    "Observers" {
        SyncEnabled, "syncEnabled", File, Bool, "true", "", Honoured, "Whether an observer writes its log and snapshots to the disk. If not, it keeps on the disk what it last got as a whole, and asks for the rest after a restart.";
        ObserverSyncEnabled, "observer.syncEnabled", Property, Bool, "true", "", Honoured, "The same, and it wins over syncEnabled.";
        ObserverMasterPort, "observerMasterPort", File, Int, "0", "0 to 65535; 0: off", Honoured, "Port on which a follower serves observers, and where observers look for it: the same for all members.";
        ObserverMasterSizeLimit, "observerMaster.sizeLimit", Property, Int, "33554432", "bytes", NoEffect(ONE_STEP), "How much a follower keeps for observers that catch up.";
        ObserverReconnectDelay, "observer.reconnectDelayMs", Property, Long, "0", "ms", Honoured, "Longest random wait of an observer before it connects again; with observerMasterPort, when it has been with all masters.";
        ObserverElectionDelay, "observer.election.DelayMs", Property, Long, "200", "ms; not set at all: 0", Honoured, "Longest random wait of an observer that has lost its leader before it looks for one.";
    }
    "Dynamic reconfiguration" {
        ReconfigEnabled, "reconfigEnabled", File, Bool, "false", "", Honoured, "Whether clients with the right to do so may change the members.";
        DynamicConfigFile, "dynamicConfigFile", File, Path, "", "", Honoured, "File with the list of members.";
    }
    "Authentication and authorisation" {
        AuthProvider, "authProvider.*", Property, JavaClass, "", "", Honoured, "Registers an authentication provider; `ip` and `digest` exist without it, others are not built yet.";
        DigestAuthEnabled, "DigestAuthenticationProvider.enabled", Property, Bool, "true", "", Honoured, "Whether the scheme `digest` exists.";
        SuperDigest, "DigestAuthenticationProvider.superDigest", Property, Text, "", "user:base64 of the hash of user:password", Honoured, "Who authenticates as this user is above all ACLs.";
        DigestAlg, "DigestAuthenticationProvider.digestAlg", Property, Text, "SHA1", "SHA1, SHA-224, SHA-256, SHA-384, SHA-512", Honoured, "Hash function of digest identities; it must be the same for the whole life of the data.";
        EnforceAuthEnabled, "enforce.auth.enabled", Property, Bool, "false", "", Honoured, "Closes sessions that have not authenticated.";
        EnforceAuthSchemes, "enforce.auth.schemes", Property, List, "", "", Honoured, "Schemes that count for enforce.auth.enabled.";
        X509SuperUser, "X509AuthenticationProvider.superUser", Property, Text, "", "", NotYet(Tls, Warn), "Certificate subject that is above all ACLs.";
        SaslSuperUser, "superUser*", Property, Text, "", "", NotYet(Sasl, Warn), "SASL identity that is above all ACLs.";
        SaslSuperPassword, "SASLAuthenticationProvider.superPassword", Property, Text, "", "", NotYet(Sasl, Warn), "Password of the SASL user `super`.";
        LetAnySaslUserDoX, "letAnySaslUserDoX", Property, Text, "", "", NotYet(Sasl, Warn), "Name in an ACL that stands for every SASL user.";
        AllowSaslFailedClients, "allowSaslFailedClients", Property, Bool, "false", "", NotYet(Sasl, Warn), "Keeps connections whose SASL authentication failed.";
        SessionRequireClientSaslAuth, "sessionRequireClientSASLAuth", Property, Bool, "false", "", NotYet(Sasl, Refuse), "Serves only clients that authenticated by SASL.";
        RequireClientAuthScheme, "requireClientAuthScheme", Property, Text, "", "", NoEffect("Apache ZooKeeper 3.9 does not read it either; sessionRequireClientSASLAuth is what works"), "Name that older guides give for a required scheme.";
        EnsembleAuthName, "ensembleAuthName", Property, List, "", "", NotYet(Auth, Warn), "Names that the scheme `ensemble` accepts.";
        UseXForwardedFor, "IPAuthenticationProvider.usexforwardedfor", Property, Bool, "false", "", NotYet(Admin, Warn), "The admin server takes a client's address from the header X-Forwarded-For.";
        SaslServerConfig, "sasl.serverconfig", Property, Text, "Server", "", NotYet(Sasl, Warn), "Section of the JAAS file for clients.";
        LoginConfig, "java.security.auth.login.config", CommandLine, Path, "", "", NotYet(Sasl, Refuse), "JAAS file, which makes the server offer SASL.";
        RemoveHostFromPrincipal, "kerberos.removeHostFromPrincipal", Property, OnlyIf("true"), "false", "", NotYet(Sasl, Warn), "Drops the host from a Kerberos identity.";
        RemoveRealmFromPrincipal, "kerberos.removeRealmFromPrincipal", Property, OnlyIf("true"), "false", "", NotYet(Sasl, Warn), "Drops the realm from a Kerberos identity.";
        AuthToLocal, "security.auth_to_local", Property, Text, "DEFAULT", "", NotYet(Sasl, Warn), "Rules that map Kerberos names.";
        RequireKerberosConfig, "requireKerberosConfig", Property, OnlyIf("true"), "false", "", NotYet(Sasl, Warn), "Fails without a default realm.";
        KerberosMinReLoginTime, "kerberos.minReLoginTimeMs", Property, Long, "60000", "ms", NotYet(Sasl, Warn), "Shortest time between two Kerberos logins.";
        Kinit, "kinit", Property, Path, "/usr/bin/kinit", "", NotYet(Sasl, Warn), "Command that renews tickets.";
        ServerRealm, "zookeeper.server.realm", CommandLine, Text, "", "", NotYet(Sasl, Warn), "Realm of the other members.";
    }
    "SASL between members" {
        QuorumSaslEnable, "quorum.auth.enableSasl", File, Bool, "false", "", NotYet(Sasl, Refuse), "SASL on connections between members.";
        QuorumSaslLearnerRequire, "quorum.auth.learnerRequireSasl", File, Bool, "false", "", NotYet(Sasl, Refuse), "A learner refuses a leader without SASL.";
        QuorumSaslServerRequire, "quorum.auth.serverRequireSasl", File, Bool, "false", "", NotYet(Sasl, Refuse), "A server refuses learners without SASL.";
        QuorumSaslLearnerContext, "quorum.auth.learner.saslLoginContext", File, Text, "QuorumLearner", "", NotYet(Sasl, Warn), "Section of the JAAS file for learners.";
        QuorumSaslServerContext, "quorum.auth.server.saslLoginContext", File, Text, "QuorumServer", "", NotYet(Sasl, Warn), "Section of the JAAS file for servers.";
        QuorumSaslPrincipal, "quorum.auth.kerberos.servicePrincipal", File, Text, "zkquorum/localhost", "", NotYet(Sasl, Warn), "Kerberos principal of the members.";
    }
    "TLS" {
        SslQuorum, "sslQuorum", File, Bool, "false", "", NotYet(Tls, Refuse), "TLS between members.";
        PortUnification, "portUnification", File, Bool, "false", "", NotYet(Tls, Refuse), "Members accept TLS and plain text.";
        SslQuorumReloadCertFiles, "sslQuorumReloadCertFiles", File, Bool, "false", "", NotYet(Tls, Warn), "Reloads the members' key stores when they change.";
        ClientCertReload, "client.certReload", Property, Bool, "false", "", NotYet(Tls, Warn), "Reloads the clients' key stores when they change.";
        SslKeyStoreLocation, "ssl.[quorum.]keyStore.location", Property, Path, "", "", NotYet(Tls, Warn), "Key store.";
        SslKeyStorePassword, "ssl.[quorum.]keyStore.password", Property, Text, "", "", NotYet(Tls, Warn), "Password of the key store.";
        SslKeyStorePasswordPath, "ssl.[quorum.]keyStore.passwordPath", Property, Path, "", "", NotYet(Tls, Warn), "File with that password.";
        SslKeyStoreType, "ssl.[quorum.]keyStore.type", Property, Text, "", "JKS, PEM, PKCS12, BCFKS", NotYet(Tls, Warn), "Type of the key store.";
        SslTrustStoreLocation, "ssl.[quorum.]trustStore.location", Property, Path, "", "", NotYet(Tls, Warn), "Trust store.";
        SslTrustStorePassword, "ssl.[quorum.]trustStore.password", Property, Text, "", "", NotYet(Tls, Warn), "Password of the trust store.";
        SslTrustStorePasswordPath, "ssl.[quorum.]trustStore.passwordPath", Property, Path, "", "", NotYet(Tls, Warn), "File with that password.";
        SslTrustStoreType, "ssl.[quorum.]trustStore.type", Property, Text, "", "JKS, PEM, PKCS12, BCFKS", NotYet(Tls, Warn), "Type of the trust store.";
        SslProtocol, "ssl.[quorum.]protocol", Property, Text, "TLSv1.3", "", NotYet(Tls, Warn), "Version of TLS.";
        SslEnabledProtocols, "ssl.[quorum.]enabledProtocols", Property, List, "", "default: protocol", NotYet(Tls, Warn), "Accepted versions of TLS.";
        SslCiphersuites, "ssl.[quorum.]ciphersuites", Property, List, "", "", NotYet(Tls, Warn), "Accepted cipher suites.";
        SslClientAuth, "ssl.[quorum.]clientAuth", Property, Text, "need", "none, want or need", NotYet(Tls, Warn), "Whether a certificate is asked of the other side.";
        SslHostnameVerification, "ssl.[quorum.]hostnameVerification", Property, Bool, "true", "", NotYet(Tls, Warn), "Whether the host name of a server is verified.";
        SslClientHostnameVerification, "ssl.[quorum.]clientHostnameVerification", Property, Bool, "", "default: true between members only", NotYet(Tls, Warn), "Whether the host name of a connecting peer is verified.";
        SslAllowReverseDnsLookup, "ssl.[quorum.]allowReverseDnsLookup", Property, Bool, "", "default: true between members only", NotYet(Tls, Warn), "Whether the name service is asked for the name of an address.";
        SslCrl, "ssl.[quorum.]crl", Property, Bool, "false", "", NotYet(Tls, Refuse), "Checks lists of revoked certificates.";
        SslOcsp, "ssl.[quorum.]ocsp", Property, Bool, "false", "", NotYet(Tls, Refuse), "Asks whether a certificate is revoked.";
        SslHandshakeDetectionTimeout, "ssl.[quorum.]handshakeDetectionTimeoutMillis", Property, Int, "5000", "ms", NotYet(Tls, Warn), "How long the first bytes are awaited where TLS and plain text share a port.";
        SslContextSupplier, "ssl.[quorum.]context.supplier.class", Property, JavaClass, "", "", NotYet(Tls, Refuse), "Java class that makes the TLS context.";
        SslProvider, "ssl.sslProvider", Property, Text, "JDK", "", NoEffect(JVM), "TLS library of the Java server.";
        SslAuthProvider, "ssl.authProvider", Property, Text, "x509", "", NotYet(Tls, Warn), "Scheme that authenticates TLS clients.";
        FipsMode, "fips-mode", Property, Bool, "true", "", NoEffect(JVM), "Uses the Java platform's own trust manager.";
        RejectRenegotiation, "jdk.tls.rejectClientInitiatedRenegotiation", CommandLine, Bool, "true", "", NoEffect(JVM), "Refuses renegotiation that a client begins.";
    }
    "Four-letter words and admin server" {
        FourLetterWhitelist, "4lw.commands.whitelist", Property, List, "srvr", "words, or *", Honoured, "Which four-letter words are answered; `srvr` always is.";
        AdminEnableServer, "admin.enableServer", Property, Unless("false"), "true", "", NotYet(Admin, Warn), "Whether the HTTP admin server runs.";
        AdminServerAddress, "admin.serverAddress", Property, Host, "0.0.0.0", "", NotYet(Admin, Warn), "Its address.";
        AdminServerPort, "admin.serverPort", Property, Int, "8080", "0 to 65535", NotYet(Admin, Warn), "Its port.";
        AdminIdleTimeout, "admin.idleTimeout", Property, Int, "30000", "ms", NotYet(Admin, Warn), "When it closes an idle connection.";
        AdminCommandUrl, "admin.commandURL", Property, Text, "/commands", "", NotYet(Admin, Warn), "Path that its commands are under.";
        AdminHttpVersion, "admin.httpVersion", Property, Int, "11", "", NoEffect("the version is what the request says"), "HTTP version of the TLS connector.";
        AdminPortUnification, "admin.portUnification", Property, Bool, "false", "", NotYet(Admin, Warn), "HTTP and HTTPS on one port.";
        AdminForceHttps, "admin.forceHttps", Property, Bool, "false", "", NotYet(Admin, Warn), "HTTPS only.";
        AdminNeedClientAuth, "admin.needClientAuth", Property, Bool, "false", "", NotYet(Admin, Warn), "Asks for a client certificate.";
        AdminSnapshotEnabled, "admin.snapshot.enabled", Property, Bool, "true", "", NotYet(Admin, Warn), "Whether the command `snapshot` exists.";
        AdminRestoreEnabled, "admin.restore.enabled", Property, Bool, "true", "", NotYet(Admin, Warn), "Whether the command `restore` exists.";
        AdminRateLimiterInterval, "admin.rateLimiterIntervalInMS", Property, StrictInt, "300000", "ms", NotYet(Admin, Warn), "One snapshot and one restore are allowed in this time.";
    }
    "Metrics" {
        MetricsProvider, "metricsProvider.className", File, JavaClass, "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider", "the default, the Prometheus or the null provider", NotYet(Metrics, Warn), "Where metrics go.";
        MetricsHttpHost, "metricsProvider.httpHost", File, Host, "0.0.0.0", "", NotYet(Metrics, Warn), "Address of the Prometheus exporter.";
        MetricsHttpPort, "metricsProvider.httpPort", File, Int, "7000", "0 to 65535", NotYet(Metrics, Warn), "Port of the Prometheus exporter.";
        MetricsExportJvmInfo, "metricsProvider.exportJvmInfo", File, Bool, "true", "", NoEffect(JVM), "Metrics of the Java virtual machine.";
        MetricsNumWorkerThreads, "metricsProvider.numWorkerThreads", File, Int, "1", "", NoEffect(THREADS), "Threads of the exporter.";
        MetricsMaxQueueSize, "metricsProvider.maxQueueSize", File, Int, "1000000", "", NoEffect("metrics are counted where they happen, without a queue"), "Queue of the exporter.";
        MetricsWorkerShutdownTimeout, "metricsProvider.workerShutdownTimeoutMs", File, Long, "1000", "ms", NoEffect(THREADS), "How long the end of the exporter's threads is awaited.";
        PathStatsEnabled, "pathStats.enabled", Property, Bool, "false", "", NoEffect(STATISTICS), "Counts requests per path.";
        PathStatsSlotCapacity, "pathStats.slotCapacity", Property, Int, "60", "", NoEffect(STATISTICS), "How many slots these statistics have.";
        PathStatsSlotDuration, "pathStats.slotDuration", Property, Int, "15", "s", NoEffect(STATISTICS), "How long a slot is.";
        PathStatsMaxDepth, "pathStats.maxDepth", Property, Int, "6", "", NoEffect(STATISTICS), "Up to which depth paths are told apart.";
        PathStatsTopPathMax, "pathStats.topPathMax", Property, Int, "20", "", NoEffect(STATISTICS), "How many paths are shown.";
        PathStatsSampleRate, "pathStats.sampleRate", Property, StrictDouble, "0.1", "0 to 1", NoEffect(STATISTICS), "Fraction of the requests that is counted.";
        PathStatsInitialDelay, "pathStats.initialDelay", Property, Long, "5", "min", NoEffect(STATISTICS), "When the first statistics are made.";
        PathStatsDelay, "pathStats.delay", Property, Long, "5", "min", NoEffect(STATISTICS), "How often they are made.";
    }
    "Watches" {
        WatchManagerName, "watchManagerName", Property, JavaClass, "org.apache.zookeeper.server.watch.WatchManager", "", NoEffect(WATCHES), "Watch manager of Apache ZooKeeper.";
        WatcherCleanThreshold, "watcherCleanThreshold", Property, Int, "1000", "watchers", NoEffect(WATCHES), "How many dead watchers start its cleaner.";
        WatcherCleanInterval, "watcherCleanIntervalInSeconds", Property, Int, "600", "s", NoEffect(WATCHES), "When its cleaner starts at the latest.";
        WatcherCleanThreads, "watcherCleanThreadsNum", Property, Int, "2", "", NoEffect(WATCHES), "Threads of its cleaner.";
        MaxInProcessingDeadWatchers, "maxInProcessingDeadWatchers", Property, Int, "-1", "watchers", NoEffect(WATCHES), "How many dead watchers may wait.";
        BitHashCacheSize, "bitHashCacheSize", Property, Int, "10", "", NoEffect(WATCHES), "Size of a cache in it.";
    }
    "Audit and diagnostics" {
        AuditEnable, "audit.enable", Property, Bool, "false", "", NotYet(Audit, Warn), "Writes an audit log of changes and sessions.";
        AuditImplClass, "audit.impl.class", Property, JavaClass, "org.apache.zookeeper.audit.Slf4jAuditLogger", "", NotYet(Audit, Warn), "Java class that writes the audit log.";
        MessageTrackerEnabled, "messageTracker.Enabled", Property, Bool, "false", "", NoEffect("packets between members are not kept"), "Keeps the last packets between members for diagnosis.";
        MessageTrackerBufferSize, "messageTracker.BufferSize", Property, Int, "10", "packets", NoEffect("packets between members are not kept"), "How many packets are kept.";
        JvmPauseMonitor, "jvm.pause.monitor", File, Bool, "false", "", NoEffect(JVM), "Looks for pauses of the Java virtual machine.";
        JvmPauseInfoThreshold, "jvm.pause.info-threshold.ms", File, Long, "1000", "ms", NoEffect(JVM), "From which length on a pause is logged.";
        JvmPauseWarnThreshold, "jvm.pause.warn-threshold.ms", File, Long, "10000", "ms", NoEffect(JVM), "From which length on a pause is logged as a warning.";
        JvmPauseSleepTime, "jvm.pause.sleep.time.ms", File, Long, "500", "ms", NoEffect(JVM), "How often pauses are looked for.";
        JmxLog4jDisable, "jmx.log4j.disable", Property, Bool, "false", "", NoEffect(JVM), "Management of log4j by JMX.";
        JmxLog4jMbean, "jmx.log4j.mbean", Property, Text, "", "", NoEffect(JVM), "Name of log4j in JMX.";
        LogDir, "log.dir", Property, Path, "", "", NoEffect(LOGBACK), "Directory of the log of Apache ZooKeeper's scripts.";
        LogFile, "log.file", Property, Path, "", "", NoEffect(LOGBACK), "Its file.";
        LogThreshold, "log.threshold", Property, Text, "", "", NoEffect(LOGBACK), "Its lowest level.";
        ConsoleThreshold, "console.threshold", Property, Text, "", "", NoEffect(LOGBACK), "Lowest level on the console.";
        LogMaxFileSize, "log.maxfilesize", Property, Text, "", "", NoEffect(LOGBACK), "Its largest file.";
        LogMaxBackupIndex, "log.maxbackupindex", Property, Text, "", "", NoEffect(LOGBACK), "How many old files it keeps.";
    }
    "Java programs around the server" {
        EmbeddedConfiguration, "configuration", Property, Text, "", "", NoEffect(JAVA_ONLY), "Configuration of an embedded server.";
        ControllerPort, "controllerPort", Property, Text, "", "", NoEffect(JAVA_ONLY), "Port of a test harness.";
        ClientSecure, "client.secure", Property, Text, "", "", NoEffect(JAVA_ONLY), "TLS in the Java client.";
        ClientCnxnSocket, "clientCnxnSocket", Property, JavaClass, "", "", NoEffect(JAVA_ONLY), "Connection layer of the Java client.";
        SaslClient, "sasl.client*", Property, Text, "", "", NoEffect(JAVA_ONLY), "SASL in the Java client.";
        ServerPrincipal, "zookeeper.server.principal", CommandLine, Text, "", "", NoEffect(JAVA_ONLY), "Principal that the Java client expects of a server.";
        DisableAutoWatchReset, "disableAutoWatchReset", Property, Text, "", "", NoEffect(JAVA_ONLY), "Watches of the Java client after a reconnect.";
        RequestTimeout, "request.timeout", Property, Text, "", "ms", NoEffect(JAVA_ONLY), "Timeout of requests of the Java client.";
    }
}

/// Names under which the manual of Apache ZooKeeper introduces a key, though its server reads
/// another name: honouring the first would change what existing files do.
pub static MANUAL_NAMES: &[(&str, &str)] = &[
    ("connectionMaxTokens", "connection_throttle_tokens"),
    ("connectionTokenFillTime", "connection_throttle_fill_time"),
    ("connectionTokenFillCount", "connection_throttle_fill_count"),
    ("connectionFreezeTime", "connection_throttle_freeze_time"),
    (
        "connectionDropIncrease",
        "connection_throttle_drop_increase",
    ),
    (
        "connectionDropDecrease",
        "connection_throttle_drop_decrease",
    ),
    (
        "connectionDecreaseRatio",
        "connection_throttle_decrease_ratio",
    ),
    ("requestThrottleLimit", "request_throttle_max_requests"),
    ("requestThrottleStallTime", "request_throttle_stall_time"),
    ("requestThrottleDropStale", "request_throttle_drop_stale"),
    ("requestStaleLatencyCheck", "request_stale_latency_check"),
    (
        "requestStaleConnectionCheck",
        "request_stale_connection_check",
    ),
    ("throttledOpWaitTime", "throttled_op_wait_time"),
    (
        "advancedFlowControlEnabled",
        "netty.advancedFlowControl.enabled",
    ),
    (
        "outstandingHandshake.limit",
        "netty.server.outstandingHandshake.limit",
    ),
    ("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    ("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
    ("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"),
];
