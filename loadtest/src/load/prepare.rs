//! Puts everything in place that known requests need, and makes sure that the server knows them.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::blobs::Blobs;
use super::checked::Fault;
use super::config::{LoadConfig, Verb};
use super::material::{Making, Material};
use super::project::{self, Project};
use super::sender::Sender;
use super::template::Template;
use crate::client::{Client, Compile, Source, blocking};
use crate::error::{Error, Result};
use crate::http::Traffic;

/// A run's material; dropping it removes the sources.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) material: Arc<Material>,
    _dir: Option<TempDir>,
}

/// Makes the material. Says what it is doing.
pub(crate) async fn material(config: &LoadConfig, told: &impl Fn(&str)) -> Result<Prepared> {
    if config.verb != Verb::Exec {
        let config = config.clone();
        let material = blocking(move || blobs(&config)).await?;
        return Ok(Prepared { material: Arc::new(material), _dir: None });
    }
    let dir = match &config.dir {
        Some(dir) => TempDir::new_in(dir).map_err(|error| Error::file(dir, error))?,
        None => TempDir::new().map_err(|error| Error::file(std::env::temp_dir(), error))?,
    };
    let users = config.way.users().into_iter();
    let clients: Vec<Client> = users.map(|user| Client::new(config.client(user))).collect();
    let mut sizes = Vec::new();
    for inputs in &config.inputs {
        told(&format!("preparing compiles of {inputs} inputs"));
        let home = dir.path().join(inputs.to_string());
        sizes.push(templates(config, *inputs, &home, &clients).await?);
    }
    Ok(Prepared { material: Arc::new(Material::Exec(sizes)), _dir: Some(dir) })
}

fn blobs(config: &LoadConfig) -> Result<Material> {
    let mut sizes = Vec::new();
    for (count, size) in config.inputs.iter().zip(0_u64..) {
        let mut actions = Vec::new();
        for action in 0..config.actions as u64 {
            let seed = config.seed ^ (size << 56) ^ (action << 48);
            let made = Blobs::to_store(seed, *count, config.input_bytes, config.way.coding)?;
            actions.push(made);
        }
        sizes.push(actions);
    }
    Ok(Material::Store(sizes))
}

/// The known compiles of one size, whose files every user has on the server then.
async fn templates(
    config: &LoadConfig,
    inputs: usize,
    home: &Path,
    clients: &[Client],
) -> Result<Vec<Template>> {
    let Some(client) = clients.first() else { return Ok(Vec::new()) };
    let mut project = Project {
        seed: config.seed,
        headers: 0,
        header_bytes: config.input_bytes,
        sources: config.actions,
    };
    // What goes along anyway: the source, the compiler, a header that it includes by itself.
    write(project, home).await?;
    let compile = |n| Compile::new(home, project::command(&config.compiler, n));
    let alone = client.prepare(compile(0)).await?.inputs().count();
    project.headers = inputs.saturating_sub(alone);
    write(project, home).await?;
    let mut templates = Vec::new();
    for source in 0..config.actions {
        let prepared = client.prepare(compile(source)).await?;
        let named = client.by_key(&prepared, source as u64 + 1).await?;
        let paths = named.sources.values().filter_map(|source| match source {
            Source::Disk(path) => Some(path.clone()),
            Source::Memory(_) => None,
        });
        let paths: Vec<_> = paths.collect();
        for client in clients {
            client.preload(paths.clone(), |_| ()).await?;
        }
        let (coding, new_files) = (config.way.coding, config.new_files);
        let template =
            blocking(move || Template::new(project, source, new_files, named, coding)).await?;
        templates.push(template);
    }
    Ok(templates)
}

async fn write(project: Project, home: &Path) -> Result<()> {
    let home = home.to_owned();
    blocking(move || project.write(&home)).await
}

/// Sends every known request once for each user, so that the server can answer it from what it has.
/// Of stored files, lookups are made then.
///
/// # Errors
/// When one is not answered rightly: there would be nothing to measure.
pub(crate) async fn acquaint(
    config: &LoadConfig,
    prepared: &mut Prepared,
    sender: &Sender,
    making: &Making,
) -> Result<()> {
    let users = sender.callers.len();
    for choice in prepared.material.known() {
        for user in 0..users {
            let mut request = prepared.material.request(choice, making)?;
            request.choice.user = user;
            let end = sender.to_the_end(request, &Traffic::default()).await;
            if let Err(Fault { kind, words }) = end.result {
                let inputs = config.inputs[choice.size];
                let what =
                    format!("{kind} on a request of {inputs} inputs, before the run: {words}");
                return Err(Error::Answer(what));
            }
        }
    }
    if config.verb == Verb::Lookup
        && let Material::Store(sizes) = &*prepared.material
    {
        let to_look_up = |blobs: &Blobs| blobs.to_look_up(config.way.coding);
        let sizes = sizes.iter().map(|size| size.iter().map(to_look_up).collect());
        prepared.material = Arc::new(Material::Lookup(sizes.collect::<Result<_>>()?));
    }
    Ok(())
}
