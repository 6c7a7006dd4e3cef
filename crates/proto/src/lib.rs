//! zooid-proto
