//! What a compile sees of the worker's own locale and time zone: nothing.

use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, object};

const TELLS: &str = "#!/bin/sh\necho \"$LC_ALL,$LANG,$LANGUAGE,$TZ\" > out.o\n";

/// What a compiler sees for a client that sends these variables.
async fn seen(program: &Program, variables: &[&str]) -> String {
    let mut request = compiler_script("/home/u/src", b"int x;\n", TELLS);
    request.env.extend(variables.iter().map(ToString::to_string));
    let seen = object(&program.goma().exec(&request).await);
    String::from_utf8(seen).expect("text").trim_end().to_owned()
}

#[tokio::test]
async fn locale_and_time_zone_are_the_clients_or_the_same_everywhere() {
    let dir = temp_dir();
    let told = "export LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 LANGUAGE=de TZ=Asia/Tokyo";
    let program = Program::proxy_after(told, dir.path(), &["--sandbox=off"]).await;
    assert_eq!(seen(&program, &[]).await, "C,,,UTC");
    assert_eq!(seen(&program, &["LANG=fr_FR.UTF-8"]).await, ",fr_FR.UTF-8,,UTC");
    assert_eq!(seen(&program, &["LC_ALL=C.UTF-8"]).await, "C.UTF-8,,,UTC");
    assert_eq!(seen(&program, &["TZ=Europe/Paris"]).await, "C,,,Europe/Paris");
}
