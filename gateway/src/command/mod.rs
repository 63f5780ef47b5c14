//! What a command line means to us: which arguments are paths, and whether the result depends on
//! where it is compiled.
//!
//! [`flags`] and [`cl_flags`] are the tables, one a [`family`]; [`tokens`] reads a command line by
//! them, [`relocatable`] decides.
//! [`language`], [`include_dirs`] and [`dependency_file`] each read one thing out of it;
//! [`make_rules`] is about what such a dependency file holds, [`recorded`] about command lines in results,
//! [`precompiled`] about headers that are no texts.

mod cl_flags;
mod dependency_file;
mod family;
mod flags;
mod include_dirs;
mod language;
mod make_rules;
mod precompiled;
mod recorded;
mod relocatable;
mod tokens;

pub(crate) use dependency_file::dependency_file;
pub(crate) use family::{flags_variable, is_cl, is_gcc, is_served};
pub(crate) use flags::Meaning;
pub(crate) use include_dirs::{include_dirs, is_list, of_each};
pub(crate) use language::is_cxx;
pub(crate) use make_rules::{broken_into_lines, escaped_for_make};
pub(crate) use precompiled::precompiled_headers;
pub(crate) use recorded::recording_flag;
pub(crate) use relocatable::{Relocation, relocation};
pub(crate) use tokens::{Token, for_front_end, parse_for, render};
