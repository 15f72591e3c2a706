//! Machines, without a terminal or a cloud: names, journal, store and the engine's verbs.
