//! HTTP only: the routes of the Docker Engine API, one noun a file.
