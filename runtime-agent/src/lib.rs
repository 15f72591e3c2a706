//! The container engine on the machine: the Docker Engine API over mutual TLS, and OCI containers.
