//! zooid-client
