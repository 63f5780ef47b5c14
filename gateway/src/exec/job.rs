//! A compile, as the rest of the pipeline knows it: an ExecReq in which nothing can be wrong.

use bytestring::ByteString;
use goma_common::FileKey;
use goma_common::shards::Source;
use goma_proto::api::{FileBlob, exec_req, requester_info};

use super::fields::{
    Here, MAX_PROPERTIES, arguments, environment, equivalent, inputs, invalid, named, outputs,
    path, sha256, tool_files,
};
use super::system;
use super::windows::{self, Windows};
use crate::command::{self, Family, Flags, Reading, Token};
use crate::identity::Caller;
use crate::paths::AbsPath;
use crate::platforms::compiler::Wanted;
use crate::posted::Posted;
use crate::refusal::{Refusal, impossible};
use crate::source;
use crate::windows_path::WindowsDir;
use crate::worker::Sha256;

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
    /// How it was read.
    pub(crate) reading: Reading,
    /// The variables that go along, sorted, each once.
    pub(crate) env: Vec<(String, String)>,
    /// Files that the compiler reads.
    pub(crate) inputs: Vec<Input>,
    /// Files that it is expected to write.
    pub(crate) outputs: Vec<Output>,
    /// Directories that it is expected to write files into.
    pub(crate) output_dirs: Vec<Output>,
    /// The root that the client asks for.
    pub(crate) exec_root: Option<AbsPath>,
    /// Platform properties that the client asks for.
    pub(crate) properties: Vec<(String, String)>,
    /// Whether cached results are wanted.
    pub(crate) policy: CachePolicy,
    /// On whose behalf its blobs are uploaded.
    pub(crate) source: Source,
    /// Of a Windows client: what that needs beside.
    pub(crate) windows: Option<Box<Windows>>,
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
    pub(crate) name: ByteString,
    pub(crate) path: AbsPath,
    /// Directories that must exist for the name to be walked.
    pub(crate) through: Vec<AbsPath>,
    pub(crate) key: FileKey,
    /// Few inputs have them.
    pub(crate) contents: Option<Box<FileBlob>>,
}

/// A file that the compiler writes, or a directory that it writes into.
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
    pub(crate) fn parse(posted: Posted, caller: &Caller, flags: &Flags) -> Result<Self, Refusal> {
        let Posted { request, inputs: files } = posted;
        let Some(spec) = request.command_spec else { return invalid("no command_spec") };
        let source = source::of(caller, request.requester_info.as_ref());
        let requester = request.requester_info.unwrap_or_default();
        let Some(told_cwd) = request.cwd else { return invalid("no cwd") };
        let (cwd, windows) = cwd(requester.path_style(), &told_cwd)?;
        let here = Here { cwd: &cwd, windows: windows.as_ref() };
        // All below it would be taken for the distribution's, which a worker has of its own.
        if cwd.is_system() {
            return impossible(format!("cwd {cwd} is in a system directory"));
        }
        let name = spec.name.unwrap_or_default();
        if name.is_empty() {
            return invalid("no name of the compiler");
        }
        if matches!(name.as_str(), "clang-cl.exe" | "cl" | "cl.exe") {
            return impossible(format!("compiler {name:?} is not served; clang-cl is"));
        }
        let args = arguments(request.arg)?;
        let expanded_args = if request.expanded_arg.is_empty() {
            args.clone()
        } else {
            arguments(request.expanded_arg)?
        };

        let reading = flags.reading(Family::of(&name));
        if let Some(file) = command::unread(reading.family, &expanded_args) {
            return impossible(format!(
                "the client did not tell what {file} holds, which a worker might read otherwise"
            ));
        }
        let tokens = reading.parse(&expanded_args);
        let inputs = inputs(&here, files)?;
        let files = inputs.iter().map(|input| &*input.name);
        let files = files.chain(request.expected_output_files.iter().map(String::as_str));
        if let Some(why) = command::undoable(&reading, &tokens, files) {
            return impossible(format!("{name}: {why}"));
        }
        command::note_unknown(reading.family, &tokens);
        // Older clients leave them to the server.
        let output_dirs = match request.expected_output_dirs.is_empty() {
            true => command::output_dirs(reading.family, &tokens),
            false => request.expected_output_dirs,
        };
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
                .map(|dir| path("system include path", here.walk(dir).map(|w| w.path), dir))
                .collect::<Result<_, _>>()?,
        };
        let toolchain = match request.toolchain_included.unwrap_or(false) {
            true => Some(tool_files(&here, request.toolchain_specs)?),
            false => None,
        };
        let properties = requester.platform_properties;
        if properties.len() > MAX_PROPERTIES {
            let count = properties.len();
            return impossible(format!("{count} platform properties; {MAX_PROPERTIES} at most"));
        }
        let env = environment(&request.env)?;
        if let Some(name) = command::flags_variable(reading.family, &env) {
            return impossible(format!(
                "variable {name} holds flags for {}: write them on the command line",
                compiler.name
            ));
        }
        let mut job = Self {
            compiler,
            toolchain,
            args,
            expanded_args,
            tokens,
            reading,
            env,
            inputs,
            outputs: outputs(&here, request.expected_output_files)?,
            output_dirs: outputs(&here, output_dirs)?,
            exec_root: match requester.exec_root.filter(|root| !root.is_empty()) {
                Some(root) => Some(exec_root(&here, &root)?),
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
            windows: None,
            cwd: cwd.clone(),
        };
        if let Some(dir) = windows {
            windows::translate(&mut job, &told_cwd, dir)?;
        }
        named(&job.cwd, &job.reading, &job.tokens, &job.env)?;
        system::within_bounds(&job)?;
        Ok(job)
    }
}

