//! What a command finds, and that it cannot harm what others will find.

use goma_common::Digest;
use goma_proto::reapi::{self, Directory, FileNode};
use prost::Message as _;
use tonic::Code;

use crate::action::{Action, execute, failure, result, stdout};
use crate::farm::Farm;

#[tokio::test]
async fn the_input_root_is_as_its_directories_say() {
    for farm in [Farm::start().await, Farm::bare().await] {
        let script = "cat a/b/file link; ls -A empty | wc -l; test -x tool && ! test -x a/b/file; \
                      ls -A";
        let action = Action::shell(script)
            .input("a/b/file", "contents\n")
            .program("tool", "#!/bin/sh\n")
            .link("link", "a/b/file")
            .empty_dir("empty");
        let response = action.run(&farm).await;
        assert_eq!(stdout(&response), "contents\ncontents\n0\na\nempty\nlink\ntool\n");
    }
}

#[tokio::test]
async fn executable_inputs_run_also_where_they_are_links() {
    let farm = Farm::start().await;
    let action = Action::new(&["tools/hello"])
        .many_inputs("tools")
        .program("tools/hello", "#!/bin/sh\necho hello; test -x tools/1.h || echo plain");
    assert_eq!(stdout(&action.run(&farm).await), "hello\nplain\n");
}

#[tokio::test]
async fn a_command_that_writes_its_inputs_changes_no_blob() {
    for farm in [Farm::start().await, Farm::bare().await] {
        // One beside the output, where it is a copy; one in a directory that may be linked.
        let script = "for f in near.h far/1.h far/sub/x.h; do \
                        chmod 777 $f; echo evil >> $f; echo evil > $f; rm -f $f; mv $f gone; \
                        chmod 777 far; ln -f near.h far/1.h; mv near.h far/1.h; \
                      done; mv far elsewhere; echo evil > elsewhere/1.h; \
                      chmod 777 elsewhere/1.h; echo done > out";
        let action = Action::shell(script)
            .input("near.h", "// near")
            .input("far/sub/x.h", "// sub")
            .many_inputs("far")
            .output("out");
        let response = action.run(&farm).await;
        assert_eq!(result(&response).output_files.len(), 1, "it ran to its end");
        for contents in ["// near", "// sub", "// 1"] {
            let digest = Digest::of(contents.as_bytes());
            assert_eq!(farm.get(digest).await, contents.as_bytes());
        }
        let script = "cat near.h far/1.h far/sub/x.h; stat -c %a far/1.h far/sub/x.h";
        let again = Action::shell(script)
            .input("near.h", "// near")
            .input("far/sub/x.h", "// sub")
            .many_inputs("far");
        let text = stdout(&again.run(&farm).await);
        assert!(text.starts_with("// near// 1// sub"), "{text}");
        assert!(!text.contains("777"), "{text}");
    }
}

#[tokio::test]
async fn outputs_may_be_written_beside_inputs_and_over_them() {
    let farm = Farm::start().await;
    let action = Action::shell("echo new > dir/1.h; echo more > dir/deep/er/out")
        .many_inputs("dir")
        .output("dir/1.h")
        .output("dir/deep/er/out");
    let response = action.run(&farm).await;
    let result = result(&response);
    assert_eq!(result.exit_code, 0, "{}", String::from_utf8_lossy(&result.stderr_raw));
    assert_eq!(result.output_files.len(), 2);
    assert_eq!(farm.get(Digest::of(b"// 1")).await, b"// 1");
}

#[tokio::test]
async fn bad_names_in_the_input_root_are_refused() {
    let farm = Farm::start().await;
    let digest = farm.put(b"contents").await;
    let file = |name: &str| FileNode {
        name: name.to_owned(),
        digest: Some(digest.into()),
        ..Default::default()
    };
    let bad = ["", ".", "..", "a/b", "/a", "a\0b"].map(|name| vec![file(name)]);
    for files in bad.into_iter().chain([vec![file("twice"), file("twice")]]) {
        let root = Directory { files, ..Default::default() };
        let root = farm.put(&root.encode_to_vec()).await;
        let arguments = vec!["true".to_owned()];
        let command = reapi::Command { arguments, ..Default::default() };
        let command = farm.put(&command.encode_to_vec()).await;
        let action = reapi::Action {
            command_digest: Some(command.into()),
            input_root_digest: Some(root.into()),
            ..Default::default()
        };
        let action = farm.put(&action.encode_to_vec()).await;
        let (code, message) = failure(&execute(&farm, action, false).await);
        assert_eq!(code, Code::InvalidArgument, "{message}");
    }
}

#[tokio::test]
async fn a_bomb_of_directories_is_refused() {
    let farm = Farm::start().await;
    let mut digest = farm.put(&Directory::default().encode_to_vec()).await;
    for _ in 0..40 {
        let node = |name: &str| reapi::DirectoryNode {
            name: name.to_owned(),
            digest: Some(digest.into()),
        };
        let level = Directory { directories: vec![node("a"), node("b")], ..Default::default() };
        digest = farm.put(&level.encode_to_vec()).await;
    }
    let command = reapi::Command { arguments: vec!["true".to_owned()], ..Default::default() };
    let action = reapi::Action {
        command_digest: Some(farm.put(&command.encode_to_vec()).await.into()),
        input_root_digest: Some(digest.into()),
        ..Default::default()
    };
    let action = farm.put(&action.encode_to_vec()).await;
    assert_eq!(failure(&execute(&farm, action, false).await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn a_link_out_of_the_input_root_makes_no_directory_there() {
    let farm = Farm::bare().await;
    let outside = farm.data_dir().join("tmp");
    let action = Action::shell("true")
        .link("out", outside.to_str().expect("a path"))
        .output("out/made/file");
    assert_eq!(stdout(&action.run(&farm).await), "");
    assert!(!outside.join("made").exists());
}
