//! What survives the end of a backend, however it came.

use std::path::Path;

use goma_common::Digest;
use goma_standalone::backend::{Backend, Config, OpenError};

use crate::action::{Action, execute};
use crate::farm::Farm;

#[tokio::test]
async fn blobs_and_results_survive_a_restart() {
    let farm = Farm::start().await;
    let digest = farm.put(b"lasting").await;
    let action = Action::shell("echo x > out").output("out").upload(&farm).await;
    execute(&farm, action, false).await;
    let farm = farm.restart(|_| {}).await;
    assert_eq!(farm.get(digest).await, b"lasting");
    let cached = farm.cached(action).await.expect("cached");
    assert_eq!(cached.output_files[0].path, "out");
}

#[tokio::test]
async fn the_order_of_use_survives_a_restart() {
    let farm = Farm::start().await;
    let blobs: Vec<_> = (0..3).map(|seed| vec![seed; 1 << 20]).collect();
    let mut digests = Vec::new();
    for blob in &blobs {
        digests.push(farm.put(blob).await);
    }
    farm.get(digests[0]).await;
    let farm = farm.restart(|config| config.max_bytes = 2 << 20).await;
    assert_eq!(farm.missing(&digests).await, [digests[1]], "a smaller bound holds from the start");
}

#[tokio::test]
async fn what_a_killed_backend_left_half_done_is_gone() {
    let farm = Farm::start().await;
    let whole = farm.put(b"whole").await;
    let cut = farm.put(b"will be cut").await;
    let dir = farm.data_dir();
    let blob = |digest: Digest| {
        dir.join("blobs").join(&digest.hex()[..2]).join(format!("{}-{}", digest.hex(), digest.size))
    };
    let cut_path = blob(cut);
    let leave = move |dir: &Path| {
        std::fs::write(dir.join("tmp/0"), "half").expect("a file");
        std::fs::create_dir_all(dir.join("runs/0/root/deep")).expect("directories");
        std::fs::remove_file(&cut_path).expect("removed");
        std::fs::write(&cut_path, "will").expect("a file");
        std::fs::create_dir_all(dir.join("blobs/00")).expect("a directory");
        std::fs::write(dir.join("blobs/00/not-a-blob"), "?").expect("a file");
    };
    // Between the old one's end and the new one's start.
    let farm = farm.restart(|config| leave(&config.data_dir)).await;
    assert_eq!(farm.missing(&[whole, cut]).await, [cut]);
    for dir in ["tmp", "runs", "blobs/00"] {
        let left = std::fs::read_dir(farm.data_dir().join(dir)).expect(dir).count();
        assert_eq!(left, 0, "{dir}");
    }
}

#[tokio::test]
async fn two_backends_never_share_a_directory() {
    let farm = Farm::start().await;
    let second = Backend::open(Config::new(farm.data_dir())).await;
    let error = second.err().expect("refused");
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    assert!(error.to_string().contains("in use"), "{error}");
}

#[tokio::test]
async fn a_blob_that_somebody_deleted_is_missing_and_can_come_again() {
    let farm = Farm::start().await;
    let digest = farm.put(b"deleted").await;
    for shard in std::fs::read_dir(farm.data_dir().join("blobs")).expect("blobs") {
        let path = shard.expect("an entry").path();
        for file in std::fs::read_dir(&path).expect("a directory") {
            let path = file.expect("an entry").path();
            if path.to_string_lossy().contains(&digest.hex()) {
                std::fs::remove_file(path).expect("removed");
            }
        }
    }
    assert!(farm.read(digest, 0, 0).await.is_err());
    assert_eq!(farm.missing(&[digest]).await, [digest]);
    farm.put(b"deleted").await;
    assert_eq!(farm.get(digest).await, b"deleted");
}
