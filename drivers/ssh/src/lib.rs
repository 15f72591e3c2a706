//! A machine that exists already and answers SSH.
