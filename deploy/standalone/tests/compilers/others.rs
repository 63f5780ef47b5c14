//! Compilers that are known by what they are expected to write: javac, clang-tidy, and any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{CommandSpec, ExecReq, ExecResp};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::mode::Mode;
use crate::support::goma::file;
use crate::support::has_program;
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, refusal, with};

const A: &str = "package p.q;\nimport lib.Named;\n@Named(\"one\")\npublic class A {\n  \
    enum Kind { X, Y }\n  int run(Kind kind) { java.util.List raw = new java.util.ArrayList(); \
    raw.add(kind); return switch (kind) { case X -> 1; case Y -> new B().two(); }; }\n}\n";
const B: &str = "package p.q;\nclass B {\n  int two() { Runnable r = new Runnable() { public void run() {} }; \
    r.run(); return 2; }\n}\n";
const NAMED: &str = "package lib;\npublic @interface Named { String value(); }\n";
const PROCESSOR: &str = "package lib;\nimport java.io.*;\nimport java.util.*;\nimport javax.annotation.processing.*;\n\
    import javax.lang.model.SourceVersion;\nimport javax.lang.model.element.*;\n\
    @SupportedAnnotationTypes(\"lib.Named\")\npublic class Maker extends AbstractProcessor {\n\
    @Override public SourceVersion getSupportedSourceVersion() { return SourceVersion.latest(); }\n\
    @Override public boolean process(Set<? extends TypeElement> types, RoundEnvironment round) {\n\
    for (Element e : round.getElementsAnnotatedWith(Named.class)) {\n\
    try (Writer w = processingEnv.getFiler().createSourceFile(\"p.q.Made\").openWriter()) {\n\
    w.write(\"package p.q; class Made { String of = \\\"\" + e.getSimpleName() + \"\\\"; }\\n\");\n\
    } catch (IOException error) { throw new UncheckedIOException(error); }\n}\nreturn true;\n}\n}\n";
const TIDY: &str = "int add(int a, int b);\nint add(int a, int b) {\n  int unused = VALUE;\n  if (a = b)\n    return a;\n  \
    return b;\n}\n";

/// A project on disk, and what a compiler of this machine makes in it.
struct Project(TempDir);

/// What came of a compile: exit status, stdout, stderr, and files by their names.
#[derive(Debug, PartialEq)]
struct Ended(i32, String, String, BTreeMap<String, Vec<u8>>);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::Builder::new().prefix("others").tempdir().expect("a place"));
        for (name, text) in files {
            let path = project.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("one")).expect("a directory");
            let text = text.replace("{abs}", project.0.path().to_str().expect("UTF-8"));
            std::fs::write(path, text).expect("written");
        }
        project
    }

    fn words(&self, line: &str) -> Vec<String> {
        let dir = self.0.path().to_str().expect("UTF-8");
        line.split(' ').map(|word| word.replace("{abs}", dir)).collect()
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.0.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => dirs.push(path),
                    false => {
                        drop(files.insert(self.name(&path), std::fs::read(&path).expect("read")))
                    }
                }
            }
        }
        files
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.0.path()).expect("within").to_str().expect("UTF-8").to_owned()
    }

    /// What this machine makes of it. Nothing of it stays.
    fn local(&self, line: &str) -> Ended {
        let before = self.files();
        let words = self.words(line);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.0.path()).env("LC_ALL", "C");
        let output = command.output().expect("a compiler");
        let mut made = self.files();
        made.retain(|name, _| !before.contains_key(name));
        for name in made.keys() {
            std::fs::remove_file(self.0.path().join(name)).expect("removed");
        }
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ended(
            output.status.code().expect("a status"),
            text(output.stdout),
            text(output.stderr),
            made,
        )
    }

    /// The same as a client asks for it, which sends all files that are there.
    fn request(&self, line: &str, files: &[&str], dirs: &[&str]) -> ExecReq {
        let arg = self.words(line);
        let path = PathBuf::from("/usr/bin").join(&arg[0]);
        let hash = Sha256::digest(std::fs::read(&path).expect("a compiler"));
        let expanded = |arg: &String| match arg.strip_prefix('@') {
            Some(name) => {
                let text = std::fs::read_to_string(self.0.path().join(name)).expect("a file");
                text.split_whitespace().map(str::to_owned).collect()
            }
            None => vec![arg.clone()],
        };
        let named = |names: &[&str]| names.iter().flat_map(|name| self.words(name)).collect();
        let request = ExecReq {
            command_spec: Some(CommandSpec {
                name: Some(arg[0].clone()),
                binary_hash: Some(hex::encode(hash).into()),
                local_compiler_path: path.to_str().map(ToOwned::to_owned),
                ..Default::default()
            }),
            expanded_arg: arg.iter().flat_map(expanded).collect(),
            arg,
            cwd: self.0.path().to_str().map(ToOwned::to_owned),
            expected_output_files: named(files),
            expected_output_dirs: named(dirs),
            ..Default::default()
        };
        let files = self.files();
        files.iter().fold(request, |request, (name, text)| with(request, name, &file(text)))
    }

    fn ended(&self, answer: &ExecResp) -> Ended {
        assert!(answer.error_message.is_empty(), "{:?}", answer.error_message);
        assert!(answer.missing_input.is_empty(), "{:?}", answer.missing_input);
        let result = answer.result.clone().expect("a result");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let made = result.output.iter().map(|output| {
            let name = self.name(&self.0.path().join(output.filename()));
            (name, output.blob.as_ref().expect("a blob").content().to_vec())
        });
        let (stdout, stderr) = (text(result.stdout_buffer()), text(result.stderr_buffer()));
        Ended(result.exit_status(), stdout, stderr, made.collect())
    }
}