/// The current directory, and the same as a Windows client reads it if it is one's: clients say so,
/// or it has a drive.
fn cwd(
    style: requester_info::PathStyle,
    told: &str,
) -> Result<(AbsPath, Option<WindowsDir>), Refusal> {
    let says = style == requester_info::PathStyle::WindowsStyle;
    if says || told.as_bytes().get(1) == Some(&b':') {
        let dir = path("cwd", WindowsDir::parse(told), told)?;
        return Ok((dir.path().clone(), Some(dir)));
    }
    Ok((path("cwd", AbsPath::parse(told), told)?, None))
}

fn exec_root(here: &Here<'_>, told: &str) -> Result<AbsPath, Refusal> {
    match here.windows {
        None => path("exec_root", AbsPath::parse(told), told),
        Some(_) => path("exec_root", here.walk(told).map(|walked| walked.path), told),
    }
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
        let dirs = Job::parse(request.into(), &Caller::default(), &Flags::default())
            .expect("a job")
            .compiler
            .system_include;
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
            Job::parse(request.into(), &Caller::default(), &Flags::default())
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
        let with = |output: &str, directory: bool| {
            let mut request = request("gcc -c a.c", &["a.c"]);
            match directory {
                true => request.expected_output_dirs = vec![output.to_owned()],
                false => request.expected_output_files = vec![output.to_owned()],
            }
            Job::parse(request.into(), &Caller::default(), &Flags::default())
        };
        for output in [".", "..", "/home/u/src", "/", "x/.."] {
            let refused = [false, true].map(|directory| with(output, directory));
            for refused in refused {
                assert!(
                    matches!(&refused, Err(Refusal::Impossible(why)) if why.contains(output)),
                    "{output}: {refused:?}"
                );
            }
        }
        for output in ["../a.o", "/home/u/src/a.o", "/home/u/srcs"] {
            assert!(with(output, false).is_ok() && with(output, true).is_ok(), "{output}");
        }
    }

    #[test]
    fn a_file_of_arguments_must_have_been_read() {
        let with = |typed: &str, expanded: &[&str]| {
            let mut request = request(typed, &["a.c", "a.rsp"]);
            request.expanded_arg = expanded.iter().map(|word| (*word).to_owned()).collect();
            Job::parse(request.into(), &Caller::default(), &Flags::default())
        };
        assert!(with("gcc @a.rsp", &["gcc", "-g", "-c", "a.c"]).is_ok());
        for (typed, expanded) in [("gcc @a.rsp", &[][..]), ("javac x", &["javac", "@a.rsp"])] {
            let refused = with(typed, expanded);
            assert!(
                matches!(&refused, Err(Refusal::Impossible(why)) if why.contains("@a.rsp")),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_client_that_names_one_list_means_that_one() {
        assert_eq!(include("gcc -c a.cc", &[], &["/usr/cxx"]), "/usr/cxx");
        assert_eq!(include("gcc -c a.c", &[], &["/usr/cxx"]), "/usr/cxx");
    }
}
