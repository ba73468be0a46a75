//! `facext bench`: milliseconds by stage on one photo, and peak memory; or of the language model alone.

use crate::analyze::request::{Request, Silent};
use crate::error::{Error, Result};
use crate::native::analyze::load;
use crate::native::bench_lm;
use crate::native::say::say;
use crate::text::Task;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// A photo with a face.
    #[arg(required_unless_present = "lm")]
    pub photo: Option<PathBuf>,
    /// The language model alone, on made-up tokens.
    #[arg(long, conflicts_with = "photo")]
    pub lm: bool,
    /// With `--lm`: tokens of the prompt.
    #[arg(long, default_value_t = 256)]
    pub prompt: usize,
    /// With `--lm`: tokens to generate.
    #[arg(long, default_value_t = 32)]
    pub tokens: usize,
    /// Runs; minimum and median are printed.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// auto, cpu or gpu.
    #[arg(long, default_value = "cpu", value_parser = ["auto", "cpu", "gpu"])]
    pub device: String,
    /// Folder of weights.
    #[arg(long, default_value = "weights")]
    pub weights: PathBuf,
    /// Print JSON: `{"stage": {"min_ms", "median_ms"}, …, "peak_mib"}`.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// Any stage's.
pub fn run(args: &Args) -> Result<()> {
    let Some(path) = &args.photo else { return language(args) };
    let bytes = fs::read(path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
    let analyzer = load(&args.weights, &args.device)?;
    let mut stages: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..args.runs.max(1) {
        let report = pollster::block_on(async {
            let mut photo = analyzer.open(&bytes, "bench", &mut Silent).await?;
            analyzer.analyze(&mut photo, &Request::of(Task::Age), &mut Silent).await
        })?;
        let tokens = report.timings_ms.get("tokens").copied().unwrap_or(0.0);
        if let (Some(generate), true) = (report.timings_ms.get("generate"), tokens > 0.0) {
            stages.entry("per_token".into()).or_default().push(generate / tokens);
        }
        for (stage, value) in report.timings_ms {
            stages.entry(stage).or_default().push(value);
        }
    }
    let peak = peak_mib();
    let mut table = serde_json::Map::new();
    for (stage, values) in &mut stages {
        values.sort_by(f64::total_cmp);
        let (min, median) = (values[0], values[values.len() / 2]);
        if !args.json {
            say!("{stage:>10}  min {min:9.1}  median {median:9.1}{}", if stage == "tokens" { "" } else { " ms" })?;
        }
        table.insert(stage.clone(), serde_json::json!({ "min_ms": min, "median_ms": median }));
    }
    if args.json {
        table.insert("peak_mib".into(), serde_json::json!(peak));
        say!("{}", serde_json::Value::Object(table))?;
    } else if let Some(peak) = peak {
        say!("peak memory {peak} MiB")?;
    }
    Ok(())
}

/// The language model alone.
fn language(args: &Args) -> Result<()> {
    let mut m = bench_lm::measure(&args.weights, &args.device, args.prompt, args.tokens, args.runs.max(1))?;
    m.prefill_ms.sort_by(f64::total_cmp);
    m.token_ms.sort_by(f64::total_cmp);
    if args.json {
        say!("{}", serde_json::to_string(&m).map_err(|e| Error::Io(e.to_string()))?)?;
        return Ok(());
    }
    let print = |what: &str, v: &[f64]| say!("{what:>10}  min {:9.2}  median {:9.2} ms", v[0], v[v.len() / 2]);
    say!("{}, {} threads, prompt {} tokens, then {}", m.device, m.threads, m.prompt, m.tokens)?;
    print("prefill", &m.prefill_ms)?;
    print("per token", &m.token_ms)?;
    let seconds = m.token_ms[m.token_ms.len() / 2] / 1e3;
    say!(
        "{:.1} tokens/s; a token reads {:.1} MB: {:.1} GB/s",
        1.0 / seconds,
        m.bytes_a_token as f64 / 1e6,
        m.bytes_a_token as f64 / seconds / 1e9
    )?;
    if let Some(top) = m.bandwidth {
        let share = 100.0 * m.bytes_a_token as f64 / seconds / top;
        say!("the device moves {:.1} GB/s (addition over a large tensor): a token reaches {share:.1} % of it", top / 1e9)?;
    }
    Ok(())
}

/// Largest resident size of this process, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
