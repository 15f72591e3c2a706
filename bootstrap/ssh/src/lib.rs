//! SSH with a verified host key: connect, run, upload, tunnel.
