//! What a host is refused for, and what is done to one that is not.
