//! zooid-config
