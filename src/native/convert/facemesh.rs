//! npm `@svenflow/micro-facemesh` 0.1.2 → `face.detector.*` and `face.mesh.*`.
//!
//! The package holds MediaPipe's short-range BlazeFace and FaceMesh V2 (Apache-2.0) as raw little-endian floats beside a
//! JSON list of keys, shapes and byte offsets. Its f32 files hold the f16 values of the original TFLite files exactly, so
//! storing them in 16 bits loses nothing. Layouts change from TensorFlow's `[out, kh, kw, in]` to `[out, in, kh, kw]`,
//! depthwise `[1, kh, kw, channels]` to `[channels, 1, kh, kw]`.

use crate::error::{Error, Result, WeightsFault};
use crate::face::{detector, mesh};
use crate::weights::{Stored, TensorMap};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What an upstream tensor is: it decides the key's spelling and the change of layout.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Convolution weight.
    Conv,
    /// Depthwise convolution weight.
    Depthwise,
    /// One value a channel.
    Vector,
}
use Kind::{Conv, Depthwise, Vector};

/// Detector tensors outside of the blocks: ours, upstream's.
const DETECTOR: [(&str, &str, Kind); 10] = [
    ("stem.weight", "conv2d/Kernel", Conv),
    ("stem.bias", "conv2d/Bias", Vector),
    ("score_8.weight", "classificator_8/Kernel", Conv),
    ("score_8.bias", "classificator_8/Bias", Vector),
    ("score_16.weight", "classificator_16/Kernel", Conv),
    ("score_16.bias", "classificator_16/Bias", Vector),
    ("box_8.weight", "regressor_8/Kernel", Conv),
    ("box_8.bias", "regressor_8/Bias", Vector),
    ("box_16.weight", "regressor_16/Kernel", Conv),
    ("box_16.bias", "regressor_16/Bias", Vector),
];

/// Detector block `i`: ours, upstream's name before and after its number, first number, kind. TensorFlow writes number 0
/// as no suffix at all.
const DETECTOR_BLOCK: [(&str, &str, &str, usize, Kind); 3] = [
    ("depth.weight", "depthwise_conv2d", "/Kernel", 0, Depthwise),
    ("point.weight", "conv2d", "/Kernel", 1, Conv),
    ("point.bias", "conv2d", "/Bias", 1, Vector),
];

/// Mesh tensors outside of the units. `conv2d_152`, a third head of unknown training, is left out.
const MESH: [(&str, &str, Kind); 7] = [
    ("stem.weight", "conv2d_81/Conv2D", Conv),
    ("stem.bias", "batch_normalization_132", Vector),
    ("stem_act.alpha", "p_re_lu_126", Vector),
    ("points.weight", "conv2d_150/Conv2D", Conv),
    ("points.bias", "conv2d_150/BiasAdd", Vector),
    ("presence.weight", "conv2d_151/Conv2D", Conv),
    ("presence.bias", "conv2d_151/BiasAdd", Vector),
];

/// Mesh unit `i`: ours, upstream's layer and what follows its number, number of unit 0, numbers per unit, kind.
const MESH_UNIT: [(&str, &str, &str, usize, usize, Kind); 7] = [
    ("expand.weight", "conv2d_", "/Conv2D", 82, 2, Conv),
    ("expand.bias", "batch_normalization_", "", 133, 2, Vector),
    ("inner.alpha", "p_re_lu_", "", 127, 2, Vector),
    ("depth.weight", "depthwise_conv2d_", "", 60, 1, Depthwise),
    ("project.weight", "conv2d_", "/Conv2D", 83, 2, Conv),
    ("project.bias", "batch_normalization_", "", 134, 2, Vector),
    ("outer.alpha", "p_re_lu_", "", 128, 2, Vector),
];

/// Converts the package's `weights/` directory.
///
/// # Errors
/// `io.failed` for a missing file, `weights.*` for one that is not as described above.
pub fn facemesh(weights: &Path) -> Result<TensorMap> {
    let mut out = TensorMap::default();
    let upstream = Upstream::read(weights, "face_detector_weights")?;
    for (ours, theirs, kind) in DETECTOR {
        out.0.insert(format!("face.detector.{ours}"), upstream.get(theirs, kind)?);
    }
    for i in 0..detector::BLOCKS.len() {
        for (ours, layer, end, first, kind) in DETECTOR_BLOCK {
            let number = if first + i == 0 { String::new() } else { format!("_{}", first + i) };
            out.0.insert(format!("face.detector.blocks.{i}.{ours}"), upstream.get(&format!("{layer}{number}{end}"), kind)?);
        }
    }
    let upstream = Upstream::read(weights, "face_landmarks_weights")?;
    for (ours, theirs, kind) in MESH {
        out.0.insert(format!("face.mesh.{ours}"), upstream.get(theirs, kind)?);
    }
    for i in 0..mesh::UNITS {
        for (ours, layer, end, first, step, kind) in MESH_UNIT {
            let theirs = format!("{layer}{}{end}", first + i * step);
            out.0.insert(format!("face.mesh.units.{i}.{ours}"), upstream.get(&theirs, kind)?);
        }
    }
    Ok(out)
}

