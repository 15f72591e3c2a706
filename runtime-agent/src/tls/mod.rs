//! Mutual TLS: the listener's certificates, reloaded without a restart, and who a client is.
