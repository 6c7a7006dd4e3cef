//! The configuration of Zooid: `zoo.cfg`, system properties and environment of Apache ZooKeeper
//! 3.9.5, read as that reads them.
//!
//! [`KEYS`] is the one table of all keys; warnings, messages and the manual come from it.
//! [`Config::load`] makes the typed configuration, [`check`] a report about it.

mod config;
mod flags;
mod java;
mod keys;
mod load;
mod manual;
mod os;
mod problem;
mod registry;
mod rewrite;
mod settings;
mod typed;

pub use config::{
    AdminConfig, AuthConfig, Compression, Config, ConnectionThrottleConfig, ContainerConfig,
    DigestAlgorithm, EnsembleConfig, FOUR_LETTER_WORDS, FourLetterWords, LogConfig, MetricsConfig,
    MetricsProvider, PurgeConfig, SnapshotConfig, ThrottleConfig,
};
pub use flags::SystemProperty;
pub use keys::{KEYS, Key, MANUAL_NAMES};
pub use load::{Examined, Loaded, Report, Sources, check, config_file_from_environment, examine};
pub use manual::render_markdown;
pub use os::environment;
pub use problem::{ConfigError, Level, Origin, Problem, PropertySource, Warning};
pub use registry::{Area, Class, Demand, Form, KeySpec, Kind, find, nearest};
pub use rewrite::with_dynamic_file;
pub use zooid_proto::members::{ClientAddress, Member, MemberAddress, Membership, Role};
pub use zooid_proto::properties;
