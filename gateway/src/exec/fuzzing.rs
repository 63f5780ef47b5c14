//! Compiles of fuzzers: what must hold of the action of every request that is taken.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use goma_common::preset::AbsolutePaths;
use goma_common::{Digest, FileKey};
use goma_proto::api::exec_req::Input;
use goma_proto::api::{CommandSpec, ExecReq, RequesterInfo, ToolchainSpec};
use goma_proto::reapi::{Action, Command, Directory};
use prost::Message;

use super::action::{Plan, SystemFiles};
use super::inputs::Inputs;
use super::job::Job;
use super::layout::Layout;
use super::toolchain::{self, Toolchain};
use crate::command::{self, Flags, Token};
use crate::config::GatewayConfig;
use crate::identity::Caller;
use crate::paths::AbsPath;
use crate::platforms::CompilerEntry;
use crate::posted::Posted;
use crate::refusal::Refusal;
use crate::worker::WorkerFiles;

/// An ExecReq as it comes over the wire: what the gateway reads of it is what anybody would.
pub fn exec_request(message: &[u8]) {
    if let Ok(request) = ExecReq::decode(message) {
        assert_eq!(Posted::decode(message), Ok(request.clone().into()));
        check(&request);
    }
}

/// A compile in lines: a letter for what it is, and the rest of the line. `d` is the cwd, `n` the
/// compiler's name, `p` its path, `a` an argument, `i` an input (`j` one whose contents follow from
/// its whole name and not from its last part), `o` an output, `e` a variable, `s` a system include
/// directory, `r` the root asked for, `t` a file of the toolchain, `l` a symlink of it with its target.
pub fn compile(text: &str) {
    let mut spec = CommandSpec {
        name: Some("gcc".to_owned()),
        binary_hash: Some("ab".repeat(32).into()),
        local_compiler_path: Some("/usr/bin/gcc".to_owned()),
        ..Default::default()
    };
    let mut request = ExecReq {
        arg: vec!["gcc".to_owned()],
        cwd: Some("/home/u/src".to_owned()),
        ..Default::default()
    };
    for line in text.lines() {
        let Some(kind) = line.chars().next() else { continue };
        let told = &line[kind.len_utf8()..];
        let owned = || told.to_owned();
        let hash = || Some(FileKey::of_file(told.as_bytes()).hex());
        match kind {
            'd' => request.cwd = Some(owned()),
            'n' => spec.name = Some(owned()),
            'p' => spec.local_compiler_path = Some(owned()),
            'a' => request.arg.push(owned()),
            'i' | 'j' => {
                let last = told.rsplit('/').next().unwrap_or(told);
                let contents = if kind == 'i' { last } else { told };
                request.input.push(Input {
                    filename: Some(owned()),
                    hash_key: Some(FileKey::of_file(contents.as_bytes()).hex()),
                    content: None,
                });
            }
            'o' => request.expected_output_files.push(owned()),
            'e' => request.env.push(owned()),
            's' => spec.system_include_path.push(owned()),
            'r' => {
                let exec_root = Some(owned());
                request.requester_info = Some(RequesterInfo { exec_root, ..Default::default() });
            }
            't' => {
                let file =
                    ToolchainSpec { path: Some(owned()), hash: hash(), ..Default::default() };
                request.toolchain_specs.push(file);
            }
            'l' => {
                let (path, target) = told.split_once(' ').unwrap_or((told, "gcc"));
                let (path, target) = (Some(path.to_owned()), Some(target.to_owned()));
                let link = ToolchainSpec { path, symlink_path: target, ..Default::default() };
                request.toolchain_specs.push(link);
            }
            _ => {}
        }
    }
    request.toolchain_included = Some(!request.toolchain_specs.is_empty());
    request.command_spec = Some(spec);
    check(&request);
}

fn check(request: &ExecReq) {
    let mut reversed = request.clone();
    reversed.input.reverse();
    for absolute_paths in [
        AbsolutePaths::Property,
        AbsolutePaths::Chroot,
        AbsolutePaths::Rewrite,
        AbsolutePaths::Refuse,
    ] {
        // What Windows clients need.
        let cl = CompilerEntry {
            name: "clang-cl".to_owned(),
            path: "/usr/bin/clang-cl".to_owned(),
            ..Default::default()
        };
        let compilers = vec![cl].into();
        let config = GatewayConfig { absolute_paths, compilers, ..Default::default() };
        for system in [SystemFiles::Workers, SystemFiles::Clients] {
            let planned = plan(request, &config, system);
            let other = plan(&reversed, &config, system);
            let action = |planned: &Option<Planned>| planned.as_ref().map(|it| it.plan.action);
            assert_eq!(action(&planned), action(&other), "the order of the inputs counts");
            let Some(planned) = planned else { continue };
            whole(&planned);
            if system == SystemFiles::Clients {
                reaches_no_system_file(&planned);
            } else if let Some(moved) = moved(request, &planned) {
                let moved = plan(&moved, &config, system);
                assert_eq!(moved.map(|it| it.plan.action), Some(planned.plan.action), "moved");
            }
        }
    }
}

