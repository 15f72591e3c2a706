//! What is on disk: blobs by digest, layers, snapshots and records.
