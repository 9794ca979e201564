//! `rollcall apps`: what is known of apps before one is connected.

use std::process::ExitCode;

use clap::Subcommand;

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Apps {
    /// List the presets, with what each one's documentation says and where that is; or show the settings of one
    Presets {
        /// The preset whose settings are shown
        name: Option<String>,
    },
}

pub fn apps(what: &Apps) -> anyhow::Result<ExitCode> {
    let Apps::Presets { name } = what;
    let all = rollcall_config::presets();
    let Some(name) = name else {
        for (name, preset) in &all {
            println!("{name:<26}{} (documentation of {})", preset.name, preset.checked);
            preset.notes.iter().for_each(|note| println!("{:<26}- {note}", ""));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(preset) = all.get(name.as_str()) else {
        anyhow::bail!("there is no preset '{name}': `rollcall apps presets` lists them");
    };
    println!("# {}, by its documentation of {}:", preset.name, preset.checked);
    preset.sources.iter().for_each(|source| println!("#   {source}"));
    preset.notes.iter().for_each(|note| println!("# - {note}"));
    print!("{}", toml::to_string(&preset.settings)?);
    Ok(ExitCode::SUCCESS)
}
