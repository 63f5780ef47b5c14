//! May the worker's own system files stand in for the client's? Only where they are the same bytes.

use std::collections::{BTreeSet, HashSet};

use goma_common::{Code, Deadline};

use super::Exec;
use super::execute;
use super::inputs::Inputs;
use super::job::Job;
use super::toolchain::Toolchain;
use crate::command::{self, Meaning, Token};
use crate::paths::AbsPath;
use crate::refusal::{Refusal, impossible};
use crate::worker::{Properties, Sha256};

/// What a worker must have under a path for its own files to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A file of the compiler with this hash. No other way leads to a right result.
    Compiler(Sha256),
    /// A header with this hash; else the client's is sent.
    Header(Sha256),
    /// Nothing: a file there would be found before the client's own.
    Nothing,
}

/// What is expected of the worker for this job. Pure.
pub(super) fn expectations(
    job: &Job,
    inputs: &Inputs<'_>,
    toolchain: &Toolchain,
) -> Vec<(String, Expected)> {
    let compiler = toolchain.system.iter();
    let mut expected: Vec<_> =
        compiler.map(|(path, hash)| (path.clone(), Expected::Compiler(*hash))).collect();
    let headers: Vec<_> = inputs.files.iter().filter(|(input, _)| input.path.is_system()).collect();
    let read: HashSet<&str> = headers.iter().map(|(input, _)| input.path.as_str()).collect();
    let dirs = searched(job);
    let mut nothing = BTreeSet::new();
    for (input, digest) in headers {
        expected.push((input.path.as_str().to_owned(), Expected::Header(digest.hash)));
        for (at, dir) in dirs.iter().enumerate() {
            let Some(rest) = input.path.below(dir).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            let before = dirs[..at].iter().filter(|dir| !is_passed_over(dir, rest, &read));
            let before = before.map(|dir| format!("{}/{rest}", dir.as_str().trim_end_matches('/')));
            nothing.extend(before.filter(|path| !read.contains(path.as_str())));
        }
    }
    expected.extend(nothing.into_iter().map(|path| (path, Expected::Nothing)));
    expected
}

/// Directories that are searched for headers. Those of the largest projects are some hundred.
const MAX_SEARCHED: usize = 4096;
/// Paths where nothing may be on a worker: a few directories for each of some thousand headers.
const MAX_NOTHING: usize = 200_000;

/// Says so where a worker would have to be asked about more paths than that.
///
/// # Errors
/// [`Refusal::Impossible`] with the numbers.
pub(super) fn within_bounds(job: &Job) -> Result<(), Refusal> {
    let headers = job.inputs.iter().filter(|input| input.path.is_system()).count();
    let builtin = job.compiler.system_include.len();
    // No directory is named by less: most compiles are far below.
    let named = job.tokens.iter().map(|token| match token {
        Token::Operand(_) => 0,
        Token::Unknown(list) | Token::Flag { flag: list, meaning: Meaning::HandedOn, .. } => {
            list.len() / 2
        }
        Token::Flag { .. } => 1,
    });
    let lists = job.env.iter().filter(|(name, _)| command::is_list(name));
    let listed = lists.map(|(_, list)| list.len() / 2);
    let most: usize = builtin + named.chain(listed).sum::<usize>();
    if most <= MAX_SEARCHED && most.saturating_mul(headers) <= MAX_NOTHING {
        return Ok(());
    }
    let dirs = include_dirs(job);
    if dirs.len() > MAX_SEARCHED {
        return impossible(format!(
            "{} directories are searched for headers; {MAX_SEARCHED} at most",
            dirs.len()
        ));
    }
    let dirs = searched(job).len();
    if dirs.saturating_mul(headers) > MAX_NOTHING {
        return impossible(format!(
            "{headers} system headers in {dirs} directories are more than can be compared with a worker's"
        ));
    }
    Ok(())
}

/// The system directories among those that are searched for headers, in order. The others are in
/// the input root, where nothing is but the client's.
fn searched(job: &Job) -> Vec<AbsPath> {
    include_dirs(job)
        .iter()
        .filter_map(|dir| job.cwd.walk(dir).ok().map(|walked| walked.path))
        .filter(AbsPath::is_system)
        .collect()
}

fn include_dirs(job: &Job) -> Vec<String> {
    let builtin: Vec<String> =
        job.compiler.system_include.iter().map(|dir| dir.as_str().to_owned()).collect();
    command::include_dirs(job.reading.table(), &job.tokens, &job.env, &builtin)
}

/// Two headers of libstdc++ take the C library's by `#include_next` without reading their own
/// wrapper of it. The wrappers are of the same package and release as they.
fn is_passed_over(dir: &AbsPath, rest: &str, read: &HashSet<&str>) -> bool {
    let takers: &[&str] = match rest {
        "math.h" => &["cmath"],
        "stdlib.h" => &["cstdlib", "bits/std_abs.h"],
        _ => return false,
    };
    dir.as_str().contains("/c++/")
        && takers.iter().any(|taker| read.contains(format!("{dir}/{taker}").as_str()))
}

