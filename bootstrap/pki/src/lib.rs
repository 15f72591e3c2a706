//! One certificate authority a store, and the certificates it signs. No network.
