//! The definitions, read by the programs that will read them where these are at hand.
