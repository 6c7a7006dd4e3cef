//! zooid-store
