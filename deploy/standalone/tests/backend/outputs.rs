//! What becomes of the files that a command leaves.

use goma_common::Digest;
use goma_proto::reapi::{ActionResult, Tree};
use prost::Message as _;

use crate::action::{Action, result};
use crate::farm::Farm;

fn paths(result: &ActionResult) -> Vec<&str> {
    result.output_files.iter().map(|file| file.path.as_str()).collect()
}

#[tokio::test]
async fn files_links_and_directories_are_collected() {
    for farm in [Farm::start().await, Farm::bare().await] {
        let script = "echo object > obj/a.o; echo run > tool; chmod +x tool; ln -s obj/a.o link; \
                      mkdir -p tree/sub tree/empty; echo leaf > tree/sub/leaf; ln -s leaf tree/l; \
                      mkfifo tree/pipe; echo up > ../up";
        let action = ["obj/a.o", "tool", "link", "tree", "absent", "../up"]
            .iter()
            .fold(Action::shell(script).in_dir("w/d"), |action, path| action.output(path));
        let response = action.run(&farm).await;
        let result = result(&response);
        assert_eq!(result.exit_code, 0, "{}", String::from_utf8_lossy(&result.stderr_raw));
        assert_eq!(paths(result), ["obj/a.o", "tool", "../up"]);
        let executable: Vec<_> =
            result.output_files.iter().map(|file| file.is_executable).collect();
        assert_eq!(executable, [false, true, false]);
        let object = result.output_files[0].digest.as_ref().expect("a digest");
        assert_eq!(farm.get(Digest::try_from(object).expect("a digest")).await, b"object\n");
        assert_eq!(result.output_symlinks[0].path, "link");
        assert_eq!(result.output_symlinks[0].target, "obj/a.o");
        let tree = result.output_directories[0].tree_digest.as_ref().expect("a digest");
        let tree = farm.get(Digest::try_from(tree).expect("a digest")).await;
        let tree = Tree::decode(tree.as_slice()).expect("a tree");
        let root = tree.root.expect("a root");
        let names: Vec<_> = root.directories.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["empty", "sub"]);
        assert_eq!(root.symlinks[0].target, "leaf");
        assert!(root.files.is_empty(), "a pipe has no contents");
        for node in &root.directories {
            let digest = node.digest.clone().expect("a digest");
            let child = |child: &&_| reapi_digest(*child) == digest;
            assert!(tree.children.iter().find(child).is_some(), "{} is a child", node.name);
        }
        assert!(farm.missing(&[Digest::of(b"leaf\n")]).await.is_empty());
    }
}

fn reapi_digest(message: &impl prost::Message) -> goma_proto::reapi::Digest {
    Digest::of(&message.encode_to_vec()).into()
}

#[tokio::test]
#[allow(deprecated, reason = "that older clients are served is the point")]
async fn outputs_can_be_announced_the_old_way() {
    let farm = Farm::start().await;
    let mut action = Action::shell("echo x > o/file; echo y > o/dir/y; ln -s file o/link");
    action.command.output_files = vec!["o/file".to_owned(), "o/link".to_owned()];
    action.command.output_directories = vec!["o/dir".to_owned()];
    action = action.empty_dir("o/dir");
    let response = action.run(&farm).await;
    let result = result(&response);
    assert_eq!(paths(result), ["o/file"]);
    assert_eq!(result.output_file_symlinks[0].path, "o/link");
    assert_eq!(result.output_directories[0].path, "o/dir");
}

#[tokio::test]
async fn nothing_outside_of_the_root_is_collected_through_a_link() {
    let farm = Farm::bare().await;
    std::fs::write(farm.data_dir().join("secret"), "secret").expect("a file");
    let script = format!("ln -s {} out; ln -s ../../.. up", farm.data_dir().display());
    let action = Action::shell(&script).output("out/secret").output("up/secret");
    let response = action.run(&farm).await;
    assert_eq!(paths(result(&response)), [""; 0]);
    assert_eq!(farm.missing(&[Digest::of(b"secret")]).await.len(), 1);
}

#[tokio::test]
async fn a_large_output_is_stored_whole() {
    let farm = Farm::start().await;
    let response = Action::shell("head -c 3000000 /dev/zero > big").output("big").run(&farm).await;
    let digest = result(&response).output_files[0].digest.as_ref().expect("a digest");
    let digest = Digest::try_from(digest).expect("a digest");
    assert_eq!(digest, Digest::of(&vec![0; 3_000_000]));
    assert_eq!(farm.get(digest).await.len(), 3_000_000);
}
