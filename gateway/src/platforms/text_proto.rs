//! The list in the original's form: a text proto of `goma.config.Inventory`, whose fields are the original's.
//!
//! ```text
//! configs {
//!   dimensions: "os:linux"
//!   remoteexec_platform { properties { name: "container-image" value: "docker://builder@sha256:..." } }
//! }
//! ```

use std::collections::BTreeMap;

use goma_proto::config::inventory_compiler::PathType;
use goma_proto::config::{Inventory, InventoryCompiler, InventoryEntry, InventoryPlatform};
use goma_proto::text_proto;

use super::compiler::CompilerEntry;
use super::file::{ExecConfig, PlatformEntry};
use crate::text_form::line_of_entry;

/// What the file says, and what of it is left out, a sentence each.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) config: ExecConfig,
    pub(super) left_out: Vec<String>,
}

/// Reads it. What the original's own workers need and ours do not, and compilers that we cannot run,
/// are left out.
///
/// # Errors
/// The line and what is wrong there; of what shows only in a whole entry, the line where it begins and its field.
pub(super) fn parse(text: &str) -> Result<Read, String> {
    let inventory: Inventory = text_proto::parse(text)?;
    let mut read = Read::default();
    let mut known_instance: Option<String> = None;
    for (entry, at) in inventory.configs.into_iter().zip(0..) {
        let number = at + 1;
        let wrong = |why: String| {
            format!("line {}: configs {number}: {why}", line_of_entry(text, "configs", at))
        };
        let ignored = ignored(&entry);
        read.left_out.extend(ignored.map(|what| format!("configs {number}: {what}")));
        let platform = entry.remoteexec_platform.unwrap_or_default();
        let instance = &platform.rbe_instance_basename;
        match &known_instance {
            _ if instance.is_empty() => {}
            None => known_instance = Some(instance.clone()),
            Some(known) if known == instance => {}
            Some(known) => {
                return Err(wrong(format!(
                    "remoteexec_platform.rbe_instance_basename: {known:?} and {instance:?} are two; \
                     --remote-instance-name is one, and others are [backend.NAME] tables of a file in TOML"
                )));
            }
        }
        let properties = properties(platform);
        if entry.cmd_descriptor.is_none() && entry.dimensions.is_empty() {
            return Err(wrong("it has neither dimensions nor a cmd_descriptor".to_owned()));
        }
        if let Some(compiler) = entry.cmd_descriptor {
            match unserved(&compiler) {
                Some(why) => read.left_out.push(format!("configs {number}: {why}")),
                None => {
                    let compiler = compiler_entry(compiler, properties.clone());
                    read.config.compilers.push(compiler.map_err(wrong)?);
                }
            }
        }
        if !entry.dimensions.is_empty() {
            read.config.platforms.push(PlatformEntry {
                dimensions: entry.dimensions,
                ..PlatformEntry::of_properties(properties)
            });
        }
    }
    Ok(read)
}

fn properties(platform: InventoryPlatform) -> BTreeMap<String, String> {
    platform.properties.into_iter().map(|property| (property.name, property.value)).collect()
}

/// What is said and has no effect, with what has.
fn ignored(entry: &InventoryEntry) -> impl Iterator<Item = &'static str> + use<> {
    let addr = entry.target.as_ref().is_some_and(|target| !target.addr.is_empty());
    let nsjail = entry.remoteexec_platform.as_ref().is_some_and(|platform| platform.has_nsjail);
    let told = [
        (addr, "target.addr has no effect: --remoteexec-addr names the backend"),
        (nsjail, "has_nsjail has no effect: --absolute-paths says how absolute paths are met"),
    ];
    told.into_iter().filter_map(|(is_told, what)| is_told.then_some(what))
}

/// Why no client can be given this compiler; `None` where one can, or the entry is wrong.
fn unserved(compiler: &InventoryCompiler) -> Option<String> {
    let setup = compiler.setup.clone().unwrap_or_default();
    let name = compiler.selector.clone().unwrap_or_default().name;
    let path = setup.cmd_file.clone().unwrap_or_default().path;
    if setup.path_type() == PathType::Windows {
        return Some(format!("{name:?} is left out: its path_type is that of workers of Windows"));
    }
    (!path.is_empty() && !path.starts_with('/')).then(|| {
        format!(
            "{name:?} is left out: workers have no {path:?} in a place of their own; clients bring \
             it, with GOMA_ARBITRARY_TOOLCHAIN_SUPPORT=true"
        )
    })
}