/// A request and what became of it.
struct Planned {
    job: Job,
    toolchain: Toolchain,
    plan: Plan,
    layout: Layout,
}

/// As [`super::Exec`] does it, with contents that their keys say.
fn plan(request: &ExecReq, config: &GatewayConfig, system: SystemFiles) -> Option<Planned> {
    let job = Job::parse(request.clone().into(), &Caller::default(), &Flags::default()).ok()?;
    let toolchain = toolchain::choose(&job, &config.compilers, &Workers).ok()?;
    let properties = toolchain::properties(&job, &toolchain, config);
    let compiler = toolchain.system_files();
    let workers = |path: &AbsPath| path.is_system() && compiler.contains(path.as_str());
    let needed = job.inputs.iter().filter(|input| !workers(&input.path));
    let files = needed.map(|input| (input, of_key(input.key))).collect();
    let inputs = Inputs { files };
    super::system::expectations(&job, &inputs, &toolchain);
    let layout = Layout::of(&job, &inputs, &toolchain, config.absolute_paths).ok()?;
    let plan = Plan::new(&job, &inputs, &toolchain, &layout, &properties, config, system);
    let plan = match plan {
        Ok(plan) => plan,
        Err(Refusal::Impossible(_)) => return None,
        Err(_) => panic!("a plan can be impossible and no more"),
    };
    drop(inputs);
    Some(Planned { job, toolchain, plan, layout })
}

/// Workers where every compiler that is asked for is registered.
struct Workers;

#[async_trait::async_trait]
impl WorkerFiles for Workers {
    async fn hashes(
        &self,
        _: &crate::worker::Properties,
        paths: &[String],
        _: goma_common::Deadline,
    ) -> goma_common::Result<Vec<Option<crate::worker::Sha256>>> {
        Ok(vec![None; paths.len()])
    }

    fn registered_compiler(&self, _: &str, _: &crate::worker::Sha256) -> Option<String> {
        Some("/usr/bin/gcc".to_owned())
    }
}

fn of_key(key: FileKey) -> Digest {
    Digest { hash: key.0, size: u64::from(key.0[0]) }
}

/// The farm has all that the action names, each thing in its place, in the one spelling that REAPI has.
fn whole(planned: &Planned) {
    let Planned { job, toolchain, plan, layout } = planned;
    let mut made = HashMap::new();
    for blob in &plan.made {
        let contents = blob.contents.clone().expect("made here");
        assert_eq!(Digest::of(&contents), blob.digest);
        made.insert(blob.digest, contents);
    }
    let digest = |told: Option<&goma_proto::reapi::Digest>| {
        Digest::try_from(told.expect("there")).expect("a digest")
    };
    let action = Action::decode(made[&plan.action].clone()).expect("an action");
    let command = &made[&digest(action.command_digest.as_ref())];
    let command = Command::decode(command.clone()).expect("a command");
    let mut tree = Laid::default();
    tree.read(&made, "", digest(action.input_root_digest.as_ref()));
    let stored: HashSet<Digest> = plan.stored.iter().copied().collect();
    assert!(tree.files.values().all(|digest| stored.contains(digest)), "a file that is nowhere");

    let place = |path: &AbsPath| layout.in_input_root(path);
    assert!(tree.dirs.contains(&command.working_directory), "no working directory");
    assert_eq!(command.working_directory, place(&job.cwd));
    for input in job.inputs.iter().filter(|input| !input.path.is_system()) {
        assert_eq!(tree.files.get(&place(&input.path)), Some(&of_key(input.key)), "{}", input.name);
        for through in input.through.iter().filter(|dir| !dir.is_system()) {
            assert!(tree.dirs.contains(&place(through)), "{through} is walked through");
        }
    }
    let cwd = AbsPath::root().join(&command.working_directory);
    let cwd = if command.working_directory.is_empty() { AbsPath::root() } else { cwd };
    for output in &command.output_paths {
        let path = cwd.walk(output).expect("within the input root").path;
        assert!(!cwd.is_within(&path), "output {output:?} is a directory");
        let dir = path.parent();
        let dir = dir.as_str().trim_start_matches('/');
        assert!(tree.dirs.contains(dir), "no directory for output {output:?}");
    }
    // Behind `env` and what is for it, where paths are rewritten.
    let first = if layout.rewritten { 3 } else { 0 };
    let program = command.arguments.get(first).expect("a program");
    assert!(layout.rewritten || *program == toolchain.program);
    assert!(!layout.rewritten || command.arguments[0] == "/usr/bin/env");
    let names: Vec<&String> = command.environment_variables.iter().map(|pair| &pair.name).collect();
    assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
    assert!(command.output_paths.is_sorted_by(|one, next| one < next));
}

