//! Instructions per cached Exec, beside the floor, as callgrind counts them.
//!
//! It runs itself under valgrind, with few requests and with more: the difference is the requests'
//! alone, on all threads. [`support`] says what is in `exec` and `floor`.
//!
//! Valgrind's processor has no SHA instructions, so hashing weighs several times what it does on a
//! machine of today, in both columns. `just bench` prints times.

mod support;

use std::process::Command;

use support::{Fixture, SIZES};

/// Tells the program that runs under valgrind what to do: kind, inputs, requests.
const TASK: &str = "GOMA_BENCH_TASK";
/// The first requests warm caches up, and are subtracted.
const WARM: u64 = 10;
const MEASURED: u64 = 40;

fn main() {
    if let Ok(task) = std::env::var(TASK) {
        return run(&task);
    }
    println!("{:>6}  {:>12}  {:>12}  {:>5}", "inputs", "exec", "floor", "ratio");
    for inputs in SIZES {
        let (exec, floor) = (per_request("exec", inputs), per_request("floor", inputs));
        println!("{inputs:>6}  {exec:>12}  {floor:>12}  {:>5.2}", exec as f64 / floor as f64);
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
    let [few, more] = [WARM, WARM + MEASURED].map(|n| count(&format!("{kind} {inputs} {n}")));
    more.saturating_sub(few) / MEASURED
}

/// Instructions of a whole run of this program.
fn count(task: &str) -> u64 {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
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
