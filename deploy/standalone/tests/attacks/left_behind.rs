//! Compilers that leave something else in place of their outputs, or look around while they run.

use crate::support::bench::Bench;
use crate::support::goma::{file, key};
use crate::support::requests::{compiler_script, object};

/// Where nobody but the server's own user may look.
const SECRET: &[u8] = b"a secret of the server's machine\n";

/// Runs each script as a compiler whose output is `out.o`; nothing of the secret comes back.
async fn nothing_comes_of(sandbox: &str, scripts: &[(&str, &str)]) {
    let bench = Bench::with(&["--sandbox", sandbox]).await;
    let secret = bench.data_dir().join("secret");
    std::fs::write(&secret, SECRET).expect("a secret");
    for (what, script) in scripts {
        let script =
            format!("#!/bin/sh\n{}\n", script.replace("SECRET", &secret.display().to_string()));
        let mut request = compiler_script("/home/a/src", what.as_bytes(), &script);
        request.expected_output_files.push("d/secret".to_owned());
        let told = match bench.goma.try_exec(&request).await {
            Ok(answer) => format!("{answer:?}"),
            Err(reply) => reply.text(),
        };
        let told = told.to_lowercase();
        assert!(!told.contains("a secret of the server"), "{what}: {told}");
        let found = bench.goma.lookup(vec![key(&file(SECRET))]).await;
        assert!(found[0].content.is_none(), "{what}: it was stored");
        assert_eq!(std::fs::read(&secret).expect("a secret"), SECRET, "{what}: it was changed");
    }
    bench.is_unharmed().await;
}

/// Links in place of outputs, and of the directories above them.
const LINKS: [(&str, &str); 6] = [
    ("an absolute link", "ln -s SECRET \"$4\""),
    ("a relative link", "ln -s ../../../../../../../../../../SECRET \"$4\""),
    ("a link through /proc", "ln -s /proc/self/root/SECRET \"$4\""),
    ("a directory that is an absolute link", "rm -rf d; ln -s $(dirname SECRET) d"),
    ("a directory that leads upwards", "rm -rf d; ln -s ../../../../../.. d; ls d > \"$4\""),
    ("links in a circle", "ln -s b a; ln -s a b; ln -s a \"$4\""),
];

#[tokio::test]
async fn no_link_leads_out_of_the_root() {
    nothing_comes_of("off", &LINKS).await;
    nothing_comes_of("auto", &LINKS).await;
}

#[tokio::test]
async fn a_compiler_in_the_sandbox_sees_none_of_the_servers_files() {
    let scripts = [
        ("it reads", "cat SECRET > \"$4\"; true"),
        ("it copies", "cp SECRET d/secret; true"),
        ("it writes", "echo changed > SECRET; true"),
        ("it looks for it", "find / -name secret -exec cat {} + > \"$4\" 2>/dev/null; true"),
        ("it asks others' memory", "cat /proc/[0-9]*/environ /proc/1/root/SECRET > \"$4\"; true"),
    ];
    nothing_comes_of("require", &scripts).await;
}

#[tokio::test]
async fn what_is_no_file_is_no_output() {
    let bench = Bench::start().await;
    for (what, script) in [
        ("a pipe", "mkfifo \"$4\""),
        ("a directory", "mkdir \"$4\""),
        ("a socket or a device", "ln -s /dev/zero \"$4\""),
        ("nothing", "true"),
    ] {
        let request =
            compiler_script("/home/a/src", what.as_bytes(), &format!("#!/bin/sh\n{script}\n"));
        if let Ok(answer) = bench.goma.try_exec(&request).await {
            let result = answer.result.unwrap_or_default();
            let contents = |output: &goma_proto::api::exec_result::Output| {
                output.blob.as_ref().is_some_and(|blob| !blob.content().is_empty())
            };
            assert!(!result.output.iter().any(contents), "{what}: {result:?}");
        }
    }
    bench.is_unharmed().await;
}

/// A client's name for a file is a name on Linux, whatever it means on Windows.
#[tokio::test]
async fn names_that_mean_drives_elsewhere_stay_in_the_root() {
    let bench = Bench::start().await;
    let names =
        ["C:\\evil.h", "c:/evil.h", "..\\..\\..\\evil.h", "\\\\host\\share\\evil.h", "NUL", "a:b"];
    // The compiler says where it finds them.
    let script = "#!/bin/sh\nfind . -type f | sort > \"$4\"\n";
    let mut request = compiler_script("/home/a/src", b"int drives;\n", script);
    for name in names {
        request = crate::support::requests::with(request, name, &file(b"evil\n"));
    }
    let listed = object(&bench.goma.exec(&request).await);
    let listed = String::from_utf8(listed).expect("text");
    for name in names {
        assert!(listed.lines().any(|line| line == format!("./{name}")), "{name}: {listed}");
    }
    bench.is_unharmed().await;
}
