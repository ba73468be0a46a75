//! What untouched photos measure, part by part: the table `norms.tsv`, made by `facext annotate --norms FILE --faces DIR`.
//!
//! Photos went through the same crops and degradations as every picture of a data set. The spread is the largest of the robust
//! standard deviation (1.4826 × median absolute deviation) and a third of the distance from the median to the 0.5 % and 99.5 %
//! quantiles: tails are heavy, and of untouched photos at most about one measurement in a hundred may stand out.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::kinds::Measure;

/// Median and spread in the measure's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    pub median: f32,
    pub spread: f32,
}

impl Norm {
    /// Of a sample of values; `None` for fewer than 40.
    pub fn of(values: &mut [f32]) -> Option<Self> {
        let n = values.len();
        if n < 40 {
            return None;
        }
        values.sort_by(f32::total_cmp);
        let at = |q: f32| values[((n - 1) as f32 * q).round() as usize];
        let median = at(0.5);
        let mut away: Vec<f32> = values.iter().map(|v| (v - median).abs()).collect();
        away.sort_by(f32::total_cmp);
        let spread = (1.4826 * away[n / 2]).max((at(0.995) - median) / 3.0).max((median - at(0.005)) / 3.0);
        Some(Self { median, spread })
    }
}

/// The norm of a concept's measurement; `None` where too few photos could be measured.
pub fn norm(concept: &str, measure: Measure) -> Option<Norm> {
    static TABLE: OnceLock<HashMap<(String, Measure), Norm>> = OnceLock::new();
    let table = TABLE.get_or_init(|| parse(include_str!("norms.tsv")));
    table.get(&(concept.to_string(), measure)).copied()
}

/// Lines of `concept, measure, median, spread, photos`, tab-separated; `#` begins a comment. Malformed lines are left out (a test
/// counts what is read).
fn parse(text: &str) -> HashMap<(String, Measure), Norm> {
    let line = |l: &str| {
        let f: Vec<&str> = l.split('\t').collect();
        let measure = Measure::ALL.into_iter().find(|m| Some(name(*m)) == f.get(1).map(|s| s.to_string()))?;
        let norm = Norm { median: f.get(2)?.parse().ok()?, spread: f.get(3)?.parse().ok()? };
        Some(((f.first()?.to_string(), measure), norm))
    };
    text.lines().filter(|l| !l.starts_with('#')).filter_map(line).collect()
}

/// Name of a measure in the table and in records.
pub fn name(measure: Measure) -> String {
    serde_json::to_value(measure).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let text = include_str!("norms.tsv");
        let rows = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).count();
        assert_eq!(parse(text).len(), rows);
        assert!(rows > 250, "{rows} norms");
        for id in ["left_eye", "nose", "mouth", "right_cheek", "chin"] {
            assert!(norm(id, Measure::Sharpness).is_some_and(|n| n.spread > 0.0), "{id}");
        }
        assert!(norm("nose", Measure::SharpnessMirror).is_none(), "a nose has no mirror part");
    }

    #[test]
    fn heavy_tails_widen_the_spread() {
        let mut v: Vec<f32> = (0..1000).map(|i| (i % 10) as f32 / 10.0).collect();
        let narrow = Norm::of(&mut v).unwrap().spread;
        v.iter_mut().take(12).for_each(|x| *x = 30.0);
        assert!(Norm::of(&mut v).unwrap().spread > 5.0 * narrow);
        assert!(Norm::of(&mut [0.0; 10]).is_none());
    }
}
