//! zooid-tree
