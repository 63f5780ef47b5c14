//! Eviction under pressure: nobody's blobs are torn away while they are in use.

use goma_common::Digest;
use goma_proto::bytestream::ReadRequest;
use goma_standalone::backend::SandboxMode;
use tonic::Code;

use crate::action::{Action, request, response, result, stage};
use crate::farm::Farm;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn the_inputs_of_a_running_action_stay_and_the_rest_makes_room() {
    let farm = Farm::with(|config| {
        config.sandbox = SandboxMode::Off;
        config.max_bytes = 4 << 20;
    })
    .await;
    let gate = farm.data_dir().join("gate");
    let input = "x".repeat(3 * MIB / 2);
    let script = format!("until test -e {}; do sleep 0.01; done; cp in out", gate.display());
    let action = Action::shell(&script).input("in", &input).output("out").upload(&farm).await;
    let mut stream = farm.execution().execute(request(action, true)).await.expect("a stream");
    let stream = stream.get_mut();
    // The command waits, so its inputs are staged and held once it runs; the gate opens later.
    while stage(&stream.message().await.expect("a message").expect("one more")) != 3 {}
    let runs = || std::fs::read_dir(farm.data_dir().join("runs")).expect("runs");
    while !runs().any(|run| run.expect("a run").path().join("root/in").exists()) {
        tokio::task::yield_now().await;
    }
    for seed in 0..6 {
        farm.put(&vec![seed; MIB]).await;
    }
    let input = Digest::of(input.as_bytes());
    assert!(farm.missing(&[input]).await.is_empty(), "held by the action");
    let huge = vec![9; 3 * MIB];
    let refused = farm.write("", Digest::of(&huge), &huge, MIB).await.expect_err("no room");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    std::fs::write(&gate, "").expect("a file");
    let done = stream.message().await.expect("a message").expect("the end");
    assert_eq!(result(&response(&done)).output_files.len(), 1);
    let free = vec![8; 3 * MIB];
    while farm.write("", Digest::of(&free), &free, MIB).await.is_err() {
        // The inputs are given back a moment after the answer.
        tokio::task::yield_now().await;
    }
    assert_eq!(farm.missing(&[input]).await, [input], "and then it goes as any other");
}

#[tokio::test]
async fn a_read_under_way_ends_well_though_its_blob_is_evicted() {
    let farm = Farm::with(|config| config.max_bytes = 20 << 20).await;
    let blob: Vec<u8> = (0..16 * MIB).map(|index| (index / 1000) as u8).collect();
    let digest = Digest::of(&blob);
    farm.write("", digest, &blob, MIB).await.expect("written");
    let resource_name = format!("blobs/{digest}");
    let request = ReadRequest { resource_name, ..Default::default() };
    let mut pieces = farm.bytes().read(request).await.expect("a stream").into_inner();
    let mut read = pieces.message().await.expect("a piece").expect("one").data;
    farm.put(&vec![1; 3 * MIB]).await;
    farm.put(&vec![2; 3 * MIB]).await;
    assert_eq!(farm.missing(&[digest]).await, [digest]);
    while let Some(piece) = pieces.message().await.expect("a piece") {
        read.extend(piece.data);
    }
    assert!(read == blob);
}

#[tokio::test]
async fn many_at_once_keep_the_bound_and_each_other_whole() {
    let farm = Farm::with(|config| config.max_bytes = 1 << 20).await;
    let write = |seed: u32| {
        let farm = &farm;
        async move {
            let blob = seed.to_le_bytes().repeat(5000);
            let digest = farm.put(&blob).await;
            // It may be gone already, but never wrong.
            match farm.read(digest, 0, 0).await {
                Ok(read) => assert!(read == blob),
                Err(error) => assert_eq!(error.code(), Code::NotFound),
            }
        }
    };
    futures::future::join_all((0..300).map(|seed| write(seed % 200))).await;
    let mut total = 0;
    for shard in std::fs::read_dir(farm.data_dir().join("blobs")).expect("blobs") {
        for file in std::fs::read_dir(shard.expect("a shard").path()).expect("files") {
            total += file.expect("a file").metadata().expect("metadata").len();
        }
    }
    assert!(total <= 1 << 20, "{total} bytes");
    assert!(total > 1 << 19, "{total} bytes");
}
