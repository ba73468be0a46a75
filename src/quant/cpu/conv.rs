//! Convolutions on channels-last images `[b, h, w, c]`: patches as rows of a fixed-point product ([`super::fixed`]), and the depthwise
//! 3×3 directly.

use super::fixed::{Order, Rows, Weight, product};
use super::share;

/// Shape of a convolution; height and width alike.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Images.
    pub b: usize,
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Channels in.
    pub c_in: usize,
    /// Channels out.
    pub c_out: usize,
    /// Kernel's side.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: usize,
}

impl Shape {
    /// Height and width of the output.
    pub fn out(&self) -> [usize; 2] {
        self.size.map(|s| (s + 2 * self.padding - self.kernel) / self.stride + 1)
    }

    /// First input row or column under an output's kernel, and the kernel's range that lies inside of the input.
    fn span(&self, at: usize, size: usize) -> (usize, std::ops::Range<usize>) {
        let first = at * self.stride;
        let from = self.padding.saturating_sub(first);
        let to = self.kernel.min((size + self.padding).saturating_sub(first));
        ((first + from).saturating_sub(self.padding), from..to.max(from))
    }
}

/// The weight `[c_out, c_in, k, k]` of a convolution for [`conv`], its inputs in the order of patches: channels last.
pub fn rounded(s: Shape, weight: &[f32]) -> Weight {
    let (k, cells) = (s.c_in * s.kernel * s.kernel, s.kernel * s.kernel);
    assert_eq!(weight.len(), s.c_out * k);
    if cells == 1 {
        return Weight::new(weight, k, s.c_out, Order::OutIn);
    }
    let mut ordered = vec![0.0; weight.len()];
    for (from, to) in weight.chunks_exact(k).zip(ordered.chunks_exact_mut(k)) {
        for (c, from) in from.chunks_exact(cells).enumerate() {
            from.iter().enumerate().for_each(|(i, v)| to[i * s.c_in + c] = *v);
        }
    }
    Weight::new(&ordered, k, s.c_out, Order::OutIn)
}

/// `x [b, h, w, c_in]`, weight as [`rounded`] → `[b, h', w', c_out]`; `finish` as in [`product`], a row being a pixel.
pub fn conv(s: Shape, x: &[f32], weight: &Weight, bias: Option<&[f32]>, finish: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let (Shape { b, size: [h, w], c_in, c_out, kernel, .. }, [rows, columns]) = (s, s.out());
    assert!(x.len() == b * h * w * c_in && weight.dims() == [c_in * kernel * kernel, c_out]);
    let mut out = vec![0.0; b * rows * columns * c_out];
    if kernel == 1 && s.stride == 1 && s.padding == 0 {
        product(b * h * w, weight, bias, |i, to| to.push(&x[i * c_in..][..c_in]), finish, &mut out);
        return out;
    }
    let patch = |i: usize, to: &mut Rows| {
        let (image, row, column) = (i / columns / rows, i / columns % rows, i % columns);
        let ((y, down), (left, across)) = (s.span(row, h), s.span(column, w));
        to.push_with(|patch| {
            if down.len() < kernel || across.len() < kernel {
                patch.fill(0.0);
            }
            for (y, ky) in (y..).zip(down) {
                let from = &x[((image * h + y) * w + left) * c_in..][..across.len() * c_in];
                patch[(ky * kernel + across.start) * c_in..][..from.len()].copy_from_slice(from);
            }
        });
    };
    product(b * rows * columns, weight, bias, patch, finish, &mut out);
    out
}

/// One filter a channel: `x [b, h, w, c]`, weight `[c, 1, k, k]` → `[b, h', w', c]`; exact f32. `finish` takes whole pixels.
pub fn depthwise(s: Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, finish: impl Fn(&mut [f32]) + Sync) -> Vec<f32> {
    const WIDE: usize = 16;
    let (Shape { b, size: [h, w], c_in: c, kernel, .. }, [rows, columns]) = (s, s.out());
    let cells = kernel * kernel;
    assert!(x.len() == b * h * w * c && weight.len() == c * cells && s.c_out == c && bias.is_none_or(|v| v.len() == c));
    // [k, k, c].
    let mut taps = vec![0.0; weight.len()];
    for (channel, from) in weight.chunks_exact(cells).enumerate() {
        from.iter().enumerate().for_each(|(i, v)| taps[i * c + channel] = *v);
    }
    let line = |i: usize, out: &mut [f32]| {
        let (image, row) = (i / rows, i % rows);
        let (y, down) = s.span(row, h);
        for (column, out) in out.chunks_exact_mut(c).enumerate() {
            let (left, across) = s.span(column, w);
            match bias {
                Some(bias) => out.copy_from_slice(bias),
                None => out.fill(0.0),
            }
            let tap = |ky: usize, kx: usize| {
                let from = ((image * h + y + ky - down.start) * w + left + kx - across.start) * c;
                (&x[from..][..c], &taps[(ky * kernel + kx) * c..][..c])
            };
            let (groups, rest) = out.as_chunks_mut::<WIDE>();
            for (g, sums) in groups.iter_mut().enumerate() {
                let mut acc = *sums;
                for ky in down.clone() {
                    for kx in across.clone() {
                        let (x, t) = tap(ky, kx);
                        let x: &[f32; WIDE] = x[g * WIDE..].first_chunk().expect("whole group");
                        let t: &[f32; WIDE] = t[g * WIDE..].first_chunk().expect("whole group");
                        for i in 0..WIDE {
                            acc[i] += x[i] * t[i];
                        }
                    }
                }
                *sums = acc;
            }
            let done = c - rest.len();
            for (i, sum) in rest.iter_mut().enumerate() {
                for ky in down.clone() {
                    for kx in across.clone() {
                        let (x, t) = tap(ky, kx);
                        *sum += x[done + i] * t[done + i];
                    }
                }
            }
        }
        finish(out);
    };
    let mut out = vec![0.0; b * rows * columns * c];
    if out.is_empty() {
        return out;
    }
    let mut rooms = share::rooms(2 * out.len() * cells, || ());
    share::pieces(&mut out, columns * c, &mut rooms, |(), i, out| line(i, out));
    out
}
