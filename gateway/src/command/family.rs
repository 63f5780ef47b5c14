//! Which compiler a command line is for, and so which table of flags and which rules hold.

/// A family of compilers with the same command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Gcc,
    Clang,
    Javac,
    ClangTidy,
    /// Anything else: nothing is known of it but what the client expects it to write.
    Other,
}

impl Family {
    /// Those that have a table, as a file of flags spells them.
    pub(crate) const WITH_TABLES: [Self; 4] =
        [Self::Gcc, Self::Clang, Self::Javac, Self::ClangTidy];

    /// By the name in the client's command_spec.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "gcc" | "g++" | "cc" | "c++" => Self::Gcc,
            "clang" | "clang++" => Self::Clang,
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
            Self::Javac => "javac",
            Self::ClangTidy => "clang-tidy",
            Self::Other => "other",
        }
    }

    /// Whether it compiles C and the like, and looks for headers.
    pub(crate) fn is_gnu(self) -> bool {
        matches!(self, Self::Gcc | Self::Clang)
    }
}
