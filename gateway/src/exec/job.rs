//! A compile, as the rest of the pipeline knows it: an ExecReq in which nothing can be wrong.

use std::collections::HashMap;

use goma_common::FileKey;
use goma_common::shards::Source;
use goma_proto::api::{ExecReq, FileBlob, exec_req, requester_info};

use crate::command::{self, Token};
use crate::identity::Caller;
use crate::paths::AbsPath;
use crate::platforms::compiler::Wanted;
use crate::refusal::{Refusal, impossible};
use crate::source;
use crate::worker::Sha256;

/// Inputs of one compile. The largest seen has 564; the bound is there for those who try.
const MAX_INPUTS: usize = 200_000;
/// Outputs of one compile. An object, its dependencies, its notes and all of `-save-temps` are a
/// dozen; each may take up room in the answer.
const MAX_OUTPUTS: usize = 100;
/// Arguments, and bytes of them: what Linux lets a program have. Variables likewise.
const MAX_ARGS: usize = 100_000;
const MAX_ARG_BYTES: usize = 2 << 20;
/// Files of a compiler; those of the largest seen are some two thousand.
const MAX_TOOL_FILES: usize = 20_000;
/// Compilers that are as good as one.
const MAX_EQUIVALENT: usize = 100;
/// Platform properties of one compile; workers are told apart by a handful.
const MAX_PROPERTIES: usize = 100;
/// Parts of a path, and bytes of it: what Linux lets a path be.
const MAX_DEPTH: usize = 256;
const MAX_PATH: usize = 4096;

/// A validated compile.
#[derive(Debug)]
pub(crate) struct Job {
    /// The compiler, as the client found it.
    pub(crate) compiler: Compiler,
    /// Files of the compiler that the client names, if it names any.
    pub(crate) toolchain: Option<Vec<ToolFile>>,
    /// Where the client runs the compiler.
    pub(crate) cwd: AbsPath,
    /// The arguments after the compiler's name, as typed: `@files` are inputs.
    pub(crate) args: Vec<String>,
    /// The same with the contents of `@files` in their places.
    pub(crate) expanded_args: Vec<String>,
    /// The latter, read.
    pub(crate) tokens: Vec<Token>,
    /// The variables that go along, sorted, each once.
    pub(crate) env: Vec<(String, String)>,
    /// Files that the compiler reads.
    pub(crate) inputs: Vec<Input>,
    /// Files that it is expected to write.
    pub(crate) outputs: Vec<Output>,
    /// The root that the client asks for.
    pub(crate) exec_root: Option<AbsPath>,
    /// Platform properties that the client asks for.
    pub(crate) properties: Vec<(String, String)>,
    /// Whether cached results are wanted.
    pub(crate) policy: CachePolicy,
    /// On whose behalf its blobs are uploaded.
    pub(crate) source: Source,
}

/// A compiler by name and hash.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(crate) name: String,
    /// As the client calls it: absolute, or relative to the cwd.
    pub(crate) path: String,
    pub(crate) hash: Sha256,
    /// As it tells them of itself.
    pub(crate) version: String,
    pub(crate) target: String,
    /// Hashes that the client takes for as good.
    pub(crate) equivalent: Vec<Sha256>,
    /// Directories that are searched without being named, in order.
    pub(crate) system_include: Vec<AbsPath>,
}

impl Compiler {
    /// What a compiler of the operator's list must be to stand for it.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.name,
            version: &self.version,
            target: &self.target,
            hash: &self.hash,
            equivalent: &self.equivalent,
        }
    }
}

/// A file of the compiler.
#[derive(Debug)]
pub(crate) struct ToolFile {
    pub(crate) path: AbsPath,
    pub(crate) kind: ToolKind,
}

/// What a [`ToolFile`] is.
#[derive(Debug)]
pub(crate) enum ToolKind {
    File { hash: Sha256, size: u64, executable: bool },
    Symlink { target: String },
}

