//! zooid-node
