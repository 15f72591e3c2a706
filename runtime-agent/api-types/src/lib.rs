//! The Docker Engine API's wire types: serde only, checked against golden JSON.
