//! Networks: what a container is connected to, and under which names and addresses.
