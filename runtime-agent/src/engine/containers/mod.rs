//! Containers: their records, the task that owns each one's state, and the verbs on them.
