//! The few calls of the engine's API that the CLI and the bootstrap need, over mutual TLS.
