//! Instructions per cached Exec, beside the floor and by stage, as callgrind counts them; and what became
//! slower since they were last written down.
//!
//! It runs itself under valgrind, with few requests and with more: the difference is the requests'
//! alone, on all threads. [`support`] says what is in `exec` and `floor`, [`stages`] which functions are
//! a stage, [`baseline`] compares.
//!
//!     cargo bench -p goma-gateway --bench instructions                       prints
//!     cargo bench -p goma-gateway --bench instructions -- --against FILE     and compares, failing when slower
//!     cargo bench -p goma-gateway --bench instructions -- --write FILE       and writes down
//!
//! Valgrind's processor has no SHA instructions, so hashing weighs several times what it does on a
//! machine of today, in both columns. `just bench` prints times.

mod baseline;
mod stages;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, ExitCode};

use baseline::Baseline;
use support::{Fixture, SIZES};

#[global_allocator]
static ALLOCATOR: goma_common::program::Allocator = goma_common::program::Allocator;

/// Tells the program that runs under valgrind what to do: kind, inputs, requests.
const TASK: &str = "GOMA_BENCH_TASK";
/// The first requests warm caches up, and are subtracted.
const WARM: u64 = 10;
const MEASURED: u64 = 40;
/// Inputs of the compile whose stages are told.
const STAGES_OF: usize = 500;

fn main() -> ExitCode {
    if let Ok(task) = std::env::var(TASK) {
        run(&task);
        return ExitCode::SUCCESS;
    }
    let mut now = Baseline::default();
    println!("{:>6}  {:>12}  {:>12}  {:>5}", "inputs", "exec", "floor", "ratio");
    for inputs in SIZES {
        let (exec, floor) = (per_request("exec", inputs), per_request("floor", inputs));
        println!("{inputs:>6}  {exec:>12}  {floor:>12}  {:>5.2}", exec as f64 / floor as f64);
        now.add(format!("exec-{inputs}"), exec);
        now.add(format!("floor-{inputs}"), floor);
    }
    println!("\nof {STAGES_OF} inputs, with all that is called:");
    let [few, more] =
        [WARM, WARM + MEASURED].map(|n| stages::counted(&format!("exec {STAGES_OF} {n}")));
    for (stage, count) in stages::between(&few, &more, MEASURED) {
        println!("{stage:>10}  {count:>10}");
        now.add(format!("stage-{stage}"), count);
    }
    let args: Vec<String> = std::env::args().collect();
    let file = |flag: &str| {
        let at = args.iter().position(|arg| arg == flag)?;
        Some(Path::new(args.get(at + 1).expect("a file's name")).to_owned())
    };
    if let Some(file) = file("--write") {
        now.write(&file);
    }
    match file("--against") {
        Some(file) if !now.is_as_fast_as(&Baseline::read(&file)) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn run(task: &str) {
    let parts: Vec<&str> = task.split(' ').collect();
    let [kind, inputs, requests] = parts[..] else { panic!("{TASK}: {task:?}") };
    let fixture = Fixture::new(inputs.parse().expect("a number of inputs"));
    for _ in 0..requests.parse::<u64>().expect("a number of requests") {
        match kind {
            "exec" => fixture.exec(),
            _ => fixture.floor(),
        };
    }
}

fn per_request(kind: &str, inputs: usize) -> u64 {
    let [few, more] = [WARM, WARM + MEASURED]
        .map(|n| count(&format!("{kind} {inputs} {n}"), Path::new("/dev/null")));
    more.saturating_sub(few) / MEASURED
}

/// Instructions of a whole run of this program; which functions they were is written to a file.
fn count(task: &str, profile: &Path) -> u64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", profile.display())])
        .arg(program)
        .env(TASK, task)
        .output()
        .expect("valgrind is installed: `just install`");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{task}: {told}");
    let line = told.lines().find_map(|line| line.split_once("Collected :"));
    let (_, collected) = line.expect("callgrind tells its count");
    collected.trim().parse().expect("a number")
}
