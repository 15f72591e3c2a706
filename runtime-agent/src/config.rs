//! Every flag, parsed once into one typed value, with all mistakes reported together.
