//! Where the matrix runs.

/// What the server does about absolute paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The embedded backend runs a compile under the client's path.
    Property,
    /// It runs it in a directory of its own.
    Rewrite,
    /// buildbox-casd makes the input root the `/` of the compile.
    Chroot,
}

impl Mode {
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Property => "--absolute-paths=property",
            Self::Rewrite => "--absolute-paths=rewrite",
            Self::Chroot => "--absolute-paths=chroot",
        }
    }
}
