//! Which functions are a stage of a compile, and what they and all that they call cost.

use std::collections::BTreeMap;
use std::process::Command;

use tempfile::NamedTempFile;

use crate::count;

/// Stages and the functions that do them, as they begin in a profile.
const STAGES: [(&str, &str); 8] = [
    ("inflate", "goma_gateway::http::encoding::inflate"),
    ("weigh", "goma_gateway::http::weight::weight"),
    ("decode", "<goma_proto::api::ExecReq as prost::message::Message>::merge_field"),
    ("job", "goma_gateway::exec::job::Job::parse"),
    ("inputs", "goma_gateway::exec::inputs::gather"),
    ("action", "goma_gateway::exec::action::Plan::new"),
    ("outputs", "goma_gateway::exec::outputs::collect"),
    ("answer", "goma_gateway::http::respond::message"),
];

/// Instructions of each stage in a run of this program; of those that the compiler left as functions.
pub(crate) fn counted(task: &str) -> BTreeMap<&'static str, u64> {
    let profile = NamedTempFile::new().expect("a file");
    count(task, profile.path());
    let annotated = Command::new("callgrind_annotate")
        .args(["--inclusive=yes", "--threshold=100", "--auto=no"])
        .arg(profile.path())
        .output()
        .expect("it comes with valgrind");
    let text = String::from_utf8_lossy(&annotated.stdout);
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let Some((count, function)) = parse(line) else { continue };
        for (stage, name) in STAGES {
            if function.starts_with(name) {
                // The outermost of its parts has called the others.
                let most = counts.entry(stage).or_insert(0);
                *most = count.max(*most);
            }
        }
    }
    counts
}

/// What more requests cost than few, each, in the order of the stages.
pub(crate) fn between(
    few: &BTreeMap<&'static str, u64>,
    more: &BTreeMap<&'static str, u64>,
    requests: u64,
) -> Vec<(&'static str, u64)> {
    let each = |stage| Some(more.get(stage)?.saturating_sub(*few.get(stage)?) / requests);
    STAGES.iter().filter_map(|(stage, _)| Some((*stage, each(stage)?))).collect()
}

/// A line as `1,234,567 (12.34%)  file.rs:function [program]`.
fn parse(line: &str) -> Option<(u64, &str)> {
    let (count, rest) = line.trim_start().split_once(' ')?;
    let count = count.replace(',', "").parse().ok()?;
    let (_, place) = rest.split_once(")  ")?;
    let (_, function) = place.trim_start().split_once(':')?;
    Some((count, function))
}
