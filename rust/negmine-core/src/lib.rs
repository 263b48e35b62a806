//! The core of negmine: exact, certified search and mining, without Python.
#![forbid(unsafe_code)]
