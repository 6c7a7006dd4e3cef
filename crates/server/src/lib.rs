//! zooid-server
