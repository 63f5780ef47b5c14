//! The compilers that are served, by the name in the client's command_spec, in families that read a
//! command line alike.

/// Whether it is served.
pub(crate) fn is_served(name: &str) -> bool {
    matches!(name, "gcc" | "g++" | "clang" | "clang++" | "cc" | "c++") || is_cl(name)
}

/// Whether it is gcc or g++, and not clang.
pub(crate) fn is_gcc(name: &str) -> bool {
    !name.contains("clang")
}

/// Whether it is clang that takes the flags of Microsoft's compiler.
pub(crate) fn is_cl(name: &str) -> bool {
    name == "clang-cl"
}
