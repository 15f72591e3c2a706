//! What every driver is tested with: the conformance suite, the fault layer and a driver in memory.
