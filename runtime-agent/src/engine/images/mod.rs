//! Images: references, pulls, loads, and what an image's configuration says.
