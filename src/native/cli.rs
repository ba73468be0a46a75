//! Commands and exit codes. Progress and messages go to standard error, results to standard output.

use crate::error::Error;
use crate::image::BBox;
use crate::native::analyze::EngineArgs;
use crate::native::{analyze, annotate, bench, convert, demo, eval, fict, score, train, verify};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Fine-grained explainable deepfake analysis of face photos, on this machine only.
#[derive(Parser)]
#[command(name = "facext", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Analyse a photo: band, explanation with masks.
    Analyze(AnalyzeArgs),
    /// Run a report's question again and compare.
    Verify(verify::Args),
    /// Print the tree of facial concepts, or show its leaves on a photo.
    Fict(fict::Args),
    /// Make, check and show data sets of annotated forgeries.
    Annotate(annotate::command::Args),
    /// Turn upstream packages into a folder of weights.
    Convert(convert::Args),
    /// Train the model.
    Train(train::Args),
    /// Evaluate the weights on forgeries of persons that training never saw.
    Eval(eval::Args),
    /// Score grounded answers in a file against true ones.
    Score(score::Args),
    /// Milliseconds by stage, and peak memory.
    Bench(bench::Args),
    /// Pictures for the page's gallery, with the truth about each. For demonstration only.
    #[command(hide = true)]
    Demo(demo::Args),
}

/// Arguments of `analyze`.
#[derive(clap::Args)]
pub struct AnalyzeArgs {
    /// A JPEG, PNG or WebP file.
    pub photo: PathBuf,
    /// age: explanation with masks; loc: masks; toe: text; det: forged or not; cls: by what technique.
    #[arg(long, default_value = "age", value_parser = ["age", "loc", "toe", "det", "cls"])]
    pub task: String,
    /// Ask about a part of the face by name, for example "left eyebrow" (the subject's left).
    #[arg(long, group = "where")]
    pub region: Option<String>,
    /// Ask about a box in pixels of the upright photo: x,y,w,h.
    #[arg(long = "box", group = "where", value_parser = parse_box)]
    pub bbox: Option<BBox>,
    /// Ask about a drawn region: a picture of the upright photo's size, white where the region is.
    #[arg(long, group = "where")]
    pub mask: Option<PathBuf>,
    /// Own wording of the question.
    #[arg(long)]
    pub question: Option<String>,
    /// Do not save each face again to see how steady its score is (it takes as long as encoding it three times).
    #[arg(long)]
    pub no_spread: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Also write report.json, overlay.png and the masks as PNG here.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

fn parse_box(text: &str) -> Result<BBox, String> {
    let parts: Vec<f32> = text.split(',').map(|p| p.trim().parse::<f32>().map_err(|e| format!("{p}: {e}"))).collect::<Result<_, _>>()?;
    match parts.as_slice() {
        &[x, y, w, h] if w > 0.0 && h > 0.0 => Ok(BBox { x, y, w, h }),
        _ => Err("four numbers x,y,w,h with w and h above 0".into()),
    }
}

/// Parses the arguments, runs the command, maps errors to exit codes.
pub fn run() -> ExitCode {
    let args = match train::config::expand(std::env::args_os().collect()) {
        Ok(args) => args,
        Err(e) => return failed(&e),
    };
    let done = match Cli::parse_from(args).command {
        Command::Analyze(args) => analyze::run(&args),
        Command::Verify(args) => match verify::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(e) => Err(e),
        },
        Command::Fict(args) => fict::run(&args),
        // Its code tells "some files were skipped" and "a check failed" from success.
        Command::Annotate(args) => match annotate::command::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(e) => Err(e),
        },
        Command::Convert(args) => convert::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Demo(args) => demo::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e),
    }
}

fn failed(e: &Error) -> ExitCode {
    eprintln!("facext: {e} [{}]", e.code());
    ExitCode::from(exit_code(e))
}

/// Documented exit codes, by stage: 2 request, 3 image, 4 weights, 1 anything else (files, device, model, text).
pub fn exit_code(e: &Error) -> u8 {
    match e {
        Error::Request(_) | Error::OffLimits(_) => 2,
        Error::Image { .. } => 3,
        Error::Weights { .. } => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn boxes_need_four_numbers_and_an_area() {
        assert_eq!(parse_box("1, 2,3,4").unwrap(), BBox { x: 1.0, y: 2.0, w: 3.0, h: 4.0 });
        for bad in ["1,2,3", "1,2,0,4", "a,b,c,d", ""] {
            assert!(parse_box(bad).is_err(), "{bad}");
        }
    }
}