/// A file that the compiler reads.
#[derive(Debug)]
pub(crate) struct Input {
    /// As the client names it, in `missing_input` too.
    pub(crate) name: String,
    pub(crate) path: AbsPath,
    /// Directories that must exist for the name to be walked.
    pub(crate) through: Vec<AbsPath>,
    pub(crate) key: FileKey,
    /// Few inputs have them; a box keeps the others small.
    pub(crate) contents: Option<Box<FileBlob>>,
}

/// A file that the compiler writes.
#[derive(Debug)]
pub(crate) struct Output {
    /// As the client names it, in the answer too.
    pub(crate) name: String,
    pub(crate) path: AbsPath,
}

/// What the client wants of the cache. Results are stored by the workers in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    LookupAndStore,
    LookupOnly,
    StoreOnly,
}

impl Job {
    /// Validates a request.
    ///
    /// # Errors
    /// [`Refusal::Failed`] with `InvalidArgument` for what is no proper request at all;
    /// [`Refusal::Impossible`] for a compile that is none of ours. Both name the field.
    pub(crate) fn parse(request: ExecReq, caller: &Caller) -> Result<Self, Refusal> {
        let Some(spec) = request.command_spec else { return invalid("no command_spec") };
        let source = source::of(caller, request.requester_info.as_ref());
        let requester = request.requester_info.unwrap_or_default();
        if requester.path_style() == requester_info::PathStyle::WindowsStyle {
            return impossible("compiles of Windows clients are not served");
        }
        let Some(cwd) = request.cwd else { return invalid("no cwd") };
        let cwd = path("cwd", AbsPath::parse(&cwd), &cwd)?;
        // All below it would be taken for the distribution's, which a worker has of its own.
        if cwd.is_system() {
            return impossible(format!("cwd {cwd} is in a system directory"));
        }
        let name = spec.name.unwrap_or_default();
        if !command::is_served(&name) {
            return impossible(format!("compiler {name:?} is not served; gcc and clang are"));
        }
        if !request.expected_output_dirs.is_empty() {
            return impossible("output directories are not served");
        }
        let args = arguments(request.arg)?;
        let expanded_args = if request.expanded_arg.is_empty() {
            args.clone()
        } else {
            arguments(request.expanded_arg)?
        };

        let tokens = command::parse(&expanded_args);
        let compiler_path = spec.local_compiler_path.unwrap_or_default();
        if compiler_path.is_empty() {
            return invalid("no local_compiler_path");
        }
        let hash = spec.binary_hash.unwrap_or_default();
        let (c, cxx) = (spec.system_include_path, spec.cxx_system_include_path);
        let (wanted, other) = if command::is_cxx(&name, &tokens) { (cxx, c) } else { (c, cxx) };
        // The stock client fills in one of them, by what it takes the language for.
        let include = if wanted.is_empty() { other } else { wanted };
        let compiler = Compiler {
            hash: sha256("binary_hash", &String::from_utf8_lossy(&hash))?,
            version: spec.version.unwrap_or_default(),
            target: spec.target.unwrap_or_default(),
            equivalent: equivalent(&spec.equivalent_hash),
            name,
            path: compiler_path,
            system_include: include
                .iter()
                .map(|dir| path("system include path", cwd.walk(dir).map(|w| w.path), dir))
                .collect::<Result<_, _>>()?,
        };
        let toolchain = match request.toolchain_included.unwrap_or(false) {
            true => Some(tool_files(&cwd, request.toolchain_specs)?),
            false => None,
        };
        let properties = requester.platform_properties;
        if properties.len() > MAX_PROPERTIES {
            let count = properties.len();
            return impossible(format!("{count} platform properties; {MAX_PROPERTIES} at most"));
        }
        if request.input.len() > MAX_INPUTS {
            return invalid(format!("{} inputs; {MAX_INPUTS} at most", request.input.len()));
        }
        Ok(Self {
            compiler,
            toolchain,
            args,
            expanded_args,
            tokens,
            env: environment(&request.env)?,
            inputs: inputs(&cwd, request.input)?,
            outputs: outputs(&cwd, request.expected_output_files)?,
            exec_root: match requester.exec_root.filter(|root| !root.is_empty()) {
                Some(root) => Some(path("exec_root", AbsPath::parse(&root), &root)?),
                None => None,
            },
            properties: properties
                .into_iter()
                .map(|p| (p.name.unwrap_or_default(), p.value.unwrap_or_default()))
                .collect(),
            policy: match exec_req::CachePolicy::try_from(request.cache_policy.unwrap_or(0)) {
                Ok(exec_req::CachePolicy::StoreOnly) => CachePolicy::StoreOnly,
                Ok(exec_req::CachePolicy::LookupOnly) => CachePolicy::LookupOnly,
                _ => CachePolicy::LookupAndStore,
            },
            source,
            cwd,
        })
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    let code = goma_common::Code::InvalidArgument;
    Err(Refusal::Failed(goma_common::Error::new(code, why).context("ExecReq")))
}

fn path<T, E: std::fmt::Display>(what: &str, path: Result<T, E>, text: &str) -> Result<T, Refusal> {
    // A text that is shorter than that has no more parts than it may.
    if text.len() > MAX_PATH || text.len() >= MAX_DEPTH && text.split('/').count() > MAX_DEPTH {
        let start: String = text.chars().take(100).collect();
        return impossible(format!("{what} {start:?}... is longer than a path may be"));
    }
    path.or_else(|error| impossible(format!("{what} {text:?} {error}")))
}

fn sha256(what: &str, hex: &str) -> Result<Sha256, Refusal> {
    match FileKey::parse(hex) {
        Ok(key) => Ok(key.0),
        Err(_) => impossible(format!("{what} {hex:?} is no SHA-256")),
    }
}

/// Those that are none stand for nothing.
fn equivalent(hashes: &[bytes::Bytes]) -> Vec<Sha256> {
    let hashes = hashes.iter().take(MAX_EQUIVALENT).map(|hash| String::from_utf8_lossy(hash));
    hashes.filter_map(|hash| FileKey::parse(&hash).ok()).map(|key| key.0).collect()
}

/// Without the first, which is the compiler's name.
fn arguments(args: Vec<String>) -> Result<Vec<String>, Refusal> {
    let bytes: usize = args.iter().map(String::len).sum();
    if args.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return impossible(format!("{} arguments of {bytes} bytes are too many", args.len()));
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return impossible("an argument holds a zero byte");
    }
    Ok(args.into_iter().skip(1).collect())
}

