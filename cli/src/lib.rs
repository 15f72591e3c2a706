//! The program a person types: the grammar, the verbs, and everything printed.
