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

/// A variable that holds arguments for the compiler, which are not on its command line. On Windows its
/// name has no case.
pub(crate) fn flags_variable<'a>(compiler: &str, env: &'a [(String, String)]) -> Option<&'a str> {
    let holds = |name: &&str| {
        is_cl(compiler) && ["CL", "_CL_"].iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    env.iter().map(|(name, _)| name.as_str()).find(holds)
}
