//! From an SSH port that answers to an engine that answers over mutual TLS.
