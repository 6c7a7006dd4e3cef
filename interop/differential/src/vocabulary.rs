//! What random requests are made of: few values, so that requests meet on them.

/// Few paths, so that requests meet on them.
pub(crate) const PATHS: &[&str] = &[
    "/a",
    "/b",
    "/c",
    "/a/x",
    "/a/y",
    "/a/xy",
    "/b/x",
    "/b/y",
    "/a/x/1",
    "/a/x/2",
    "/a/x/1/deep",
    "/b/x/1",
    "/c/x",
    "/d",
    "/",
    "/zookeeper/free",
];

pub(crate) const RESERVED: &[&str] = &["/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/"];

pub(crate) const QUOTA: &[&str] = &[
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/a/x",
    "/zookeeper/quota/a/x/zookeeper_limits",
    "/zookeeper/quota/a/x/zookeeper_stats",
    "/zookeeper/quota/b",
    "/zookeeper/quota/b/zookeeper_limits",
    "/zookeeper/quota/b/zookeeper_stats",
];

pub(crate) const WEIRD: &[&str] = &[
    "",
    "a",
    "/a/",
    "//",
    "/a//x",
    "/.",
    "/..",
    "/a/.",
    "/a/..",
    "/a/./x",
    "/a/../b",
    "/...",
    "/.a",
    "/a..",
    "/..a",
    "/a b",
    "/\u{a0}",
    "/a\u{0}b",
    "\u{0}",
    "/a/\u{1}",
    "/\u{7f}",
    "/\u{9f}",
    "/\u{2028}",
    "/\u{e000}",
    "/\u{f8ff}",
    "/\u{f900}",
    "/\u{ffef}",
    "/\u{fff0}",
    "/\u{fffd}",
    "/\u{1f680}",
    "/a/\u{1f680}x",
    "a/b",
    "/zookeeper/config/x",
    "/zookeeper/",
    "/a/x/",
    "/ä/ß",
];

pub(crate) const LIMITS: &[&str] = &[
    "count=3,bytes=20",
    "count=2,bytes=-1",
    "count=-1,bytes=10",
    "count=5,bytes=60=;byteHardLimit=80;countHardLimit=6",
    "count=1,bytes=1=;countHardLimit=3",
    "bytes=5=;byteHardLimit=30",
    "countHardLimit=4,byteHardLimit=100",
    "count=100;bytes=100",
    "count=0,bytes=0",
];

/// Those that are met soon.
pub(crate) const HARD_LIMITS: &[&str] = &[
    "countHardLimit=2",
    "byteHardLimit=12",
    "count=1,bytes=5=;byteHardLimit=30;countHardLimit=3",
    "countHardLimit=1,byteHardLimit=1",
];

pub(crate) const UNKNOWN_OPS: &[i32] = &[
    0,
    10,
    23,
    24,
    55,
    99,
    108,
    109,
    500,
    888,
    -1,
    -2,
    -9,
    -12,
    i32::MIN,
    i32::MAX,
];