fn compiler_entry(
    compiler: InventoryCompiler,
    properties: BTreeMap<String, String>,
) -> Result<CompilerEntry, String> {
    let selector = compiler.selector.unwrap_or_default();
    let setup = compiler.setup.unwrap_or_default();
    let path = setup.cmd_file.unwrap_or_default().path;
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    let entry = CompilerEntry {
        name: selector.name,
        version: text(selector.version),
        target: text(selector.target),
        binary_hash: text(selector.binary_hash),
        path,
        properties,
        add_target: compiler.cross.unwrap_or_default().clang_need_target,
        ..CompilerEntry::default()
    };
    entry.check().map_err(|(field, why)| match field {
        "path" => format!("cmd_descriptor.setup.cmd_file.path: {why}"),
        _ => format!("cmd_descriptor.selector.{}: {why}", field.replace('-', "_")),
    })?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_form_is_read() {
        let text = "version_id: \"today\"\nconfigs {\n  target { addr: \"farm:443\" }\n  build_info {}\n  \
                    dimensions: \"os:linux\"\n  remoteexec_platform: <\n    properties: {\n      \
                    name: \"container-image\" value: \"docker://b\"\n    }\n    \
                    rbe_instance_basename: \"default\"\n    has_nsjail: true\n  >\n}\nconfigs {\n  \
                    cmd_descriptor {\n    selector { name: \"clang\" target: \"x86_64-linux-gnu\" }\n    \
                    setup { cmd_file { path: \"/opt/clang\" } path_type: POSIX }\n    \
                    cross { clang_need_target: true }\n    emulation_opts {}\n  }\n}\n";
        let Read { config, left_out } = parse(text).expect("it is right");
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        assert!(left_out[0].contains("target.addr") && left_out[1].contains("has_nsjail"));
        assert_eq!(config.platforms[0].dimensions, ["os:linux"]);
        assert_eq!(config.platforms[0].properties["container-image"], "docker://b");
        let compiler = &config.compilers[0];
        assert_eq!((compiler.name.as_str(), compiler.path.as_str()), ("clang", "/opt/clang"));
        assert_eq!(compiler.target.as_deref(), Some("x86_64-linux-gnu"));
        assert!(compiler.add_target && compiler.version.is_none());
    }

    #[test]
    fn a_list_in_brackets_is_read_with_all_that_its_files_say_of_themselves() {
        let text = "configs: [\n  {\n    build_info { creator: \"ci\" timestamp { seconds: 1 nanos: 2 } }\n    \
                    dimensions: [\"os:linux\", \"pool:a\"]\n  },\n  {\n    cmd_descriptor {\n      \
                    selector: { name: \"gcc\" }\n      setup: { cmd_file: { path: \"/usr/bin/gcc\" \
                    size: 9 hash_key: \"ab\" blob { blob_type: FILE content: \"x\" file_size: 1 } } \
                    files: [{ path: \"cc1\" }] }\n    }\n  }\n]\n";
        assert!(crate::text_form::is_text_proto(text));
        let Read { config, left_out } = parse(text).expect("it is right");
        assert_eq!(config.platforms[0].dimensions, ["os:linux", "pool:a"]);
        assert_eq!(config.compilers[0].path, "/usr/bin/gcc");
        assert!(left_out.is_empty(), "{left_out:?}");
    }

    #[test]
    fn compilers_that_no_worker_has_are_left_out_and_the_others_are_served() {
        let entry = |name: &str, setup: &str| {
            format!(
                "configs {{ dimensions: \"os:{name}\" cmd_descriptor {{ selector {{ name: \"{name}\" }} \
                 setup {{ {setup} }} }} }}\n"
            )
        };
        let text = entry("cl", "cmd_file { path: \"c:\\\\cl.exe\" } path_type: WINDOWS")
            + &entry("clang", "cmd_file { path: \"bin/clang\" } cmd_dir: \"llvm\"")
            + &entry("gcc", "cmd_file { path: \"/usr/bin/gcc\" } path_type: POSIX");
        let Read { config, left_out } = parse(&text).expect("it is right");
        assert_eq!(config.platforms.len(), 3, "who brings a compiler is served");
        let names: Vec<&str> = config.compilers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["gcc"]);
        assert!(left_out[0].contains("configs 1: \"cl\"") && left_out[0].contains("Windows"));
        assert!(left_out[1].contains("configs 2: \"clang\"") && left_out[1].contains("bin/clang"));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let compiler = |rest: &str| format!("configs {{ cmd_descriptor {{ {rest} }} }}");
        let instance = |name: &str| {
            format!(
                "configs {{ dimensions: \"a\" remoteexec_platform {{ rbe_instance_basename: \
                 \"{name}\" }} }}"
            )
        };
        for (text, why) in [
            ("configs {\n  dimension: \"a\"\n}".to_owned(), "line 2: "),
            ("\nconfigs {}".to_owned(), "line 2: configs 1: it has neither"),
            (
                compiler("selector { name: \"gcc\" }"),
                "line 1: configs 1: cmd_descriptor.setup.cmd_file.path: \"\" is not absolute",
            ),
            (compiler("setup { cmd_file { path: \"/usr/bin/gcc\" } }"), "selector.name: "),
            (
                compiler(
                    "selector { name: \"gcc\" binary_hash: \"x\" } setup { cmd_file { path: \"/g\" } }",
                ),
                "selector.binary_hash: \"x\" is no SHA-256",
            ),
            (
                instance("a") + "\n" + &instance("b"),
                "line 2: configs 2: remoteexec_platform.rbe_instance_basename: \"a\" and \"b\" are two",
            ),
        ] {
            let told = parse(&text).expect_err("wrong");
            assert!(told.contains(why), "{told}, not {why}");
        }
    }
}