/// Has it compiled there and here; `made` files are what both make.
async fn same(program: &Program, project: &Project, line: &str, dirs: &[&str], made: usize) {
    let home = project.local(line);
    let request = project.request(line, &[], dirs);
    let answer = program.goma().exec(&request).await;
    assert_eq!(project.ended(&answer), home, "{line}");
    assert_eq!(home.3.len(), made, "{line}: {home:?}");
    if home.0 == 0 {
        let again = program.goma().exec(&request).await;
        assert_eq!(project.ended(&again), home, "{line}, again");
        assert_ne!(again.cache_hit.unwrap_or(0), 0, "{line}: a success is kept");
    }
}

/// A library with an annotation and its processor, as its own build made them, and sources that use it.
fn java() -> Project {
    let params = "-d\nout/classes\n-s\nout/gen\n-classpath\nlib\n-processorpath\nlib\nsrc/p/q/A.java\nsrc/p/q/B.java\n";
    let project = Project::new(&[
        ("libsrc/Named.java", NAMED),
        ("libsrc/Maker.java", PROCESSOR),
        ("lib/META-INF/services/javax.annotation.processing.Processor", "lib.Maker\n"),
        ("src/p/q/A.java", A),
        ("src/p/q/B.java", B),
        ("src/p/q/Broken.java", "package p.q;\nclass Broken { int x = ; }\n"),
        ("build/java.params", params),
    ]);
    let words = project.words("-proc:none -d lib libsrc/Named.java libsrc/Maker.java");
    let built = Command::new("javac").args(words).current_dir(project.0.path()).status();
    assert!(built.expect("javac").success());
    project
}

#[tokio::test]
async fn javac_fills_directories_as_at_home() {
    if !has_program("javac") {
        return;
    }
    let (dir, project) = (temp_dir(), java());
    let program = Program::proxy(dir.path(), &[Mode::Rewrite.flag()]).await;
    program.ready().await;
    let sources = "src/p/q/A.java src/p/q/B.java";
    let plain = format!("javac -proc:none -g -d out -cp lib {sources}");
    same(&program, &project, &plain, &["out"], 5).await;
    let warns = format!("javac -proc:none -Xlint:all -d out -classpath lib {sources}");
    same(&program, &project, &warns, &["out"], 5).await;
    let broken = "javac -proc:none -d out -cp lib src/p/q/Broken.java";
    same(&program, &project, broken, &["out"], 0).await;
    same(&program, &project, "javac @build/java.params", &["out/classes", "out/gen"], 7).await;
    let absolute = format!("javac -proc:none -d {{abs}}/out -cp {{abs}}/lib {sources}");
    let request = project.request(&absolute, &[], &["{abs}/out"]);
    let why = refusal(&program.goma().exec(&request).await);
    assert!(why.contains("under the client's own path"), "{why}");
    // One that was said to be filled and was not is no success.
    let request = project.request(&plain, &["out/p/q/Nothing.class"], &["out"]);
    let why = refusal(&program.goma().exec(&request).await);
    assert!(why.contains("Nothing.class"), "{why}");
}

#[tokio::test]
async fn javac_runs_under_the_clients_own_path() {
    if !has_program("javac") {
        return;
    }
    let (dir, project) = (temp_dir(), java());
    let program = Program::proxy(dir.path(), &[Mode::Property.flag()]).await;
    program.ready().await;
    let line = "javac -Xlint:all -proc:none -d {abs}/out -cp {abs}/lib {abs}/src/p/q/A.java {abs}/src/p/q/B.java";
    same(&program, &project, line, &["{abs}/out"], 5).await;
}

