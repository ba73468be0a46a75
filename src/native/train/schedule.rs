//! Learning-rate schedule, and the journal of a run: metrics file, where to resume, console line.

use crate::error::Result;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Linear warm-up, then half a cosine down to 2 % of the peak.
pub fn cosine(step: usize, warm_up: usize, steps: usize) -> f64 {
    if step < warm_up {
        return (step + 1) as f64 / warm_up as f64;
    }
    let x = (step - warm_up) as f64 / (steps.saturating_sub(warm_up)).max(1) as f64;
    0.02 + 0.98 * 0.5 * (1.0 + (std::f64::consts::PI * x.min(1.0)).cos())
}

/// Files of one stage of a run: `NAME.bpk`, `NAME.ema.bpk`, `NAME.optimiser`, `NAME.step`, `NAME.jsonl`.
pub struct Journal {
    dir: PathBuf,
    name: &'static str,
    metrics: File,
    smooth: Option<f32>,
}

impl Journal {
    /// Opens or makes the run's folder.
    ///
    /// # Errors
    /// `io.failed`
    pub fn open(dir: &Path, name: &'static str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let metrics = OpenOptions::new().create(true).append(true).open(dir.join(format!("{name}.jsonl")))?;
        Ok(Self { dir: dir.to_path_buf(), name, metrics, smooth: None })
    }

    /// Step of the last complete checkpoint.
    pub fn resume(&self) -> Option<usize> {
        fs::read_to_string(self.dir.join(format!("{}.step", self.name))).ok()?.trim().parse().ok()
    }

    /// Where the model's checkpoint is.
    pub fn model_path(&self) -> PathBuf {
        self.dir.join(format!("{}.bpk", self.name))
    }

    /// Where the moving average of the weights is.
    pub fn average_path(&self) -> PathBuf {
        self.dir.join(format!("{}.ema.bpk", self.name))
    }

    /// Where the optimiser's moments are.
    pub fn optimiser_path(&self) -> PathBuf {
        self.dir.join(format!("{}.optimiser", self.name))
    }

    /// Marks the checkpoint of `step` as complete; written last, so that a cut-off run resumes from a whole one.
    ///
    /// # Errors
    /// `io.failed`
    pub fn saved(&self, step: usize) -> Result<()> {
        let path = self.dir.join(format!("{}.step", self.name));
        let next = path.with_extension("step.new");
        fs::write(&next, step.to_string())?;
        fs::rename(next, path)?;
        Ok(())
    }

    /// One line of metrics; every tenth goes to standard error.
    ///
    /// # Errors
    /// `io.failed`
    pub fn log(&mut self, step: usize, lr: f64, loss: f32, parts: &[(&str, f32)], seconds: f64) -> Result<()> {
        let mut line = serde_json::json!({ "step": step, "lr": lr, "loss": loss, "seconds_per_step": seconds });
        if let Some(map) = line.as_object_mut() {
            for (name, value) in parts {
                map.insert((*name).into(), serde_json::json!(value));
            }
        }
        writeln!(self.metrics, "{line}")?;
        let smooth = self.smooth.map_or(loss, |s| 0.95 * s + 0.05 * loss);
        self.smooth = Some(smooth);
        if step.is_multiple_of(10) {
            let parts: Vec<String> = parts.iter().map(|(n, v)| format!("{n} {v:.3}")).collect();
            eprintln!("step {step} loss {loss:.3} (smooth {smooth:.3}) lr {lr:.1e} {seconds:.2} s/step: {}", parts.join(" "));
        }
        Ok(())
    }

    /// A validation line; the page of curves is written anew.
    ///
    /// # Errors
    /// `io.failed`
    pub fn note(&mut self, step: usize, text: &str) -> Result<()> {
        eprintln!("step {step} validation: {text}");
        writeln!(self.metrics, "{}", serde_json::json!({ "step": step, "validation": text }))?;
        super::curve::write(&self.dir, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_warms_up_and_comes_down() {
        assert!(cosine(0, 10, 100) < cosine(9, 10, 100));
        assert!((cosine(10, 10, 100) - 1.0).abs() < 1e-9);
        assert!((cosine(100, 10, 100) - 0.02).abs() < 1e-9);
    }
}
