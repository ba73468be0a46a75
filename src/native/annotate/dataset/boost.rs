//! Two small classifiers for the shortcut probe: logistic regression and boosted stumps, and the AUC.

/// Rows of features with their class.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub rows: Vec<Vec<f32>>,
    pub classes: Vec<bool>,
}

/// Area under the ROC curve by ranks (ties count half); 0.5 if a class is absent.
pub fn auc(scores: &[f32], classes: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut i) = (0.0f64, 0);
    while i < order.len() {
        let mut j = i;
        while j < order.len() && scores[order[j]] == scores[order[i]] {
            j += 1;
        }
        let rank = (i + 1 + j) as f64 / 2.0;
        rank_sum += rank * order[i..j].iter().filter(|&&k| classes[k]).count() as f64;
        i = j;
    }
    let p = classes.iter().filter(|&&c| c).count() as f64;
    let n = classes.len() as f64 - p;
    if p == 0.0 || n == 0.0 { 0.5 } else { (rank_sum - p * (p + 1.0) / 2.0) / (p * n) }
}

/// Standard error of an AUC of 0.5 (Mann–Whitney).
pub fn chance_error(classes: &[bool]) -> f64 {
    let p = classes.iter().filter(|&&c| c).count() as f64;
    let n = classes.len() as f64 - p;
    if p * n == 0.0 { f64::NAN } else { ((p + n + 1.0) / (12.0 * p * n)).sqrt() }
}

/// Logistic regression on standardised features, ridge 1e-3, full-batch gradient descent. Returns a scorer.
pub fn logistic(train: &Table) -> impl Fn(&[f32]) -> f32 + use<> {
    let d = train.rows.first().map_or(0, Vec::len);
    let n = train.rows.len().max(1) as f32;
    let mean: Vec<f32> = (0..d).map(|k| train.rows.iter().map(|r| r[k]).sum::<f32>() / n).collect();
    let scale: Vec<f32> = (0..d).map(|k| (train.rows.iter().map(|r| (r[k] - mean[k]).powi(2)).sum::<f32>() / n).sqrt().max(1e-6)).collect();
    let (mut w, mut b) = (vec![0.0f32; d], 0.0f32);
    let score = |r: &[f32], w: &[f32], b: f32| b + r.iter().enumerate().map(|(k, v)| w[k] * (v - mean[k]) / scale[k]).sum::<f32>();
    for _ in 0..300 {
        let (mut gw, mut gb) = (vec![0.0f32; d], 0.0f32);
        for (r, &c) in train.rows.iter().zip(&train.classes) {
            let e = 1.0 / (1.0 + (-score(r, &w, b)).exp()) - f32::from(u8::from(c));
            (0..d).for_each(|k| gw[k] += e * (r[k] - mean[k]) / scale[k]);
            gb += e;
        }
        (0..d).for_each(|k| w[k] -= 0.5 * (gw[k] / n + 1e-3 * w[k]));
        b -= 0.5 * gb / n;
    }
    move |r: &[f32]| b + r.iter().enumerate().map(|(k, v)| w[k] * (v - mean[k]) / scale[k]).sum::<f32>()
}

/// One split: feature, threshold, values below and above.
type Stump = (usize, f32, f32, f32);

/// Gradient boosting of stumps on the logistic loss (Friedman 2001): 80 rounds, rate 0.2, 16 thresholds a feature. Returns a scorer.
pub fn boosted(train: &Table) -> impl Fn(&[f32]) -> f32 + use<> {
    let d = train.rows.first().map_or(0, Vec::len);
    let cuts: Vec<Vec<f32>> = (0..d)
        .map(|k| {
            let mut v: Vec<f32> = train.rows.iter().map(|r| r[k]).collect();
            v.sort_by(f32::total_cmp);
            let mut c: Vec<f32> = (1..17).filter_map(|q| v.get(q * v.len() / 17).copied()).collect();
            c.dedup();
            c
        })
        .collect();
    let mut stumps: Vec<Stump> = Vec::new();
    let mut f = vec![0.0f32; train.rows.len()];
    for _ in 0..80 {
        let (g, h): (Vec<f32>, Vec<f32>) = f
            .iter()
            .zip(&train.classes)
            .map(|(&s, &c)| {
                let p = 1.0 / (1.0 + (-s).exp());
                (f32::from(u8::from(c)) - p, p * (1.0 - p))
            })
            .unzip();
        let mut best: Option<(f32, Stump)> = None;
        for (k, cuts) in cuts.iter().enumerate() {
            for &cut in cuts {
                let mut s = [[0.0f32; 2]; 2];
                for (i, r) in train.rows.iter().enumerate() {
                    let side = usize::from(r[k] > cut);
                    s[side][0] += g[i];
                    s[side][1] += h[i];
                }
                let gain = s.iter().map(|v| v[0] * v[0] / (v[1] + 1.0)).sum::<f32>();
                if best.is_none_or(|b| gain > b.0) {
                    let value = |v: [f32; 2]| 0.2 * v[0] / (v[1] + 1.0);
                    best = Some((gain, (k, cut, value(s[0]), value(s[1]))));
                }
            }
        }
        let Some((_, stump)) = best else { break };
        for (s, r) in f.iter_mut().zip(&train.rows) {
            *s += if r[stump.0] > stump.1 { stump.3 } else { stump.2 };
        }
        stumps.push(stump);
    }
    move |r: &[f32]| stumps.iter().map(|&(k, cut, low, high)| if r[k] > cut { high } else { low }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feature 0 tells the class in `strength` of the rows; feature 1 is noise.
    fn table(strength: u32) -> Table {
        let mut t = Table::default();
        for i in 0..400u32 {
            let class = i % 2 == 0;
            let noise = |k: u32| (i.wrapping_mul(2_654_435_761 + k) >> 16) as f32 / 65536.0;
            let told = (i / 2) % 100 < strength;
            t.rows.push(vec![if told { f32::from(u8::from(class)) } else { noise(1) }, noise(7)]);
            t.classes.push(class);
        }
        t
    }

    #[test]
    fn a_planted_shortcut_is_found_and_noise_is_not() {
        let strong = table(90);
        let of = |scorer: &dyn Fn(&[f32]) -> f32, t: &Table| auc(&t.rows.iter().map(|r| scorer(r)).collect::<Vec<_>>(), &t.classes);
        assert!(of(&logistic(&strong), &strong) > 0.85);
        assert!(of(&boosted(&strong), &strong) > 0.85);
        assert!((of(&logistic(&table(0)), &table(0)) - 0.5).abs() < 0.12);
    }

    #[test]
    fn auc_of_known_orders() {
        assert_eq!(auc(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true]), 1.0);
        assert_eq!(auc(&[0.5, 0.5], &[true, false]), 0.5);
        assert_eq!(auc(&[0.5, 0.1], &[false, true]), 0.0);
        assert!((chance_error(&[true, false].repeat(500)) - 0.018).abs() < 0.001);
    }
}