#[tokio::test]
async fn clang_tidy_tells_what_it_tells_at_home() {
    if !has_program("clang-tidy") {
        return;
    }
    let commands = "[{\"directory\": \"{abs}/out\", \"file\": \"{abs}/src/a.c\",\n\
                    \"command\": \"cc -I../inc -c ../src/a.c\"}]\n";
    let project = Project::new(&[
        (".clang-tidy", "Checks: '-*,bugprone-*,clang-diagnostic-*'\n"),
        ("inc/value.h", "#define VALUE 3\n"),
        ("src/a.c", &format!("#include \"value.h\"\n{TIDY}")),
        ("out/compile_commands.json", commands),
    ]);
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[Mode::Property.flag()]).await;
    program.ready().await;
    for line in [
        "clang-tidy src/a.c -- -Iinc -Wall",
        "clang-tidy --quiet --warnings-as-errors=* src/a.c -- -Iinc -Wall",
        "clang-tidy --checks=-*,readability-* {abs}/src/a.c -- -I{abs}/inc",
        "clang-tidy -p out src/a.c",
        "clang-tidy src/a.c -- -Wall",
    ] {
        same(&program, &project, line, &[], 0).await;
    }
    let told = project.local("clang-tidy src/a.c -- -Iinc -Wall").1;
    assert!(
        told.contains("[clang-diagnostic-unused-variable]"),
        "there is something to tell: {told}"
    );
    let fix = project.request("clang-tidy -fix src/a.c -- -Iinc", &[], &[]);
    let why = refusal(&program.goma().exec(&fix).await);
    assert!(why.contains("-fix changes sources"), "{why}");
}

#[tokio::test]
async fn a_directory_of_many_files_does_not_make_an_answer_without_end() {
    const FILES: usize = 10;
    let dir = temp_dir();
    let script = "#!/bin/sh\nmkdir -p made\nfor n in 0 1 2 3 4 5 6 7 8 9; do\n\
                  head -c 999 /dev/zero | tr '\\0' $n > made/$n\ndone\ncp \"$2\" \"$4\"\n";
    let mut request = compiler_script("/home/a", b"a", script);
    request.expected_output_dirs = vec!["made".to_owned()];
    let program = Program::proxy(dir.path(), &["--max-inline-output=1000"]).await;
    program.ready().await;
    for _ in 0..2 {
        let answer = program.goma().exec(&request).await;
        assert!(answer.error_message.is_empty(), "{:?}", answer.error_message);
        let outputs = answer.result.expect("a result").output;
        assert_eq!(outputs.len(), FILES + 1);
        let mut inside = 0;
        for output in outputs {
            let blob = output.blob.clone().expect("a blob");
            let content = match blob.blob_type() {
                BlobType::File => blob.content().to_vec(),
                BlobType::FileRef => {
                    let found = program.goma().lookup(blob.hash_key.clone()).await;
                    assert_eq!(found[0].blob_type(), BlobType::File);
                    found[0].content().to_vec()
                }
                other => panic!("{other:?}"),
            };
            inside += blob.content().len();
            assert_eq!(blob.file_size(), content.len() as i64);
            if let Some(number) = output.filename().strip_prefix("made/") {
                assert!(content == number.repeat(999).into_bytes(), "{number}");
            }
        }
        assert!((1..=4000).contains(&inside), "{inside}");
    }
}

#[tokio::test]
async fn any_other_compiler_is_run_for_what_it_is_expected_to_write() {
    let dir = temp_dir();
    let script = "#!/bin/sh\nmkdir -p made/deep && cp \"$2\" made/deep/copy && pwd > \"$4\"\n";
    let request = |cwd: &str| {
        let mut request = compiler_script(cwd, b"a source", script);
        request.command_spec.get_or_insert_default().name = Some("yasm".to_owned());
        request.expected_output_dirs = vec!["made".to_owned()];
        request
    };
    let program = Program::proxy(dir.path(), &[Mode::Property.flag()]).await;
    program.ready().await;
    let answer = program.goma().exec(&request("/home/yasm/src")).await;
    assert!(answer.error_message.is_empty(), "{:?}", answer.error_message);
    let made: BTreeMap<String, Vec<u8>> = answer
        .result
        .expect("a result")
        .output
        .iter()
        .map(|output| {
            let content = output.blob.as_ref().expect("a blob").content().to_vec();
            (output.filename().to_owned(), content)
        })
        .collect();
    let own = BTreeMap::from([
        ("made/deep/copy".to_owned(), b"a source".to_vec()),
        ("out.o".to_owned(), b"/home/yasm/src\n".to_vec()),
    ]);
    assert_eq!(made, own);

    let other = temp_dir();
    let program = Program::proxy(other.path(), &[Mode::Rewrite.flag()]).await;
    program.ready().await;
    let why = refusal(&program.goma().exec(&request("/home/yasm/src")).await);
    assert!(why.contains("nothing is known of this compiler"), "{why}");
}
