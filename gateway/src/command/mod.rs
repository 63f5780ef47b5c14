//! What a command line means to us: which arguments are paths, and whether the result depends on
//! where it is compiled.
//!
//! [`flags`], [`cl_flags`] and [`other_flags`] are tables for each [`family`] of compilers, [`flags_file`] is what
//! an operator adds, [`flag_table`] looks them up, and [`Flags`] is as they are now. [`tokens`] reads a command
//! line by them, [`relocatable`] decides, [`unknown`] counts what they lack.
//! [`language`], [`include_dirs`], [`dependency_file`], [`output_dirs`] and [`undoable`] each read one thing out of it;
//! [`make_rules`] is about what such a dependency file holds, [`recorded`] about command lines in results,
//! [`precompiled`] about headers that are no texts.

mod cl_flags;
mod dependency_file;
mod family;
mod flag_table;
mod flags;
mod flags_file;
mod include_dirs;
mod language;
mod make_rules;
mod other_flags;
mod output_dirs;
mod precompiled;
mod reading;
mod recorded;
mod relocatable;
mod tokens;
mod undoable;
mod unknown;

pub(crate) use dependency_file::dependency_file;
pub(crate) use family::{Family, flags_variable};
pub(crate) use flags::Meaning;
pub(crate) use include_dirs::{each_of, include_dirs, is_list, of_each};
pub(crate) use language::is_cxx;
pub(crate) use make_rules::{broken_into_lines, escaped_for_make};
pub(crate) use output_dirs::output_dirs;
pub use reading::Flags;
pub(crate) use reading::Reading;
pub(crate) use recorded::{recording_flag, records_flags};
pub(crate) use relocatable::{Relocation, relocation};
pub(crate) use tokens::{LLVM, Token, for_front_end, render};
pub(crate) use undoable::{undoable, unread};
pub(crate) use unknown::note_unknown;
