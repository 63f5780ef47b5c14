//! Whether an exit status is the compiler's word on the source, or a worker's on itself. Pure.
//!
//! A compiler that finds an error exits with a small number. What starts compilers for others (shells,
//! `env`, `timeout`, containers) has the numbers from 124 on; a process that a signal ended is 128 and
//! the signal, or its negative.

/// By `timeout`, of coreutils.
const OUT_OF_TIME: i32 = 124;
/// By `env` and containers: they could not do their own part.
const NOT_BEGUN: i32 = 125;
/// By shells, `env` and containers: there, but no program.
const NO_PROGRAM: i32 = 126;
/// By the same: not there.
const NOT_FOUND: i32 = 127;
/// The largest that a signal makes: 128 and 64 of them.
const LAST_SIGNAL: i32 = 192;
const SIGKILL: i32 = 9;
/// How `env` begins what it says of itself; no compiler does.
const ENV: [&[u8]; 2] = [b"env: ", b"/usr/bin/env: "];

/// Why the client should compile by itself what ended so on a worker; `None` where the status is the
/// compiler's own.
pub(super) fn of_the_worker(program: &str, exit_status: i32, stderr: &[u8]) -> Option<String> {
    // One that does not know our flags has a number of its own for that.
    let begun = exit_status == 0 || !ENV.iter().any(|env| stderr.starts_with(env));
    let why = match exit_status {
        _ if !begun => not_begun(),
        OUT_OF_TIME => format!("the worker gave {program} too little time"),
        NOT_BEGUN => not_begun(),
        NO_PROGRAM => format!("the worker cannot run {program}"),
        NOT_FOUND => format!("the worker has no {program}"),
        129..=LAST_SIGNAL => of_signal(program, exit_status - 128),
        -64..=-1 => of_signal(program, -exit_status),
        _ => return None,
    };
    let told = String::from_utf8_lossy(stderr);
    let last = told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no word of it");
    let last: String = last.chars().take(300).collect();
    Some(format!("{why} (exit status {exit_status}): {last}"))
}

fn not_begun() -> String {
    "the worker could not begin the compile: for absolute paths it needs /proc and coreutils 8.28, else \
     the server --absolute-paths refuse"
        .to_owned()
}

fn of_signal(program: &str, signal: i32) -> String {
    match signal {
        SIGKILL => format!("{program} was killed on the worker, which may lack memory"),
        _ => format!("signal {signal} ended {program} on the worker"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compiler_says_of_a_source_is_no_failure_of_the_worker() {
        for status in [0, 1, 2, 4, 70, 123, 128, 193, 254, 255] {
            assert_eq!(of_the_worker("gcc", status, b"a.c:1: error"), None, "{status}");
        }
    }

    #[test]
    fn an_env_that_does_not_know_a_flag_is_no_compiler() {
        let why = of_the_worker("gcc", 1, b"env: unrecognized option: chdir=/proc/self/cwd\n");
        assert!(why.is_some_and(|why| why.contains("coreutils 8.28")));
        assert_eq!(of_the_worker("gcc", 0, b"env: a warning"), None);
    }

    #[test]
    fn a_worker_that_could_not_is_told_in_its_own_words() {
        for (status, words) in [
            (124, "too little time"),
            (125, "/proc"),
            (126, "cannot run gcc"),
            (127, "has no gcc"),
            (137, "lack memory"),
            (-9, "lack memory"),
            (139, "signal 11"),
        ] {
            let why = of_the_worker("gcc", status, b"one\nsh: 1: two\n\n").expect("its failure");
            assert!(why.contains(words) && why.ends_with("sh: 1: two"), "{why}");
        }
    }
}
