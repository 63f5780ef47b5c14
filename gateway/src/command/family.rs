//! Which compiler a command line is for, and so which table of flags and which rules hold.

/// A family of compilers with the same command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Gcc,
    Clang,
    /// clang that takes the flags of Microsoft's compiler.
    ClangCl,
    Javac,
    ClangTidy,
    /// Anything else: nothing is known of it but what the client expects it to write.
    Other,
}

impl Family {
    /// Those that have a table, as a file of flags spells them.
    pub(crate) const WITH_TABLES: [Self; 5] =
        [Self::Gcc, Self::Clang, Self::ClangCl, Self::Javac, Self::ClangTidy];

    /// By the name in the client's command_spec.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "gcc" | "g++" | "cc" | "c++" => Self::Gcc,
            "clang" | "clang++" => Self::Clang,
            "clang-cl" => Self::ClangCl,
            "javac" => Self::Javac,
            "clang-tidy" => Self::ClangTidy,
            _ => Self::Other,
        }
    }

    /// As a word, for files and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gcc => "gcc",
            Self::Clang => "clang",
            Self::ClangCl => "clang-cl",
            Self::Javac => "javac",
            Self::ClangTidy => "clang-tidy",
            Self::Other => "other",
        }
    }

    /// Whether it compiles C and the like, and looks for headers.
    pub(crate) fn compiles_c(self) -> bool {
        matches!(self, Self::Gcc | Self::Clang | Self::ClangCl)
    }
}

/// A variable that holds arguments for the compiler, which are not on its command line. On Windows its
/// name has no case.
pub(crate) fn flags_variable(family: Family, env: &[(String, String)]) -> Option<&str> {
    let holds = |name: &&str| {
        family == Family::ClangCl && ["CL", "_CL_"].iter().any(|it| it.eq_ignore_ascii_case(name))
    };
    env.iter().map(|(name, _)| name.as_str()).find(holds)
}
