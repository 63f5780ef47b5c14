//! What a command in the sandbox sees, and where it is.

use goma_common::Digest;
use goma_standalone::backend::SandboxMode;
use tonic::Code;

use crate::action::{Action, failure, result, stdout};
use crate::farm::Farm;

#[tokio::test]
async fn the_input_root_is_at_the_same_place_for_all() {
    let Some(farm) = Farm::sandboxed().await else { return };
    let response = Action::new(&["pwd"]).in_dir("a/b").run(&farm).await;
    assert_eq!(stdout(&response), "/goma/root/a/b\n");
}

#[tokio::test]
async fn the_input_root_can_be_where_the_client_has_it() {
    let Some(farm) = Farm::sandboxed().await else { return };
    assert!(farm.backend().supports_absolute_root());
    for path in ["/home/u/proj", "/tmp/x/y", "/root/src"] {
        let action = Action::shell(&format!("pwd; cat {path}/in/1.h; echo o > {path}/out"));
        let action = action.absolute_root(path).many_inputs("in").output("out");
        let response = action.run(&farm).await;
        assert_eq!(stdout(&response), format!("{path}\n// 1"));
        assert_eq!(result(&response).output_files.len(), 1);
    }
    for path in ["/", "/usr/src", "/etc", "relative", "/a/../b"] {
        let response = Action::shell("true").absolute_root(path).run(&farm).await;
        assert_eq!(failure(&response).0, Code::InvalidArgument, "{path}");
    }
}

#[tokio::test]
async fn without_a_sandbox_the_place_of_the_input_root_is_refused_with_a_reason() {
    let farm = Farm::bare().await;
    assert!(!farm.backend().supports_absolute_root());
    let response = Action::shell("true").absolute_root("/home/u").run(&farm).await;
    let (code, message) = failure(&response);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(message.contains("sandbox"), "{message}");
    assert!(response.status.expect("a status").details.is_empty(), "nothing is missing");
}

#[tokio::test]
async fn the_machine_is_out_of_reach() {
    let Some(farm) = Farm::sandboxed().await else { return };
    let data = farm.data_dir();
    let script = format!(
        "ls {} 2>&1 | head -1 >/dev/null; test -e {} && echo data; test -e /etc/shadow && echo shadow; \
         touch /usr/x 2>/dev/null && echo usr; cat /proc/net/dev | grep -c eth; \
         ls -d /proc/[0-9]* | wc -l; ls -A /tmp | wc -l; grep CapEff /proc/self/status",
        data.display(),
        data.display()
    );
    let response = Action::shell(&script).run(&farm).await;
    let text = String::from_utf8_lossy(&result(&response).stdout_raw).into_owned();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "0", "no network: {text}");
    assert!(lines[1].parse::<u32>().expect("a count") < 8, "only its own processes: {text}");
    assert_eq!(lines[2], "0", "a /tmp of its own: {text}");
    assert_eq!(lines[3], "CapEff:\t0000000000000000");
}

#[tokio::test]
async fn further_directories_of_the_machine_can_be_shown() {
    let shown = tempfile::TempDir::new().expect("a directory");
    std::fs::write(shown.path().join("tool"), "of the machine").expect("a file");
    let farm = Farm::with(|config| config.host_dirs = vec![shown.path().to_owned()]).await;
    let tool = shown.path().join("tool").display().to_string();
    let response = Action::shell(&format!("cat {tool}; echo x 2>/dev/null >> {tool}; true"));
    let response = response.run(&farm).await;
    assert_eq!(stdout(&response), "of the machine");
    if farm.backend().sandboxed().is_ok() {
        assert_eq!(std::fs::read(&tool).expect("a file"), b"of the machine");
    }
}

#[tokio::test]
async fn a_mode_that_is_off_says_so() {
    let farm = Farm::with(|config| config.sandbox = SandboxMode::Off).await;
    assert_eq!(farm.backend().sandboxed(), Err("switched off"));
}

#[tokio::test]
async fn a_compile_gives_the_same_object_wherever_the_data_is() {
    let compile = || {
        let source = "#include \"x.h\"\nint f(void) { return X; }\n";
        Action::new(&["gcc", "-g", "-c", "f.c", "-o", "out/f.o", "-Iinc"])
            .input("f.c", source)
            .input("inc/x.h", "#define X 5\n")
            .output("out/f.o")
    };
    let mut objects = Vec::new();
    for _ in 0..2 {
        let Some(farm) = Farm::sandboxed().await else { return };
        let response = compile().run(&farm).await;
        let result = result(&response);
        assert_eq!(result.exit_code, 0, "{}", String::from_utf8_lossy(&result.stderr_raw));
        let digest = result.output_files[0].digest.as_ref().expect("a digest");
        objects.push(Digest::try_from(digest).expect("a digest"));
    }
    assert_eq!(objects[0], objects[1]);
}
