//! A small ESRGAN (after Wang et al. 2018): doubles the size of a picture, and leaves its own traces.
//!
//! The package holds a Keras model as a list of float arrays, so its twelve convolutions are written out here: residual dense
//! blocks of one layer, two local and one global skip, nearest-neighbour enlargement. Pictures are `[height, width, channel]`,
//! values 0..1; borders are zero, as Keras pads.

use std::path::Path;

use super::{Known, read};
use crate::error::Result;
use crate::native::annotate::pixels::Img;

/// The weights of the ×2 model of npm's `@upscalerjs/esrgan-slim` 1.0.0; MIT.
pub const ESRGAN: Known = Known {
    file: "esrgan-slim-x2.bin",
    source: "ESRGAN ×2 of npm @upscalerjs/esrgan-slim 1.0.0",
    sha256: "5cb464ae4d390ce0a771afd5feaf60fbfcdb18ab48a56db98cdf6b88202369de",
};

/// The convolutions in the order of the file: side of the kernel, channels in, channels out; biases follow kernels.
const LAYERS: [(Layer, usize, usize, usize); 12] = [
    (Layer::Inner, 3, 64, 64),
    (Layer::Dense1, 3, 64, 4),
    (Layer::Dense2, 3, 64, 4),
    (Layer::First, 3, 3, 64),
    (Layer::Global1, 1, 128, 64),
    (Layer::Global2, 3, 64, 64),
    (Layer::Local1, 1, 68, 64),
    (Layer::Local2, 1, 68, 64),
    (Layer::Last, 3, 12, 3),
    (Layer::Up1, 5, 64, 64),
    (Layer::Up2, 3, 64, 32),
    (Layer::Up3, 3, 32, 12),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Inner,
    Dense1,
    Dense2,
    First,
    Global1,
    Global2,
    Local1,
    Local2,
    Last,
    Up1,
    Up2,
    Up3,
}

/// One convolution: `kernel` is `[row, column, in, out]`.
#[derive(Debug)]
struct Conv {
    layer: Layer,
    side: usize,
    outs: usize,
    kernel: Vec<f32>,
    bias: Vec<f32>,
}

/// `[height, width, channels]`.
#[derive(Debug, Clone)]
struct Map {
    w: usize,
    h: usize,
    channels: usize,
    values: Vec<f32>,
}

/// The network.
#[derive(Debug)]
pub struct Upscaler {
    layers: Vec<Conv>,
}

impl Upscaler {
    /// # Errors
    /// `io.failed`; `request.bad` for another file.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = read(path, &ESRGAN)?;
        let mut values = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        let mut take = |n: usize| -> Vec<f32> { values.by_ref().take(n).collect() };
        let layers = LAYERS
            .iter()
            .map(|&(layer, side, ins, outs)| Conv { layer, side, outs, kernel: take(side * side * ins * outs), bias: take(outs) })
            .collect();
        Ok(Self { layers })
    }

    /// The picture at twice its size.
    pub fn double(&self, image: &Img) -> Img {
        let values = image.px.iter().flatten().map(|v| v / 255.0).collect();
        let first = self.run(Layer::First, &Map { w: image.width, h: image.height, channels: 3, values });
        let inner = self.run(Layer::Inner, &first);
        let local = |x: &Map, dense: Layer, fuse: Layer| added(self.run(fuse, &joined(x, &relu(self.run(dense, x)))), x);
        let one = local(&inner, Layer::Dense1, Layer::Local1);
        let two = local(&one, Layer::Dense2, Layer::Local2);
        let features = added(self.run(Layer::Global2, &self.run(Layer::Global1, &joined(&one, &two))), &first);
        let up = relu(self.run(Layer::Up2, &relu(self.run(Layer::Up1, &features))));
        let out = self.run(Layer::Last, &doubled(&self.run(Layer::Up3, &up)));
        let px = out.values.as_chunks::<3>().0.iter().map(|p| p.map(|v| (255.0 * v).clamp(0.0, 255.0))).collect();
        Img { width: out.w, height: out.h, px }
    }

    fn run(&self, layer: Layer, x: &Map) -> Map {
        // Every layer is in the table.
        self.layers.iter().find(|c| c.layer == layer).map_or_else(|| x.clone(), |c| c.run(x))
    }
}

