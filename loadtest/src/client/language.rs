//! What a source is written in.

/// Languages that are compiled remotely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum Language {
    C,
    Cxx,
    ObjC,
    ObjCxx,
}

impl Language {
    /// As `-x` spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cxx => "c++",
            Self::ObjC => "objective-c",
            Self::ObjCxx => "objective-c++",
        }
    }

    /// Whether it uses the C++ include directories.
    pub(crate) fn is_cxx(self) -> bool {
        matches!(self, Self::Cxx | Self::ObjCxx)
    }

    /// As `-x` names it.
    pub(crate) fn of_x(name: &str) -> Option<Self> {
        [Self::C, Self::Cxx, Self::ObjC, Self::ObjCxx].into_iter().find(|l| l.name() == name)
    }

    /// By the file's name; a C++ driver takes `.c` for C++.
    pub(crate) fn of_file(name: &str, cxx_driver: bool) -> Option<Self> {
        Some(match name.rsplit_once('.')?.1 {
            "c" | "i" if !cxx_driver => Self::C,
            "c" | "i" | "cc" | "cpp" | "cxx" | "c++" | "C" | "CPP" | "cp" | "ii" => Self::Cxx,
            "m" => Self::ObjC,
            "mm" | "M" => Self::ObjCxx,
            _ => return None,
        })
    }
}
