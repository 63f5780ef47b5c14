//! Contents that are not what their names say, or not all there.

use goma_proto::api::FileBlob;
use goma_proto::api::file_blob::BlobType;

use crate::Bench;
use crate::support::goma::{CHUNK, chunks, file, key, manifest, unknown_key};
use crate::support::requests::{gcc, object, refusal, with, with_input, with_key};

const CWD: &str = "/home/a/src";

#[tokio::test]
async fn a_wrong_hash_for_an_inline_file_is_refused_and_nothing_learnt_from_it() {
    let bench = Bench::start().await;
    let (claimed, sent) = (file(b"int good;\n"), file(b"int evil;\n"));
    let neighbour = file(b"int neighbour;\n");
    let request = with(gcc(CWD, "a.c"), "good.h", &neighbour);
    let request = with_input(request, "a.c", &key(&claimed), Some(&sent));
    let why = refusal(&bench.goma.exec(&request).await);
    assert!(why.contains("\"a.c\"") && why.contains("hash_key"), "{why}");
    let log = bench.program.log();
    let line = log.lines().find(|line| line.contains("refused contents")).expect("in the log");
    assert!(line.contains("total=1") && line.contains("from=127.0.0.1"), "{line}");

    // Neither the claim nor, under the claimed name, the contents.
    let asked = with_key(gcc(CWD, "a.c"), "a.c", &key(&claimed));
    assert_eq!(bench.goma.exec(&asked).await.missing_input, ["a.c"]);
    let found = bench.goma.lookup(vec![key(&claimed)]).await;
    assert_eq!(found[0].blob_type(), BlobType::FileUnspecified);
    // What was right in the same request is kept, as the client takes it to be.
    let found = bench.goma.lookup(vec![key(&neighbour)]).await;
    assert_eq!(found, [neighbour]);
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_blob_that_contradicts_itself_is_refused() {
    let bench = Bench::start().await;
    let whole = file(b"int x;\n");
    let bad = [
        FileBlob { file_size: Some(3), ..whole.clone() },
        FileBlob { file_size: Some(-1), ..whole.clone() },
        FileBlob { content: None, ..whole.clone() },
        FileBlob { blob_type: Some(BlobType::FileRef.into()), ..whole.clone() },
        FileBlob { blob_type: None, ..whole.clone() },
        FileBlob { hash_key: vec!["no key".into(); 2], ..manifest(9, &[]) },
        FileBlob { hash_key: vec![unknown_key(1)], ..manifest(9, &[]) },
    ];
    for blob in &bad {
        let request = with(gcc(CWD, "x.c"), "x.c", blob);
        let why = refusal(&bench.goma.exec(&request).await);
        assert!(why.contains("\"x.c\""), "{blob:?}: {why}");
    }
    // StoreFile says so at the blob's place, and takes the others.
    let mut stored = bad.to_vec();
    stored.insert(1, whole.clone());
    let mut expected = vec![String::new(); stored.len()];
    expected[1] = key(&whole);
    assert_eq!(bench.goma.store(stored).await, expected);
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_large_file_without_one_of_its_chunks_is_missing_until_it_comes() {
    let bench = Bench::start().await;
    let source = format!("/*{}*/\nint big;\n", "x".repeat(2 * CHUNK));
    let pieces = chunks(source.as_bytes());
    assert_eq!(pieces.len(), 3);
    bench.goma.store(vec![pieces[0].clone(), pieces[2].clone()]).await;
    let meta = manifest(source.len(), &pieces);
    let answer = bench.goma.exec(&with(gcc(CWD, "big.c"), "big.c", &meta)).await;
    assert_eq!(answer.missing_input, ["big.c"]);

    // One of the right length is another one.
    let mut other = pieces[1].clone();
    other.content = Some(vec![b'y'; CHUNK].into());
    bench.goma.store(vec![other]).await;
    let asked = with_key(gcc(CWD, "big.c"), "big.c", &key(&meta));
    assert_eq!(bench.goma.exec(&asked).await.missing_input, ["big.c"]);

    bench.goma.store(vec![pieces[1].clone()]).await;
    object(&bench.goma.exec(&with(gcc(CWD, "big.c"), "big.c", &meta)).await);
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_large_file_whose_chunks_do_not_add_up_is_no_file() {
    let bench = Bench::start().await;
    let source = format!("/*{}*/\nint big;\n", "x".repeat(CHUNK));
    let pieces = chunks(source.as_bytes());
    bench.goma.store(pieces.clone()).await;
    let swapped = [pieces[1].clone(), pieces[0].clone()];
    let wrong = [
        manifest(source.len() + 1, &pieces),
        manifest(source.len(), &swapped),
        manifest(source.len(), &[pieces[0].clone(), file(b"int big;\n")]),
    ];
    for meta in wrong {
        let answer = bench.goma.exec(&with(gcc(CWD, "big.c"), "big.c", &meta)).await;
        assert_eq!(answer.missing_input, ["big.c"], "{answer:?}");
    }
    object(
        &bench.goma.exec(&with(gcc(CWD, "big.c"), "big.c", &manifest(source.len(), &pieces))).await,
    );
    bench.is_unharmed().await;
}

#[tokio::test]
async fn the_key_of_a_chunk_is_no_input() {
    let bench = Bench::start().await;
    let source = format!("/*{}*/\nint big;\n", "x".repeat(CHUNK));
    let pieces = chunks(source.as_bytes());
    bench.goma.store(pieces.clone()).await;
    let by_key = with_key(gcc(CWD, "part.c"), "part.c", &key(&pieces[1]));
    let embedded = with(gcc(CWD, "part.c"), "part.c", &pieces[1]);
    for request in [by_key, embedded] {
        let why = refusal(&bench.goma.exec(&request).await);
        assert!(why.contains("\"part.c\"") && why.contains("chunk"), "{why}");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn unknown_keys_are_answered_at_their_places() {
    let bench = Bench::start().await;
    let known = file(crate::KEPT);
    let odd = ["", "no key at all", "ABCDEF"].map(ToOwned::to_owned);
    let mut keys = vec![unknown_key(1), key(&known), unknown_key(2), key(&known)];
    keys.extend(odd);
    let found = bench.goma.lookup(keys).await;
    let unknown = |blob: &FileBlob| blob.blob_type() == BlobType::FileUnspecified;
    assert_eq!(
        found.iter().map(unknown).collect::<Vec<_>>(),
        [true, false, true, false, true, true, true]
    );
    assert!(found.iter().filter(|blob| !unknown(blob)).all(|blob| *blob == known));
    bench.is_unharmed().await;
}
