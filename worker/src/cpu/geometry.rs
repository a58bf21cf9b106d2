//! The sizes of a convolution, and its column matrix.

/// The shape of a square-kernel convolution of NCHW images (groups 1, dilation 1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// Images.
    pub(super) n: usize,
    /// Input channels.
    pub(super) cin: usize,
    /// Input rows.
    pub(super) h: usize,
    /// Input columns.
    pub(super) w: usize,
    /// Output channels.
    pub(super) cout: usize,
    /// Side of the kernel.
    pub(super) k: usize,
    /// Step between output positions.
    pub(super) stride: usize,
    /// Zeros on each side.
    pub(super) pad: usize,
}

/// The output positions along one axis whose input position lies inside the image.
struct Reach {
    /// First output position inside.
    low: usize,
    /// One past the last.
    high: usize,
    /// Input position of `low`.
    first: usize,
}

impl Geometry {
    /// Output rows.
    pub(super) fn oh(&self) -> usize {
        (self.h + 2 * self.pad - self.k) / self.stride + 1
    }

    /// Output columns.
    pub(super) fn ow(&self) -> usize {
        (self.w + 2 * self.pad - self.k) / self.stride + 1
    }

    /// Output positions of one image.
    pub(super) fn positions(&self) -> usize {
        self.oh() * self.ow()
    }

    /// Rows of the column matrix: input channel times kernel offset.
    pub(super) fn rows(&self) -> usize {
        self.cin * self.k * self.k
    }

    /// Values of one input image.
    pub(super) fn input(&self) -> usize {
        self.cin * self.h * self.w
    }

    /// Values of one output image.
    pub(super) fn output(&self) -> usize {
        self.cout * self.positions()
    }

    /// A 1×1 kernel at stride 1: the image itself is its column matrix. Small images are gathered all the same,
    /// because a product of a few columns is slow.
    pub(super) fn is_pointwise(&self) -> bool {
        self.k == 1 && self.stride == 1 && self.pad == 0 && self.positions() >= 256
    }

    /// Images whose column matrix has about `columns` columns.
    pub(super) fn images_for(&self, columns: usize) -> usize {
        columns.div_ceil(self.positions()).clamp(1, self.n)
    }

    fn reach(&self, offset: usize, inputs: usize, outputs: usize) -> Reach {
        let low = self.pad.saturating_sub(offset).div_ceil(self.stride).min(outputs);
        let high = (inputs + self.pad).saturating_sub(offset).div_ceil(self.stride).clamp(low, outputs);
        Reach { low, high, first: (low * self.stride + offset).saturating_sub(self.pad).min(inputs) }
    }

    /// Row `r` of the column matrix, counted from channel `c0`, for the images of `x`: `[images, positions]`.
    pub(super) fn column_row(&self, x: &[f32], c0: usize, r: usize, row: &mut [f32]) {
        let kk = self.k * self.k;
        let (c, ky, kx) = (c0 + r / kk, r % kk / self.k, r % self.k);
        let (oh, ow, stride) = (self.oh(), self.ow(), self.stride);
        let (rows, columns) = (self.reach(ky, self.h, oh), self.reach(kx, self.w, ow));
        for (image, out) in x.chunks_exact(self.input()).zip(row.chunks_exact_mut(oh * ow)) {
            let plane = &image[c * self.h * self.w..][..self.h * self.w];
            out[..rows.low * ow].fill(0.0);
            out[rows.high * ow..].fill(0.0);
            let inside = out[rows.low * ow..rows.high * ow].chunks_exact_mut(ow);
            for (line, out) in plane[rows.first * self.w..].chunks(self.w).step_by(stride).zip(inside) {
                out[..columns.low].fill(0.0);
                out[columns.high..].fill(0.0);
                let out = &mut out[columns.low..columns.high];
                if out.is_empty() {
                    continue;
                }
                let line = &line[columns.first..];
                if stride == 1 {
                    out.copy_from_slice(&line[..out.len()]);
                } else {
                    out.iter_mut().zip(line.iter().step_by(stride)).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }

    /// Adds the column matrix of one image, whose columns begin at `at` in rows of length `length`, back onto
    /// the image's planes.
    pub(super) fn add_columns(&self, columns: &[f32], length: usize, at: usize, image: &mut [f32]) {
        let (oh, ow, stride) = (self.oh(), self.ow(), self.stride);
        for (c, plane) in image.chunks_exact_mut(self.h * self.w).enumerate() {
            for ky in 0..self.k {
                let rows = self.reach(ky, self.h, oh);
                for kx in 0..self.k {
                    let reach = self.reach(kx, self.w, ow);
                    if reach.low == reach.high || rows.low == rows.high {
                        continue;
                    }
                    let row = &columns[((c * self.k + ky) * self.k + kx) * length + at..][..oh * ow];
                    let inside = row[rows.low * ow..rows.high * ow].chunks_exact(ow);
                    let lines = plane[rows.first * self.w..].chunks_mut(self.w).step_by(stride);
                    for (line, source) in lines.zip(inside) {
                        let (line, source) = (&mut line[reach.first..], &source[reach.low..reach.high]);
                        if stride == 1 {
                            line.iter_mut().zip(source).for_each(|(to, from)| *to += *from);
                        } else {
                            line.iter_mut().step_by(stride).zip(source).for_each(|(to, from)| *to += *from);
                        }
                    }
                }
            }
        }
    }
}