/// What lies in an input root, by its way down.
#[derive(Default)]
struct Laid {
    dirs: HashSet<String>,
    files: HashMap<String, Digest>,
}

impl Laid {
    fn read(&mut self, made: &HashMap<Digest, Bytes>, at: &str, digest: Digest) {
        let directory = Directory::decode(made[&digest].clone()).expect("a directory");
        let mut names = HashSet::new();
        let mut name = |name: &str| {
            assert!(!matches!(name, "" | "." | "..") && !name.contains(['/', '\0']), "{name:?}");
            assert!(names.insert(name.to_owned()), "{name:?} twice");
            if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") }
        };
        assert!(directory.files.is_sorted_by(|one, next| one.name < next.name));
        assert!(directory.directories.is_sorted_by(|one, next| one.name < next.name));
        assert!(directory.symlinks.is_sorted_by(|one, next| one.name < next.name));
        for file in &directory.files {
            let digest = Digest::try_from(file.digest.as_ref().expect("there")).expect("a digest");
            self.files.insert(name(&file.name), digest);
        }
        directory.symlinks.iter().for_each(|link| drop(name(&link.name)));
        let below: Vec<(String, Digest)> = directory
            .directories
            .iter()
            .map(|dir| {
                let digest = dir.digest.as_ref().expect("there");
                (name(&dir.name), Digest::try_from(digest).expect("a digest"))
            })
            .collect();
        self.dirs.insert(at.to_owned());
        for (at, digest) in below {
            self.read(made, &at, digest);
        }
    }
}

/// With the client's system files laid out, no path on the command line may lead to the worker's.
fn reaches_no_system_file(planned: &Planned) {
    let Planned { job, plan, .. } = planned;
    let contents = plan.made.iter().filter_map(|blob| blob.contents.clone());
    let decoded = contents.filter_map(|contents| Command::decode(contents).ok());
    let program = &planned.toolchain.program;
    let is_it = |it: &Command| {
        let first = it.arguments.first();
        first == Some(program) || first.is_some_and(|first| first == "/usr/bin/env")
    };
    let Some(command) = decoded.into_iter().find(is_it) else {
        return;
    };
    let is_output = |flag: &str| {
        matches!(flag.get(1..), Some("o" | "Fo" | "Fo:" | "Fa" | "Fd" | "Fe" | "Fi" | "Fm" | "FR"))
    };
    let is_system = |name: &str| job.cwd.walk(name).is_ok_and(|walked| walked.path.is_system());
    // Behind the program, and behind `env` and what is for it.
    let behind = if command.arguments[0] == *program { 1 } else { 4 };
    for token in job.reading.parse(&command.arguments[behind..]) {
        match (&token, token.path()) {
            (_, Some(("-B" | "-L" | "--gcc-toolchain=" | "-fuse-ld=" | "-o" | "-MF", _))) => {}
            (_, Some((flag, _))) if is_output(flag) => {}
            (_, Some((flag, value))) => assert!(!is_system(value), "{flag} {value}"),
            (Token::Operand(name), _) => assert!(!is_system(name), "{name}"),
            _ => {}
        }
    }
}

/// The same compile one directory further down, where it may run anywhere and all is named from its
/// directory: everybody's result.
fn moved(request: &ExecReq, planned: &Planned) -> Option<ExecReq> {
    let Planned { job, layout, .. } = planned;
    // What leads from the cwd to system files does so from no other.
    let stays = |name: &str| match name.starts_with('/') {
        true => AbsPath::parse(name).is_ok_and(|path| path.is_system()),
        false => job.cwd.walk(name).is_ok_and(|walked| !walked.path.is_system()),
    };
    let specs = request.toolchain_specs.iter().filter_map(|spec| spec.path.as_deref());
    let mut names = request
        .input
        .iter()
        .filter_map(|input| input.filename.as_deref())
        .chain(request.expected_output_files.iter().map(String::as_str))
        .chain(specs.filter(|_| job.toolchain.is_some()))
        .chain([job.compiler.path.as_str()])
        .chain(job.tokens.iter().filter_map(|token| token.path().map(|(_, value)| value)));
    let moves = !layout.fixed && job.windows.is_none() && names.all(stays);
    // Links lead where they lead.
    let moves = moves && !request.toolchain_specs.iter().any(|spec| spec.symlink_path.is_some());
    let down = |path: &AbsPath| format!("/w{}", path.as_str());
    moves.then(|| {
        let mut moved = request.clone();
        moved.cwd = Some(down(&job.cwd));
        // One that asks for `/` asks for nothing.
        let asked = job.exec_root.as_ref().filter(|asked| **asked != AbsPath::root());
        if let (Some(asked), Some(who)) = (asked, &mut moved.requester_info) {
            who.exec_root = Some(down(asked));
        }
        moved
    })
}
