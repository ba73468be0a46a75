//! EfficientNet-Lite0, from a crop to maps at strides 4 to 32.
//!
//! A convolutional network that learned ImageNet from pixels keeps what a segmentation backbone learns to ignore, and fine-tuning one
//! end to end is what detectors of forgeries do (e.g. Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022). The
//! Lite variant has no squeeze-and-excitation and ReLU6 throughout, so it is made of two kinds of layers only. Sources:
//! EfficientNet (Tan and Le 2019, arXiv 1905.11946), `tpu/models/official/efficientnet/lite`. Batch normalisations are folded into the convolutions when
//! weights are converted; the stem also takes the high-pass band, with weights that start at zero. Filters are padded alike on
//! all sides, where upstream pads strided ones on the far sides only: half a cell of shift, which training takes up.

use super::dense::{Act, conv2d};
use crate::error::Result;
use crate::weights::{Conv, Vars};
use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// Stages: how many blocks, filter's side, step of the first block, widening.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6)];

/// Stages after which a level of the pyramid is taken: strides 4, 8, 16, 32.
const LEVELS: [usize; 4] = [1, 2, 4, 6];

/// Channels of the stem and of the seven stages.
pub type Dims = [usize; 8];

/// The network, see the module's text.
#[derive(Module, Debug)]
pub struct Lite {
    stem: Conv2d,
    stages: Vec<Stage>,
}

#[derive(Module, Debug)]
struct Stage {
    blocks: Vec<Bottleneck>,
}

/// Inverted bottleneck: 1×1 widen, depthwise, 1×1 narrow; with the input added where the shape stays.
#[derive(Module, Debug)]
struct Bottleneck {
    expand: Option<Conv2d>,
    depthwise: Conv2d,
    project: Conv2d,
    joins: bool,
}

impl Lite {
    /// Names `stem`, `stages.{0..6}.blocks.{i}.{expand,depthwise,project}`.
    ///
    /// # Errors
    /// `weights.*`
    pub fn build(dims: &Dims, v: &Vars) -> Result<Self> {
        let stage = |i: usize| -> Result<Stage> {
            let (blocks, kernel, stride, widen) = STAGES[i];
            let v = v.pp("stages").pp(i).pp("blocks");
            let block = |j: usize| {
                let first = j == 0;
                let [d_in, d_out] = [if first { dims[i] } else { dims[i + 1] }, dims[i + 1]];
                Bottleneck::build([d_in, d_out], widen, kernel, if first { stride } else { 1 }, !first, &v.pp(j))
            };
            Ok(Stage { blocks: (0..blocks).map(block).collect::<Result<_>>()? })
        };
        Ok(Self {
            stem: v.conv2d("stem", [6, dims[0]], Conv::same(3).stride(2), true)?,
            stages: (0..STAGES.len()).map(stage).collect::<Result<_>>()?,
        })
    }

    /// Blocks of each stage.
    pub fn depths() -> [usize; 7] {
        STAGES.map(|s| s.0)
    }

    /// Channels of the levels that [`Lite::forward`] gives.
    pub fn levels(dims: &Dims) -> [usize; 4] {
        LEVELS.map(|i| dims[i + 1])
    }

    /// The first filters, and those of a block in the middle, for tests of derivatives.
    #[cfg(test)]
    pub(super) fn some(&self) -> [Tensor<4>; 4] {
        let block = &self.stages[2].blocks[0];
        let expand = block.expand.as_ref().expect("a block that widens");
        [&self.stem, expand, &block.depthwise, &block.project].map(|c| c.weight.val())
    }

    /// Image and its high-pass band, `[b, 6, s, s]` → maps at strides 4, 8, 16, 32, `[b, c, s/stride, s/stride]`.
    pub fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = conv2d(&self.stem, x, None, Act::Relu6).permute([0, 2, 3, 1]);
        let mut levels = Vec::with_capacity(LEVELS.len());
        for (i, stage) in self.stages.iter().enumerate() {
            for block in &stage.blocks {
                x = block.forward(x);
            }
            if LEVELS.contains(&i) {
                levels.push(x.clone().permute([0, 3, 1, 2]));
            }
        }
        levels
    }
}

impl Bottleneck {
    fn build([d_in, d_out]: [usize; 2], widen: usize, kernel: usize, stride: usize, joins: bool, v: &Vars) -> Result<Self> {
        let wide = d_in * widen;
        let across = Conv::same(kernel).stride(stride).groups(wide);
        Ok(Self {
            expand: (widen > 1).then(|| v.conv2d("expand", [d_in, wide], Conv::same(1), true)).transpose()?,
            depthwise: v.conv2d("depthwise", [wide, wide], across, true)?,
            project: v.conv2d("project", [wide, d_out], Conv::same(1), true)?,
            joins,
        })
    }

    /// `[b, h, w, c] → [b, h', w', c']`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut y = x.clone();
        if let Some(expand) = &self.expand {
            y = last(expand, y, Act::Relu6, None);
        }
        y = last(&self.depthwise, y, Act::Relu6, None);
        last(&self.project, y, Act::None, self.joins.then_some(x))
    }
}

#[cfg(test)]
thread_local! {
    /// Whether burn derives all layers, for a test that compares.
    pub(super) static PLAINLY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(feature = "native")]
fn plainly() -> bool {
    #[cfg(test)]
    return PLAINLY.get();
    #[cfg(not(test))]
    false
}

/// A layer on `[b, h, w, c]`, whatever the device: with derivatives on the CPU by [`super::lite_grad`], otherwise by
/// [`super::dense`].
fn last(conv: &Conv2d, x: Tensor<4>, act: Act, add: Option<Tensor<4>>) -> Tensor<4> {
    #[cfg(feature = "native")]
    if let (true, Some(bias)) = (super::dense::is_tracked_cpu(&x) && !plainly(), &conv.bias) {
        let depthwise = if conv.groups > 1 { conv.kernel_size[0] } else { 0 };
        let kind = super::lite_grad::Kind { depthwise, stride: conv.stride[0], act: act == Act::Relu6 };
        let y = super::lite_grad::layer(x, conv.weight.val(), bias.val(), kind);
        return match add {
            Some(add) => y + add,
            None => y,
        };
    }
    let first = |x: Tensor<4>| x.permute([0, 3, 1, 2]);
    conv2d(conv, first(x), add.map(first), act).permute([0, 2, 3, 1])
}
