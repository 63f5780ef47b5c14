//! `-save-temps=obj`, which no client asks for: what it leaves is an output as any other.

use goma_proto::api::ExecReq;

use crate::mode::Mode;
use crate::support::goma::file;
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{gcc, object, with};
use crate::support::tree::Tree;

const SOURCE: &str = "#include \"x.h\"\n#ifdef ODD\n#error odd\n#endif\n\
    const char *at(int x) { return x > X_VALUE ? __FILE__ : X_FILE; }\n";
const HEADER: &str = "#define X_VALUE 42\n#define X_FILE __FILE__\n";
const MADE: [&str; 3] = ["obj/a.i", "obj/a.s", "obj/a.o"];

/// A line as a request that names both files as the line does.
fn request(tree: &Tree, line: &str) -> ExecReq {
    let at = tree.dir().to_str().expect("UTF-8");
    let mut request = gcc(at, "a.c");
    request.arg = line.split(' ').map(ToOwned::to_owned).collect();
    request.expected_output_files = MADE.map(ToOwned::to_owned).to_vec();
    let names = match line.contains(at) {
        true => [format!("{at}/a.c"), format!("{at}/inc/x.h")],
        false => ["a.c".to_owned(), "inc/x.h".to_owned()],
    };
    let [source, header] = names;
    with(with(request, &source, &file(SOURCE.as_bytes())), &header, &file(HEADER.as_bytes()))
}

#[tokio::test]
async fn all_that_is_saved_comes_back_as_at_home() {
    let modes = [&[Mode::Rewrite.flag(), "--sandbox=off"][..], &[Mode::Property.flag()]];
    for args in modes {
        let (dir, tree) = (temp_dir(), Tree::new(&[]));
        for sub in ["inc", "obj"] {
            std::fs::create_dir(tree.path(sub)).expect("a directory");
        }
        tree.write("a.c", SOURCE);
        tree.write("inc/x.h", HEADER);
        let at = tree.dir().display().to_string();
        let program = Program::proxy(dir.path(), args).await;
        for line in [
            "gcc -save-temps=obj -Iinc -c a.c -o obj/a.o".to_owned(),
            "gcc -g -save-temps=obj -Iinc -c a.c -o obj/a.o".to_owned(),
            format!("gcc -g -O2 -save-temps=obj -I{at}/inc -c {at}/a.c -o {at}/obj/a.o"),
        ] {
            let home = [tree.local(&line, MADE[0]), tree.read(MADE[1]), tree.read(MADE[2])];
            let answer = program.goma().exec(&request(&tree, &line)).await;
            object(&answer);
            let outputs = answer.result.expect("a result").output;
            for (name, home) in MADE.into_iter().zip(home) {
                let output = outputs.iter().find(|output| output.filename() == name);
                let made = output.and_then(|output| output.blob.clone()).expect(name);
                assert!(made.content() == home, "{args:?}: {line}: {name} is another");
            }
        }
    }
}
