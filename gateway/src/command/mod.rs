//! What a command line means to us: which arguments are paths, and whether the result depends on
//! where it is compiled.
//!
//! [`flags`] is the table, [`tokens`] reads a command line by it, [`relocatable`] decides.

mod flags;
mod relocatable;
mod tokens;

pub(crate) use relocatable::{Relocation, relocation};
pub(crate) use tokens::{Token, parse, render};

/// The compilers that are served, by the name in the client's command_spec.
pub(crate) fn is_served(name: &str) -> bool {
    matches!(name, "gcc" | "g++" | "clang" | "clang++" | "cc" | "c++")
}

/// Whether the compiler reads C++ by its name, and so has the C++ system headers.
pub(crate) fn is_cxx(name: &str) -> bool {
    name.ends_with("++")
}
