//! A C++ compile as the stock client sends it, and its result: names, order and fields after
//! recorded requests, half of the inputs being system headers, all of them known by key alone.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use goma_common::{Digest, FileKey};
use goma_proto::api::{CommandSpec, ExecReq, RequesterInfo, ToolchainSpec, exec_req};
use goma_proto::reapi::{ActionResult, ExecutedActionMetadata, OutputFile};
use prost::Message;

/// Directories of system headers, in the order in which more inputs reach them.
const SYSTEM: [&str; 10] = [
    "/usr/include",
    "/usr/include/c++/12/bits",
    "/usr/include/c++/12",
    "/usr/include/x86_64-linux-gnu/bits",
    "/usr/include/x86_64-linux-gnu/bits/types",
    "/usr/include/c++/12/ext",
    "/usr/include/x86_64-linux-gnu/c++/12/bits",
    "/usr/include/c++/12/debug",
    "/usr/include/x86_64-linux-gnu/sys",
    "/usr/include/linux",
];
/// The user's.
const USER: [&str; 20] = [
    "./db",
    "include/rocksdb",
    "./util",
    "./db/blob",
    "./table",
    "./file",
    "./monitoring",
    "./options",
    "./db/compaction",
    "./port",
    "./memory",
    "./logging",
    "./cache",
    "./env",
    "./table/block_based",
    "./trace_replay",
    "./db/db_impl",
    "include/rocksdb/utilities",
    "./memtable",
    "./db/wide",
];
const WORDS: [&str; 16] = [
    "block",
    "cache",
    "iterator",
    "table",
    "options",
    "merge",
    "compaction",
    "filter",
    "reader",
    "writer",
    "version",
    "status",
    "range",
    "tombstone",
    "snapshot",
    "statistics",
];
const COMPILER: &str = "/usr/bin/x86_64-linux-gnu-g++-12";
const OUTPUT: &str = "obj/db_db_iter.o";
/// What the recorded answers hold in the median.
const OUTPUT_SIZE: usize = 37_000;

/// An input that the cluster knows.
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) key: FileKey,
    pub(crate) digest: Digest,
}

/// A compile with so many inputs.
pub(crate) struct Compile {
    pub(crate) inputs: Vec<Input>,
}

impl Compile {
    /// Five directories for the smallest, thirty for the largest.
    pub(crate) fn with_inputs(count: usize) -> Self {
        let system = &SYSTEM[..(count / 50).clamp(2, SYSTEM.len())];
        let user = &USER[..(count / 30).clamp(3, USER.len())];
        let inputs = (0..count).map(|n| {
            let dirs = if n % 2 == 0 { user } else { system };
            let (first, second) = (WORDS[n % 16], WORDS[n / 16 % 16]);
            let name = format!("{}/{first}_{second}_{n}.h", dirs[n / 2 % dirs.len()]);
            let contents = name.as_bytes();
            Input { key: FileKey::of_file(contents), digest: Digest::of(contents), name }
        });
        let mut inputs: Vec<Input> = inputs.collect();
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        Self { inputs }
    }

    /// The compiler's own files that the worker must have, with their hashes.
    pub(crate) fn toolchain(&self) -> impl Iterator<Item = (String, [u8; 32])> {
        ["/usr/bin/g++", "/usr/bin/g++-12", COMPILER]
            .map(|path| (path.to_owned(), compiler().hash))
            .into_iter()
    }

