//! Containers' processes: the OCI runtime in a child of its own, the shim, cgroups and stdio.
