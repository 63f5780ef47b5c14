//! A small project with an SDK of its own, as one for Windows, and requests to compile it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use goma_proto::api::{CommandSpec, ExecReq};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::goma::file;
use crate::support::requests::with;

const SOURCE: &str = "#include \"x.h\"\n#include <stddef.h>\n#ifdef SDK\n#include <windows.h>\n#endif\n\
    #ifdef MISSING\n#include \"nowhere.h\"\n#endif\n\
    #ifdef BROKEN\nint broken( { return 1 }\n#endif\n\
    struct pair { int a; size_t b; };\n\
    int run(int argc) { struct pair p = { argc, X_VALUE }; int unused;\n\
    const char *name = argc ? __FILE__ : x_file();\n\
    return name[0] + (int)p.b + __LINE__; }\n\
    #ifdef SDK\nconst char *sdk(void) { return windows_file(); }\n#endif\n";
const HEADER: &str = "#pragma once\n#define X_VALUE 42\n\
    static __inline const char *x_file(void) { return __FILE__; }\n";
const WINDOWS: &str = "#pragma once\n#include <crtdefs.h>\ntypedef unsigned long DWORD;\n\
    static __inline const char *windows_file(void) { return __FILE__; }\n\
    __declspec(dllimport) DWORD __stdcall GetLastError(void);\n";

/// The files of a project, by their ways from its directory.
pub(super) fn files() -> Vec<(&'static str, Vec<u8>)> {
    let wide: Vec<u8> = "\u{feff}/Brepro /O1 /I../inc \"/DNAME=a b\"\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    vec![
        ("src/a.cc", SOURCE.into()),
        ("src/b.c", SOURCE.into()),
        ("src/args.rsp", b"/Brepro /O1 /I../inc \"/DNAME=a b\"\n".to_vec()),
        ("src/wide.rsp", wide),
        ("inc/x.h", HEADER.into()),
        ("inc/pre.h", b"#define PRE __FILE__\n".to_vec()),
        ("sdk/um/windows.h", WINDOWS.into()),
        ("sdk/crt/crtdefs.h", b"#pragma once\ntypedef int errno_t;\n".to_vec()),
    ]
}

/// A project on disk.
pub(super) struct Project {
    dir: TempDir,
    /// Its directory in that one.
    below: &'static str,
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Project {
    pub(super) fn new() -> Self {
        Self::under("")
    }

    /// In this directory of an otherwise empty one.
    pub(super) fn under(below: &'static str) -> Self {
        let dir = tempfile::Builder::new().prefix("project").tempdir().expect("a place");
        let absolute = format!("/Brepro /W4 /I{}/inc\n", dir.path().display());
        let abs = ("src/abs.rsp".to_owned(), absolute.into_bytes());
        let files = files().into_iter().map(|(name, contents)| (name.to_owned(), contents));
        let project = Self { dir, below, files: files.chain([abs]).collect() };
        for dir in ["src", "inc", "build", "out", "sdk/um", "sdk/crt", "sdk/lib"] {
            std::fs::create_dir_all(project.path(dir)).expect("a directory");
        }
        for (name, contents) in &project.files {
            std::fs::write(project.path(name), contents).expect("written");
        }
        project
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(self.below).join(name)
    }

    pub(super) fn dir(&self) -> String {
        self.dir.path().display().to_string()
    }

    /// What the compiler of this machine makes of these words in this directory.
    pub(super) fn local(&self, cwd: &str, line: &Line, outputs: &[&str]) -> Ended {
        let cwd = self.path(cwd);
        let output = Command::new("clang")
            .arg("--driver-mode=cl")
            .args(&line.words)
            .current_dir(&cwd)
            .envs(line.variables.iter().cloned())
            .env("LC_ALL", "C")
            .output()
            .expect("clang");
        let made = outputs.iter().filter_map(|name| {
            let contents = std::fs::read(cwd.join(name)).ok()?;
            std::fs::remove_file(cwd.join(name)).expect("removed");
            Some(((*name).to_owned(), contents))
        });
        Ended {
            exit_status: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
            made: made.collect(),
        }
    }
}

/// The words of a line, and its variables.
pub(super) struct Line {
    pub(super) variables: Vec<(String, String)>,
    pub(super) words: Vec<String>,
}

impl Line {
    pub(super) fn of(line: &str) -> Self {
        let is_variable = |word: &&str| {
            let name = word.split('=').next().unwrap_or("");
            word.contains('=') && name.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        let (variables, words): (Vec<&str>, Vec<&str>) = line.split(' ').partition(is_variable);
        let pair = |variable: &str| {
            let (name, value) = variable.split_once('=').expect("a variable");
            (name.to_owned(), value.to_owned())
        };
        Self {
            variables: variables.into_iter().map(pair).collect(),
            words: words.into_iter().map(ToOwned::to_owned).collect(),
        }
    }
}

/// The end of a compile.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) exit_status: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) made: BTreeMap<String, Vec<u8>>,
}

/// The directory of clang's own headers.
pub(super) fn own_headers() -> String {
    let asked = Command::new("clang").arg("-print-resource-dir").output().expect("clang");
    format!("{}/include", String::from_utf8(asked.stdout).expect("a path").trim())
}

/// A request to compile by clang-cl, with clang's headers for `stddef.h` among its inputs.
pub(super) fn request(cwd: &str, line: &Line, outputs: &[&str]) -> ExecReq {
    let program = std::fs::canonicalize("/usr/bin/clang").expect("clang");
    let hash = hex::encode(Sha256::digest(std::fs::read(program).expect("clang")));
    let include = own_headers();
    let mut request = ExecReq {
        command_spec: Some(CommandSpec {
            name: Some("clang-cl".to_owned()),
            binary_hash: Some(hash.into()),
            local_compiler_path: Some("/usr/bin/clang-cl".to_owned()),
            cxx_system_include_path: vec![include.clone()],
            ..Default::default()
        }),
        arg: std::iter::once("clang-cl".to_owned()).chain(line.words.clone()).collect(),
        env: line.variables.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        cwd: Some(cwd.to_owned()),
        expected_output_files: outputs.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    for name in ["stddef.h", "__stddef_max_align_t.h"] {
        let path = Path::new(&include).join(name);
        if let Ok(contents) = std::fs::read(&path) {
            request = with(request, &path.to_string_lossy(), &file(&contents));
        }
    }
    request
}
