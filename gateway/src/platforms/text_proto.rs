//! The list in the original's form: a text proto of `goma.config.Inventory`, whose fields are the original's.
//!
//! ```text
//! configs {
//!   dimensions: "os:linux"
//!   remoteexec_platform { properties { name: "container-image" value: "docker://builder@sha256:..." } }
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use goma_proto::config::inventory_compiler::PathType;
use goma_proto::config::{Inventory, InventoryCompiler, InventoryPlatform};
use goma_proto::text_proto;

use super::compiler::CompilerEntry;
use super::file::{ExecConfig, PlatformEntry};

/// Reads it.
///
/// # Errors
/// The line and what is wrong there, or the entry, counted from 1, and its field.
pub(super) fn parse(text: &str) -> Result<ExecConfig, String> {
    let inventory: Inventory = text_proto::parse(text)?;
    let mut config = ExecConfig::default();
    let mut instances = BTreeSet::new();
    for (entry, number) in inventory.configs.into_iter().zip(1..) {
        let platform = entry.remoteexec_platform.unwrap_or_default();
        instances.insert(platform.rbe_instance_basename.clone());
        let properties = properties(platform);
        let known = entry.cmd_descriptor.is_some() || !entry.dimensions.is_empty();
        if let Some(compiler) = entry.cmd_descriptor {
            let compiler = compiler_entry(compiler, properties.clone());
            config.compilers.push(compiler.map_err(|why| format!("configs {number}: {why}"))?);
        }
        if !known {
            return Err(format!(
                "configs {number}: it has neither dimensions nor a cmd_descriptor"
            ));
        }
        if !entry.dimensions.is_empty() {
            config.platforms.push(PlatformEntry {
                dimensions: entry.dimensions,
                backend: None,
                groups: Vec::new(),
                properties,
                absolute_paths: None,
                output_fields: None,
            });
        }
    }
    instances.remove("");
    match instances.len() {
        0 | 1 => Ok(config),
        _ => Err(format!(
            "rbe_instance_basename: {} are several; --remote-instance-name is one, and others are \
             [backend.NAME] tables of a file in TOML",
            instances.into_iter().collect::<Vec<_>>().join(", ")
        )),
    }
}

fn properties(platform: InventoryPlatform) -> BTreeMap<String, String> {
    platform.properties.into_iter().map(|property| (property.name, property.value)).collect()
}

fn compiler_entry(
    compiler: InventoryCompiler,
    properties: BTreeMap<String, String>,
) -> Result<CompilerEntry, String> {
    let selector = compiler.selector.unwrap_or_default();
    let setup = compiler.setup.unwrap_or_default();
    if setup.path_type() == PathType::Windows {
        return Err("cmd_descriptor.setup.path_type: workers of Windows are not served".to_owned());
    }
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
        let config = parse(text).expect("it is right");
        assert_eq!(config.platforms[0].dimensions, ["os:linux"]);
        assert_eq!(config.platforms[0].properties["container-image"], "docker://b");
        let compiler = &config.compilers[0];
        assert_eq!((compiler.name.as_str(), compiler.path.as_str()), ("clang", "/opt/clang"));
        assert_eq!(compiler.target.as_deref(), Some("x86_64-linux-gnu"));
        assert!(compiler.add_target && compiler.version.is_none());
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
            ("configs {}".to_owned(), "configs 1: it has neither"),
            (compiler("selector { name: \"gcc\" }"), "cmd_file.path: \"\" is not absolute"),
            (compiler("setup { cmd_file { path: \"/usr/bin/gcc\" } }"), "selector.name: "),
            (
                compiler(
                    "selector { name: \"gcc\" binary_hash: \"x\" } setup { cmd_file { path: \"/g\" } }",
                ),
                "selector.binary_hash: \"x\" is no SHA-256",
            ),
            (compiler("setup { path_type: WINDOWS }"), "path_type: "),
            (instance("a") + &instance("b"), "rbe_instance_basename: a, b are several"),
        ] {
            let told = parse(&text).expect_err("wrong");
            assert!(told.contains(why), "{told}, not {why}");
        }
    }
}