/// Sorted, the last of equal names: what a process would see.
fn environment(env: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let bytes: usize = env.iter().map(String::len).sum();
    if env.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return impossible(format!("{} variables of {bytes} bytes are too many", env.len()));
    }
    let variables: HashMap<&str, &str> =
        env.iter().filter_map(|pair| pair.split_once('=')).collect();
    let mut env: Vec<_> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    env.retain(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'));
    env.sort_unstable();
    Ok(env)
}

fn inputs(cwd: &AbsPath, inputs: Vec<exec_req::Input>) -> Result<Vec<Input>, Refusal> {
    let mut validated = Vec::with_capacity(inputs.len());
    for input in inputs {
        let name = input.filename.unwrap_or_default();
        let walked = path("input", cwd.walk(&name), &name)?;
        let Some(key) = input.hash_key else {
            return invalid(format!("input {name:?} has no hash_key"));
        };
        let Ok(key) = FileKey::parse(&key) else {
            return impossible(format!("hash_key {key:?} of input {name:?} is no SHA-256"));
        };
        let contents = input.content.map(Box::new);
        validated.push(Input { name, path: walked.path, through: walked.through, key, contents });
    }
    Ok(validated)
}

fn outputs(cwd: &AbsPath, names: Vec<String>) -> Result<Vec<Output>, Refusal> {
    if names.len() > MAX_OUTPUTS {
        return impossible(format!("{} outputs; {MAX_OUTPUTS} at most", names.len()));
    }
    let outputs = names.into_iter().map(|name| {
        let path = path("output", cwd.walk(&name), &name)?.path;
        if path.is_system() {
            return impossible(format!("output {name:?} is in a system directory"));
        }
        if cwd.is_within(&path) {
            return impossible(format!(
                "output {name:?} is the directory of the compile, or above"
            ));
        }
        Ok(Output { name, path })
    });
    outputs.collect()
}

