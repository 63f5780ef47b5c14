//! A small project on disk, and what a compile leaves in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use goma_loadtest::Compile;
use tempfile::TempDir;

use crate::made;

const SOURCE: &str = "#ifdef BARE\nint bare(int x) { return x + __LINE__; }\n#else\n\
    #include \"x.h\"\n#include <stdio.h>\n#ifdef MISSING\n#include \"nowhere.h\"\n#endif\n\
    #ifdef BROKEN\nint broken( { return 1 }\n#endif\n\
    struct pair { int a; long b; };\n\
    static int twice(int x) { int unused; return x * 2; }\n\
    int run(int argc) { struct pair p = { argc, X_VALUE };\n\
    printf(\"%s %s %d %ld\\n\", __FILE__, x_file(), twice(p.a), p.b); return argc == 1 ? -p.a << argc : 0; }\n\
    #endif\n";
const DATED: &str = "const char date[] = __DATE__ \" \" __TIME__;\n";
const HEADER: &str = "#ifndef X_H\n#define X_H\n#define X_VALUE 42\n\
    static inline const char *x_file(void) { const char *unused_too; return __FILE__; }\n#endif\n";

/// Sources, headers, and an empty directory to build in.
pub(crate) struct Project(TempDir);

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self(tempfile::Builder::new().prefix("project").tempdir().expect("a place"));
        for dir in ["src", "inc", "inc dir", "build", "out/deep", "empty", "sys"] {
            std::fs::create_dir_all(project.dir().join(dir)).expect("a directory");
        }
        for suffix in ["c", "cc"] {
            for name in ["a", "sp ace", "na\u{ef}ve\u{4e16}", "real"] {
                project.write(&format!("src/{name}.{suffix}"), SOURCE);
            }
            let link = project.dir().join(format!("src/link.{suffix}"));
            std::os::unix::fs::symlink(format!("real.{suffix}"), link).expect("a link");
        }
        for suffix in ["c", "cc"] {
            project.write(&format!("src/date.{suffix}"), DATED);
        }
        project.write("inc/x.h", HEADER);
        project.write("inc/pre.h", "#define PRE __FILE__\n");
        project.write("inc dir/y.h", "int y;\n");
        project.write("src/args.rsp", "-O1 -I../inc -DNAME='a b'\n");
        let absolute = format!("-g -I{}/inc\n", project.dir().display());
        project.write("src/abs.rsp", &absolute);
        project.write("src/ignore.txt", "fun:twice\n");
        std::os::unix::fs::symlink("inc", project.dir().join("inclink")).expect("a link");
        made::make(project.dir());
        project
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    fn build(&self) -> PathBuf {
        self.dir().join("build")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir().join(name), text).expect("written");
    }

    /// The words of a line, and its variables.
    fn words(&self, line: &str, suffix: &str) -> (Vec<(String, String)>, Vec<String>) {
        let dir = self.dir().to_str().expect("UTF-8");
        let (variables, words): (Vec<&str>, Vec<&str>) = line.split(' ').partition(|word| {
            let of_name = |b: u8| b.is_ascii_uppercase() || b == b'_';
            word.split_once('=').is_some_and(|(name, _)| name.bytes().all(of_name))
        });
        let word = |word: &str| {
            let word =
                if word.starts_with("-D_") { word.to_owned() } else { word.replace('_', " ") };
            word.replace("{s}", suffix).replace("{abs}", dir)
        };
        let variables = variables.iter().map(|pair| {
            let (name, value) = pair.split_once('=').expect("a variable");
            (name.to_owned(), word(value))
        });
        (variables.collect(), words.into_iter().map(word).collect())
    }

    /// The compile of a line, as it is told to a client.
    pub(crate) fn compile(&self, compiler: &str, line: &str, suffix: &str) -> Compile {
        let (variables, words) = self.words(line, suffix);
        let argv = std::iter::once(compiler.to_owned()).chain(words);
        let mut compile = Compile::new(self.build(), argv);
        compile.env.extend(variables);
        if line.contains("-fprofile-use=") {
            let profiles = std::fs::read_dir(self.dir().join("prof")).expect("a directory");
            let profiles = profiles.map(|entry| entry.expect("an entry").file_name());
            compile.extra_inputs.extend(profiles.map(|name| Path::new("../prof").join(name)));
        }
        compile
    }

    /// What the compiler of this machine makes of it. Nothing of it stays.
    pub(crate) fn local(&self, compile: &Compile) -> Ended {
        let before = self.files();
        // Servers' workers speak so.
        let output = Command::new(&compile.argv[0])
            .args(&compile.argv[1..])
            .current_dir(&compile.cwd)
            .envs(compile.env.iter().cloned())
            .env("LC_ALL", "C")
            .output()
            .expect("a compiler");
        let made = self.take(&before);
        Ended {
            exit_status: output.status.code(),
            stdout: output.stdout,
            stderr: output.stderr,
            made,
        }
    }

    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        self.read(self.dir(), &mut files);
        files
    }

    fn read(&self, dir: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                self.read(&path, into);
                continue;
            }
            let name =
                path.strip_prefix(self.dir()).expect("within").to_string_lossy().into_owned();
            into.insert(name, std::fs::read(&path).expect("a file"));
        }
    }

    /// The files that are there beside those from before; removes them.
    pub(crate) fn take(&self, before: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files();
        files.retain(|name, _| !before.contains_key(name));
        for name in files.keys() {
            std::fs::remove_file(self.dir().join(name)).expect("removed");
        }
        files
    }
}

/// The end of a compile.
pub(crate) struct Ended {
    pub(crate) exit_status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) made: BTreeMap<String, Vec<u8>>,
}

impl Ended {
    /// How another end differs, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self.exit_status != other.exit_status {
            let stderr = String::from_utf8_lossy(&other.stderr);
            return Some(format!(
                "exit {:?}, not {:?}: {stderr}",
                other.exit_status, self.exit_status
            ));
        }
        for (what, ours, theirs) in
            [("stdout", &self.stdout, &other.stdout), ("stderr", &self.stderr, &other.stderr)]
        {
            if ours != theirs {
                let (ours, theirs) =
                    (String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs));
                return Some(format!("{what}\n{theirs}\nnot\n{ours}"));
            }
        }
        if !self.made.keys().eq(other.made.keys()) {
            return Some(format!("files {:?}, not {:?}", other.made.keys(), self.made.keys()));
        }
        let differs = self.made.iter().find(|(name, made)| other.made[*name] != **made);
        differs.map(|(name, made)| {
            let other = &other.made[name];
            let at = made.iter().zip(other).take_while(|(ours, theirs)| ours == theirs).count();
            let start = at.saturating_sub(40);
            let text = |bytes: &[u8]| {
                let end = bytes.len().min(at + 60);
                bytes.get(start..end).unwrap_or_default().escape_ascii().to_string()
            };
            format!("{name} differs at {at}:\n  {}\nnot\n  {}", text(other), text(made))
        })
    }
}