impl Conv {
    fn run(&self, x: &Map) -> Map {
        let (half, outs) = (self.side / 2, self.outs);
        let mut values = Vec::with_capacity(x.w * x.h * outs);
        for _ in 0..x.w * x.h {
            values.extend_from_slice(&self.bias);
        }
        for y in 0..x.h {
            for (ky, row) in self.kernel.chunks_exact(self.side * x.channels * outs).enumerate() {
                let Some(sy) = (y + ky).checked_sub(half).filter(|&v| v < x.h) else { continue };
                for (kx, taps) in row.chunks_exact(x.channels * outs).enumerate() {
                    for px in 0..x.w {
                        let Some(sx) = (px + kx).checked_sub(half).filter(|&v| v < x.w) else { continue };
                        let from = &x.values[(sy * x.w + sx) * x.channels..][..x.channels];
                        let to = &mut values[(y * x.w + px) * outs..][..outs];
                        for (v, weights) in from.iter().zip(taps.chunks_exact(outs)) {
                            to.iter_mut().zip(weights).for_each(|(o, k)| *o += v * k);
                        }
                    }
                }
            }
        }
        Map { w: x.w, h: x.h, channels: outs, values }
    }
}

fn relu(mut x: Map) -> Map {
    x.values.iter_mut().for_each(|v| *v = v.max(0.0));
    x
}

fn added(mut a: Map, b: &Map) -> Map {
    a.values.iter_mut().zip(&b.values).for_each(|(a, b)| *a += b);
    a
}

/// Channels of two maps side by side.
fn joined(a: &Map, b: &Map) -> Map {
    let pairs = a.values.chunks_exact(a.channels).zip(b.values.chunks_exact(b.channels));
    let values = pairs.flat_map(|(a, b)| a.iter().chain(b).copied()).collect();
    Map { w: a.w, h: a.h, channels: a.channels + b.channels, values }
}

/// Every pixel four times.
fn doubled(x: &Map) -> Map {
    let mut values = Vec::with_capacity(4 * x.values.len());
    for row in x.values.chunks_exact((x.w * x.channels).max(1)) {
        for _ in 0..2 {
            row.chunks_exact(x.channels).for_each(|p| (0..2).for_each(|_| values.extend_from_slice(p)));
        }
    }
    Map { w: 2 * x.w, h: 2 * x.h, channels: x.channels, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_is_centred_and_pads_with_zeros() {
        // A kernel that takes the left neighbour: [row 1, column 0].
        let mut kernel = vec![0.0; 9];
        kernel[3] = 1.0;
        let conv = Conv { layer: Layer::First, side: 3, outs: 1, kernel, bias: vec![0.5] };
        let x = Map { w: 3, h: 2, channels: 1, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
        assert_eq!(conv.run(&x).values, [0.5, 1.5, 2.5, 0.5, 4.5, 5.5]);
        let big = doubled(&x);
        assert_eq!((big.w, big.h, big.values[..6].to_vec()), (6, 4, vec![1.0, 1.0, 2.0, 2.0, 3.0, 3.0]));
        assert_eq!(joined(&x, &x).values[..4], [1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn the_sizes_are_those_of_the_file() {
        let n: usize = LAYERS.iter().map(|&(_, side, ins, outs)| side * side * ins * outs + outs).sum();
        assert_eq!(4 * n, 888_300);
    }

    #[test]
    fn an_enlarged_ramp_is_the_ramp() {
        let Some(path) = super::super::cached(&ESRGAN) else {
            eprintln!("skipped: no {} in the cache; ./build.sh nets fetches it", ESRGAN.file);
            return;
        };
        let net = Upscaler::open(&path).unwrap();
        let px = (0..24 * 20).map(|i| [60.0 + 5.0 * (i % 24) as f32, 120.0, 200.0 - 4.0 * (i / 24) as f32]).collect();
        let out = net.double(&Img { width: 24, height: 20, px });
        assert_eq!((out.width, out.height), (48, 40));
        for (x, y) in [(16, 12), (24, 20), (33, 27)] {
            let p = out.px[y * 48 + x];
            let want = [60.0 + 5.0 * (x as f32 / 2.0 - 0.25), 120.0, 200.0 - 4.0 * (y as f32 / 2.0 - 0.25)];
            assert!((0..3).all(|c| (p[c] - want[c]).abs() < 6.0), "{p:?} for {want:?}");
        }
    }
}
