//! The driver seam: what makes and unmakes machines somewhere, and what wraps it.