/// The JSON beside the floats.
#[derive(Deserialize)]
struct Index {
    keys: Vec<String>,
    shapes: Vec<Vec<usize>>,
    offsets: Vec<usize>,
    dtype: String,
}

/// Upstream tensors under their short keys.
struct Upstream(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Upstream {
    fn read(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(format!("{name}.json"));
        let json = std::fs::read(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
        let path = path.with_extension("bin");
        let bytes = std::fs::read(&path).map_err(|e| Error::Io(format!("{}: {e}", path.display())))?;
        Self::parse(name, &json, &bytes)
    }

    fn parse(name: &str, json: &[u8], bytes: &[u8]) -> Result<Self> {
        let bad = |why: &str| Error::weights(WeightsFault::Format, format!("{name}: {why}"));
        let index: Index = serde_json::from_slice(json).map_err(|e| bad(&e.to_string()))?;
        if index.dtype != "float32" || index.keys.len() != index.shapes.len() || index.keys.len() != index.offsets.len() {
            return Err(bad("not an index of float32 tensors"));
        }
        let mut tensors = BTreeMap::new();
        for ((key, shape), offset) in index.keys.iter().zip(index.shapes).zip(index.offsets) {
            let len = shape.iter().try_fold(4usize, |n, d| n.checked_mul(*d)).ok_or_else(|| bad(key))?;
            let data = offset.checked_add(len).and_then(|end| bytes.get(offset..end)).ok_or_else(|| bad(key))?;
            let values = data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            tensors.insert(short(key), (shape, values));
        }
        Ok(Self(tensors))
    }

    fn get(&self, key: &str, kind: Kind) -> Result<Stored> {
        let missing = || Error::weights(WeightsFault::MissingTensor, format!("upstream {key}"));
        let (shape, data) = self.0.get(key).ok_or_else(missing)?;
        if data.iter().any(|v| !v.is_finite()) {
            return Err(Error::weights(WeightsFault::NotFinite, format!("upstream {key}")));
        }
        match (kind, shape.as_slice()) {
            (Vector, _) => Ok(Stored::half([data.len()], data.clone())),
            (Conv, &[out, kh, kw, from]) => Ok(Stored::half([out, from, kh, kw], channels_first(data, out, kh * kw, from))),
            (Depthwise, &[1, kh, kw, channels]) => Ok(Stored::half([channels, 1, kh, kw], channels_first(data, 1, kh * kw, channels))),
            _ => Err(Error::weights(WeightsFault::Shape, format!("upstream {key}: {shape:?}"))),
        }
    }
}

/// The part of a key that names the tensor. Fused layers list every operation (`a/conv2d_81/..;b/..`) and nest models
/// (`model_5/model_4/..`); kept are the layer and, for a convolution with a bias, which of the two this is.
fn short(key: &str) -> String {
    let first = key.split(';').next().unwrap_or(key);
    let mut parts = first.split('/').skip_while(|p| p.starts_with("model_"));
    let layer = parts.next().unwrap_or(first);
    match parts.next() {
        Some(what) if layer.starts_with("conv2d") || matches!(what, "Kernel" | "Bias") => format!("{layer}/{what}"),
        _ => layer.into(),
    }
}

/// `[rows, spatial, channels]` → `[rows, channels, spatial]`.
fn channels_first(data: &[f32], rows: usize, spatial: usize, channels: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(data.len());
    for row in data.chunks_exact((spatial * channels).max(1)).take(rows) {
        for c in 0..channels {
            out.extend(row.iter().skip(c).step_by(channels));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shortened_to_their_layer() {
        let prelu = "model_5/model_4/model_3/p_re_lu_126/add;model_5/model_4/model_3/p_re_lu_126/Relu";
        let norm = "model_5/model_4/model_3/batch_normalization_132/FusedBatchNormV3;model_5/model_4/model_3/conv2d_81/BiasAdd";
        assert_eq!(short(prelu), "p_re_lu_126");
        assert_eq!(short(norm), "batch_normalization_132");
        assert_eq!(short("model_5/model_4/model_3/depthwise_conv2d_63/depthwise1"), "depthwise_conv2d_63");
        assert_eq!(short("model_5/model_4/conv2d_151/BiasAdd/ReadVariableOp/resource"), "conv2d_151/BiasAdd");
        assert_eq!(short("depthwise_conv2d/Kernel"), "depthwise_conv2d/Kernel");
    }

    #[test]
    fn channels_move_to_the_front() {
        // Two rows, two places, three channels.
        let data: Vec<f32> = (0..12).map(|i| i as f32).collect();
        assert_eq!(channels_first(&data, 2, 2, 3), [0., 3., 1., 4., 2., 5., 6., 9., 7., 10., 8., 11.]);
    }

    #[test]
    fn an_index_beyond_the_file_is_refused() {
        let json = br#"{"keys":["a/Bias"],"shapes":[[3]],"offsets":[0],"dtype":"float32"}"#;
        assert_eq!(Upstream::parse("t", json, &[0; 8]).err().map(|e| e.code()), Some("weights.format"));
        let huge = br#"{"keys":["a/Bias"],"shapes":[[18446744073709551615, 4]],"offsets":[0],"dtype":"float32"}"#;
        assert_eq!(Upstream::parse("t", huge, &[0; 8]).err().map(|e| e.code()), Some("weights.format"));
    }
}