/// Whether the worker has what is expected. A header that differs is a "no"; a compiler that differs
/// is a refusal that names it.
pub(super) async fn verify(
    exec: &Exec,
    properties: &Properties,
    expected: &[(String, Expected)],
    deadline: Deadline,
) -> Result<bool, Refusal> {
    let paths: Vec<String> = expected.iter().map(|(path, _)| path.clone()).collect();
    if paths.is_empty() {
        return Ok(true);
    }
    let hashes = match exec.worker.hashes(properties, &paths, deadline).await {
        Err(error) if error.code == Code::Unimplemented => return impossible(error.message),
        hashes => hashes.map_err(execute::refused)?,
    };
    let mut agrees = true;
    for ((path, expected), found) in expected.iter().zip(hashes) {
        match (expected, found) {
            (Expected::Compiler(hash), Some(found)) if *hash == found => {}
            (Expected::Compiler(hash), found) => return impossible(differs(path, hash, found)),
            (Expected::Header(hash), Some(found)) if *hash == found => {}
            (Expected::Nothing, None) => {}
            (_, found) => {
                if agrees {
                    tracing::info!(
                        path,
                        on_worker = found.is_some(),
                        "the worker's header is another: sending the client's"
                    );
                }
                agrees = false;
            }
        }
    }
    Ok(agrees)
}

fn differs(path: &str, hash: &Sha256, found: Option<Sha256>) -> String {
    let ours = match found {
        Some(found) => format!("the worker's has SHA-256 {}", hex::encode(found)),
        None => "the worker has none".to_owned(),
    };
    format!(
        "the client's compiler {path} has SHA-256 {}, {ours}: install the same package on the \
         workers, or name an image that has it",
        hex::encode(hash)
    )
}

#[cfg(test)]
mod tests {
    use goma_common::Digest;

    use super::super::testing;
    use super::*;
    use crate::command::Flags;
    use crate::identity::Caller;

    const CXX: &str = "/usr/include/c++/12";

    /// Where nothing is to be on the worker.
    fn nothing(line: &str, env: &str, builtin: &[&str], inputs: &[&str]) -> Vec<String> {
        let mut request = testing::request(line, inputs);
        request.env = vec![env.to_owned()];
        request.command_spec.get_or_insert_default().system_include_path =
            builtin.iter().map(|dir| (*dir).to_owned()).collect();
        let job = Job::parse(request.into(), &Caller::default(), &Flags::default()).expect("a job");
        let files = job.inputs.iter().map(|input| (input, Digest::EMPTY)).collect();
        let toolchain = Toolchain::default();
        let expected = expectations(&job, &Inputs { files }, &toolchain);
        let nothing = expected.into_iter().filter(|(_, expected)| *expected == Expected::Nothing);
        nothing.map(|(path, _)| path).collect()
    }

    #[test]
    fn nothing_may_be_found_before_the_clients_header_in_any_directory() {
        let builtin = ["/usr/gcc", "/usr/include"];
        let inputs = ["a.c", "/usr/gcc/other.h", "/usr/include/sys/a.h"];
        assert_eq!(nothing("gcc -c a.c", "X=", &builtin, &inputs), ["/usr/gcc/sys/a.h"]);
        assert_eq!(
            nothing("gcc -Iinc -I/usr/i -isystem /usr/s -c a.c", "CPATH=/usr/e:", &[], &[]),
            [""; 0]
        );
        let all = "gcc -I/usr/i -isystem /usr/s -iquote /usr/q -idirafter /usr/a -c a.c";
        assert_eq!(
            nothing(all, "CPATH=:/usr/e", &["/usr/include"], &["/usr/include/x.h"]),
            ["/usr/e/x.h", "/usr/i/x.h", "/usr/q/x.h", "/usr/s/x.h"]
        );
        assert_eq!(
            nothing("gcc -idirafter /usr/a -c a.c", "X=", &["/usr/include"], &["/usr/a/x.h"]),
            ["/usr/include/x.h"]
        );
    }

    #[test]
    fn too_much_to_ask_a_worker_is_refused_with_the_numbers() {
        let many = |flag: &str, count: usize| {
            let dirs: Vec<String> = (0..count).map(|at| format!("{flag}/usr/d{at}")).collect();
            format!("gcc {} -c a.c", dirs.join(" "))
        };
        let headers: Vec<String> = (0..300).map(|at| format!("/usr/include/{at}.h")).collect();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let parse = |line: &str, inputs: &[&str]| {
            Job::parse(testing::request(line, inputs).into(), &Caller::default(), &Flags::default())
        };
        for (line, inputs, words) in [
            (many("-I", 5000), &[][..], "5001 directories"),
            (many("-isystem", 1000), &headers, "300 system headers in 1001 directories"),
            (many("-unheard", 5000), &headers, "5001 directories"),
        ] {
            match parse(&line, inputs) {
                Ok(_) => assert_eq!(words, "", "{}", &line[..40.min(line.len())]),
                Err(Refusal::Impossible(why)) => {
                    assert!(why.contains(words) && !words.is_empty(), "{why}")
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        let same = format!("gcc {}-c a.c", "-isystem /usr/include ".repeat(45_000));
        let job = parse(&same, &headers).expect("a job");
        assert_eq!(searched(&job).len(), 1);
    }

    #[test]
    fn a_wrapper_that_the_client_read_may_be_there() {
        let read = ["/usr/gcc/limits.h", "/usr/include/limits.h"];
        assert_eq!(nothing("gcc -c a.c", "X=", &["/usr/gcc", "/usr/include"], &read), [""; 0]);
    }

    #[test]
    fn a_wrapper_that_libstdcxx_passes_over_may_be_there_with_what_passes_it_over() {
        let wrapper = format!("{CXX}/math.h");
        let cmath = format!("{CXX}/cmath");
        let builtin = [CXX, "/usr/include"];
        let is_banned =
            |read: &[&str]| nothing("g++ -c a.cc", "X=", &builtin, read).contains(&wrapper);
        assert!(is_banned(&["/usr/include/math.h"]));
        assert!(!is_banned(&["/usr/include/math.h", cmath.as_str()]));
    }
}
