//! Bindings.
#![forbid(unsafe_code)]
