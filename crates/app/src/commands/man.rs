//! `tendon man`: the manual pages, one for each command, made from the same words as `--help`.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::{
    cli::Cli,
    failure::{self, Outcome},
    output,
};

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the page of each command into this folder; without it, the page of `tendon` itself is printed.
    #[arg(long, value_name = "D")]
    dir: Option<PathBuf>,
}

/// Prints or writes them.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let Some(dir) = &args.dir else {
        output::data(&String::from_utf8_lossy(
            &page(root, "tendon").map_err(|error| failure::io("making", "tendon.1".as_ref(), &error))?,
        ));
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(dir).map_err(|error| failure::io("making the folder", dir, &error))?;
    let written = write(dir, root, "tendon").map_err(|error| failure::io("writing the pages to", dir, &error))?;
    output::say(&format!("{written} pages in {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of all below it; gives their number.
fn write(dir: &std::path::Path, command: clap::Command, name: &str) -> io::Result<usize> {
    let mut written = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        written += write(dir, below.clone(), &format!("{name}-{}", below.get_name()))?;
    }
    fs::write(dir.join(format!("{name}.1")), page(command, name)?)?;
    Ok(written)
}

fn page(command: clap::Command, name: &str) -> io::Result<Vec<u8>> {
    // Clap wants names that live as long as the program; there are as many as commands.
    let name: &'static str = name.to_owned().leak();
    let mut text = Vec::new();
    Man::new(command.name(name)).render(&mut text)?;
    Ok(text)
}
