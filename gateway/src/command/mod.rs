//! What a command line means to us: which arguments are paths, and whether the result depends on
//! where it is compiled.
//!
//! [`flags`] is the table, [`tokens`] reads a command line by it, [`relocatable`] decides.
//! [`language`], [`include_dirs`] and [`dependency_file`] each read one thing out of it;
//! [`make_rules`] is about what such a dependency file holds, [`recorded`] about command lines in results.

mod dependency_file;
mod flags;
mod include_dirs;
mod language;
mod make_rules;
mod recorded;
mod relocatable;
mod tokens;

pub(crate) use dependency_file::dependency_file;
pub(crate) use flags::Meaning;
pub(crate) use include_dirs::{INCLUDE_VARIABLES, include_dirs};
pub(crate) use language::is_cxx;
pub(crate) use make_rules::{broken_into_lines, escaped_for_make};
pub(crate) use recorded::recording_flag;
pub(crate) use relocatable::{Relocation, relocation};
pub(crate) use tokens::{Token, parse, render};

/// The compilers that are served, by the name in the client's command_spec.
pub(crate) fn is_served(name: &str) -> bool {
    matches!(name, "gcc" | "g++" | "clang" | "clang++" | "cc" | "c++")
}

/// Whether it is gcc or g++ by the name in the client's command_spec, and not clang.
pub(crate) fn is_gcc(name: &str) -> bool {
    !name.contains("clang")
}