    /// The request's body, as sent.
    pub(crate) fn body(&self) -> Bytes {
        let inputs = self.inputs.iter().map(|input| exec_req::Input {
            filename: Some(input.name.clone()),
            hash_key: Some(input.key.hex()),
            content: None,
        });
        let args = "g++ -std=c++17 -fno-rtti -fPIC -DNDEBUG -DOS_LINUX -DROCKSDB_PLATFORM_POSIX \
                    -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT \
                    -DROCKSDB_SUPPORT_THREAD_LOCAL -I. -Iinclude -O2 -Wall -Wextra \
                    -Wno-unused-parameter -c db/db_iter.cc -o";
        let args = args.split_whitespace().chain([OUTPUT]).map(ToOwned::to_owned);
        let request = ExecReq {
            command_spec: Some(command_spec()),
            arg: args.collect(),
            env: vec!["PWD=/home/user/src/rocksdb".to_owned()],
            cwd: Some("/home/user/src/rocksdb".to_owned()),
            input: inputs.collect(),
            requester_info: Some(RequesterInfo {
                username: Some("user".to_owned()),
                compiler_proxy_id: Some("user@machine:8088/2026-01-02T03:04:05/71".to_owned()),
                goma_revision: Some("b0064de5f02694595792f4f38b5ec2ae81cf589d".to_owned()),
                path_style: Some(1),
                dimensions: vec!["os:linux".to_owned()],
                ..Default::default()
            }),
            expected_output_files: vec![OUTPUT.to_owned()],
            toolchain_included: Some(true),
            toolchain_specs: vec![
                link("/usr/bin/g++", "g++-12"),
                link("/usr/bin/g++-12", "x86_64-linux-gnu-g++-12"),
                ToolchainSpec {
                    path: Some(COMPILER.to_owned()),
                    hash: Some(compiler().hex()),
                    size: Some(compiler().size as i64),
                    is_executable: Some(true),
                    symlink_path: None,
                },
            ],
            ..Default::default()
        };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&request.encode_to_vec()).expect("memory");
        encoder.finish().expect("memory").into()
    }

    /// What the action cache holds, the output inlined.
    pub(crate) fn result(&self) -> ActionResult {
        let contents = object_file();
        ActionResult {
            output_files: vec![OutputFile {
                path: OUTPUT.to_owned(),
                digest: Some(Digest::of(&contents).into()),
                contents,
                ..Default::default()
            }],
            execution_metadata: Some(ExecutedActionMetadata {
                worker: "worker-1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

fn compiler() -> Digest {
    Digest::of(b"the compiler")
}

fn command_spec() -> CommandSpec {
    let include = ["c++/12", "x86_64-linux-gnu/c++/12", "c++/12/backward", "x86_64-linux-gnu", ""];
    let include = include.map(|dir| format!("/usr/include/{dir}").trim_end_matches('/').to_owned());
    CommandSpec {
        name: Some("g++".to_owned()),
        version: Some("12[(Debian 12.2.0-14+deb12u1) 12.2.0]".to_owned()),
        target: Some("x86_64-linux-gnu".to_owned()),
        binary_hash: Some(compiler().hex().into()),
        local_compiler_path: Some("/usr/bin/g++".to_owned()),
        cxx_system_include_path: include.into(),
        ..Default::default()
    }
}

fn link(path: &str, target: &str) -> ToolchainSpec {
    ToolchainSpec {
        path: Some(path.to_owned()),
        symlink_path: Some(target.to_owned()),
        ..Default::default()
    }
}

/// Code, relocations and mangled names, which shrink to about a third as real ones do.
fn object_file() -> Vec<u8> {
    const CODE: [&[u8]; 8] = [
        b"\x48\x89\xe5",
        b"\x48\x8b\x45",
        b"\xe8\0\0\0\0",
        b"\x48\x83\xec\x10",
        b"\x89\xc7\x0f\x1f",
        b"\x0f\x84",
        b"\xc9\xc3\x90",
        b"\x48\x8d\x3d\0\0\0\0",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 40).expect("24 bits")
    };
    let mut object = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0".to_vec();
    object.resize(64, 0);
    while object.len() < OUTPUT_SIZE * 5 / 10 {
        object.extend_from_slice(CODE[random() % 8]);
        object.push(random() as u8);
    }
    while object.len() < OUTPUT_SIZE * 7 / 10 {
        let offset = object.len() as u64 / 2;
        object.extend_from_slice(&offset.to_le_bytes());
        object.extend_from_slice(&[4, 0, 0, 0, random() as u8, 0, 0, 0]);
        object.extend_from_slice(&(-4_i64).to_le_bytes());
    }
    while object.len() < OUTPUT_SIZE {
        let (class, method) = (WORDS[random() % 16], WORDS[random() % 16]);
        object.extend_from_slice(format!("_ZN7rocksdb{}{class}", class.len()).as_bytes());
        object.extend_from_slice(format!("{}{method}Ev\0", method.len()).as_bytes());
    }
    object.truncate(OUTPUT_SIZE);
    object
}