fn tool_files(
    cwd: &AbsPath,
    specs: Vec<goma_proto::api::ToolchainSpec>,
) -> Result<Vec<ToolFile>, Refusal> {
    if specs.len() > MAX_TOOL_FILES {
        return impossible(format!(
            "{} files of the compiler; {MAX_TOOL_FILES} at most",
            specs.len()
        ));
    }
    let files = specs.into_iter().map(|spec| {
        let name = spec.path.unwrap_or_default();
        let path = path("toolchain file", cwd.walk(&name), &name)?.path;
        let kind = match spec.symlink_path.filter(|target| !target.is_empty()) {
            Some(target) => ToolKind::Symlink { target },
            None => ToolKind::File {
                hash: sha256("hash of a toolchain file", &spec.hash.unwrap_or_default())?,
                size: u64::try_from(spec.size.unwrap_or(0)).unwrap_or(0),
                executable: spec.is_executable.unwrap_or(false),
            },
        };
        Ok(ToolFile { path, kind })
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::request;
    use super::*;

    /// The include directories that are taken of these for C and C++.
    fn include(line: &str, c: &[&str], cxx: &[&str]) -> String {
        let mut request = request(line, &[]);
        let spec = request.command_spec.get_or_insert_default();
        spec.system_include_path = c.iter().map(|dir| (*dir).to_owned()).collect();
        spec.cxx_system_include_path = cxx.iter().map(|dir| (*dir).to_owned()).collect();
        let dirs = Job::parse(request, &Caller::default()).expect("a job").compiler.system_include;
        dirs.iter().map(AbsPath::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_sources_language_chooses_the_include_directories() {
        let (c, cxx) = (&["/usr/c"][..], &["/usr/cxx"][..]);
        assert_eq!(include("gcc -c a.c", c, cxx), "/usr/c");
        assert_eq!(include("gcc -c a.cc", c, cxx), "/usr/cxx");
        assert_eq!(include("gcc -x c++ -c a.c", c, cxx), "/usr/cxx");
        assert_eq!(include("g++ -c a.c", c, cxx), "/usr/cxx");
        assert_eq!(include("g++ -x c -c a.c", c, cxx), "/usr/c");
    }

    #[test]
    fn no_compile_runs_in_a_system_directory() {
        let within = |cwd: &str| {
            let mut request = request("gcc -c a.c", &["a.c"]);
            request.cwd = Some(cwd.to_owned());
            Job::parse(request, &Caller::default())
        };
        for cwd in ["/usr/src/linux", "/etc", "/home/../usr"] {
            let refused = within(cwd);
            let named = |why: &str| why.contains("system directory");
            assert!(matches!(&refused, Err(Refusal::Impossible(why)) if named(why)), "{cwd}");
        }
        assert!(within("/home/usr").is_ok() && within("/").is_ok());
    }

    #[test]
    fn no_output_is_a_directory_that_the_compile_runs_in() {
        let with = |output: &str| {
            let mut request = request("gcc -c a.c", &["a.c"]);
            request.expected_output_files = vec![output.to_owned()];
            Job::parse(request, &Caller::default())
        };
        for output in [".", "..", "/home/u/src", "/", "x/.."] {
            let refused = with(output);
            assert!(
                matches!(&refused, Err(Refusal::Impossible(why)) if why.contains(output)),
                "{output}: {refused:?}"
            );
        }
        for output in ["../a.o", "/home/u/src/a.o", "/home/u/srcs"] {
            assert!(with(output).is_ok(), "{output}");
        }
    }

    #[test]
    fn a_client_that_names_one_list_means_that_one() {
        assert_eq!(include("gcc -c a.cc", &[], &["/usr/cxx"]), "/usr/cxx");
        assert_eq!(include("gcc -c a.c", &[], &["/usr/cxx"]), "/usr/cxx");
    }
}
