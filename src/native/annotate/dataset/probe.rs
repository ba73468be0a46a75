//! The shortcut probe: can a classifier tell altered from untouched by what files are like, without looking at faces?
//!
//! Features: bytes of the PNG and of its pixels deflated, mean and variance of each channel, the degradation as recorded (JPEG
//! qualities and chroma, from which quantisation tables follow; shrinking, noise, blur), size of the original photo, size of the
//! picture. Five folds by pair; each fold's scores come from a model that saw neither picture of the pair.

use std::path::Path;

use super::boost::{self, Table};
use super::record::Record;
use super::shard;
use crate::error::{Error, Result};

/// AUC of both models, and the standard error of pure chance.
#[derive(Debug)]
pub struct Probed {
    pub samples: usize,
    pub logistic: f64,
    pub boosted: f64,
    pub chance_error: f64,
}

fn features(r: &Record, png: &[u8]) -> Result<Vec<f32>> {
    let rgb = crate::image::decode(png).map_err(|e| Error::Io(format!("sample {}: {e}", r.index)))?.rgb;
    let n = (rgb.width * rgb.height).max(1) as f32;
    let mut f = vec![png.len() as f32, rgb.width as f32, rgb.height as f32, r.source.width as f32, r.source.height as f32];
    for c in 0..3 {
        let values = || rgb.data.iter().skip(c).step_by(3).map(|&v| f32::from(v));
        let mean = values().map(f64::from).sum::<f64>() as f32 / n;
        f.push(mean);
        f.push(values().map(|v| f64::from((v - mean).powi(2))).sum::<f64>() as f32 / n);
    }
    let d = &r.degradation;
    for j in [d.first_jpeg, d.jpeg] {
        f.push(j.map_or(100.0, |j| f32::from(j.quality)));
        f.push(j.map_or(0.0, |j| f32::from(j.chroma[0] * 2 + j.chroma[1])));
    }
    f.extend([d.blur.unwrap_or(0.0), d.resize.unwrap_or(1.0), d.noise.unwrap_or(0.0), d.screen.unwrap_or(1.0)]);
    Ok(f)
}

/// Probes a data set.
///
/// # Errors
/// `io.failed`; `request.bad` for fewer than 100 samples.
pub fn probe(dir: &Path) -> Result<Probed> {
    let mut table = Table::default();
    let mut groups = Vec::new();
    for path in shard::all(dir)? {
        shard::read(&path, |(record, png)| {
            table.rows.push(features(&record, &png)?);
            table.classes.push(record.forged);
            groups.push(record.index / 2);
            Ok(true)
        })?;
    }
    if table.rows.len() < 100 {
        return Err(Error::Request(format!("{} samples are too few for a probe; make 100 or more", table.rows.len())));
    }
    Ok(crossed(&table, &groups))
}

/// Five-fold cross-validation by group.
fn crossed(table: &Table, groups: &[u64]) -> Probed {
    let fold = |g: u64| (g.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 5;
    let (mut a, mut b) = (vec![0.0f32; table.rows.len()], vec![0.0f32; table.rows.len()]);
    for k in 0..5 {
        let mut train = Table::default();
        for (i, r) in table.rows.iter().enumerate().filter(|(i, _)| fold(groups[*i]) != k) {
            train.rows.push(r.clone());
            train.classes.push(table.classes[i]);
        }
        let (logistic, boosted) = (boost::logistic(&train), boost::boosted(&train));
        for (i, r) in table.rows.iter().enumerate().filter(|(i, _)| fold(groups[*i]) == k) {
            a[i] = logistic(r);
            b[i] = boosted(r);
        }
    }
    Probed {
        samples: table.rows.len(),
        logistic: boost::auc(&a, &table.classes),
        boosted: boost::auc(&b, &table.classes),
        chance_error: boost::chance_error(&table.classes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_shortcut_is_reported_across_folds() {
        use rand::{Rng, SeedableRng};
        let noise = |i: u32| rand::rngs::SmallRng::seed_from_u64(u64::from(i)).random::<f32>();
        let make = |told: bool| {
            let rows: Vec<Vec<f32>> =
                (0..600u32).map(|i| vec![noise(i / 2), noise(i) + if told && i % 2 == 1 { 0.5 } else { 0.0 }]).collect();
            let t = Table { classes: (0..600).map(|i| i % 2 == 1).collect(), rows };
            crossed(&t, &(0..600).map(|i| i / 2).collect::<Vec<_>>())
        };
        let (clean, leaky) = (make(false), make(true));
        assert!((clean.boosted - 0.5).abs() < 0.09 && (clean.logistic - 0.5).abs() < 0.09, "{clean:?}");
        assert!(leaky.boosted > 0.8 && leaky.logistic > 0.8, "{leaky:?}");
    }
}
