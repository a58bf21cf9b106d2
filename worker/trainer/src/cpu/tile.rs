//! Register tiles: the innermost loops of every convolution, for maps whose channels are last.
//!
//! All directions are sums of products over *sites*: a site pairs a place in the framed input with a place in the
//! output. There is no unsafe code: `pulp` compiles the loops for AVX-512, AVX2 and other instruction sets. The lengths
//! of slices are fixed before the innermost loop, so that the loop has no bounds check. The order of every sum is a
//! function of the shape only.
//!
//! An accumulator is an array of vectors in registers. With AVX-512 (32 registers) it is 8 sites of up to 3 vectors
//! of 16. With other instruction sets (AVX2 has 16 registers) it is 4 sites of up to 3 vectors.

use pulp::Simd;

/// The places that one output pixel reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    input: u32,
    output: u32,
}

impl Site {
    /// Returns a site from the offsets of the first value that it reads and of the first that it writes.
    pub(super) fn new(input: usize, output: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).expect("the maps of a batch have fewer than 2^32 values");
        Self { input: narrow(input), output: narrow(output) }
    }

    /// Returns the same site of a later image.
    pub(super) fn moved(self, input: usize, output: usize) -> Self {
        Self::new(self.input() + input, self.output() + output)
    }

    /// Returns the offset of the first value that it reads.
    #[inline(always)]
    pub(super) fn input(self) -> usize {
        self.input as usize
    }

    #[inline(always)]
    fn output(self) -> usize {
        self.output as usize
    }
}

/// The input values that one site sees: `count` runs of `length` consecutive values, `stride` apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Number of runs: rows of the kernel.
    pub(super) count: usize,
    /// Number of values in a run: columns of the kernel times channels.
    pub(super) length: usize,
    /// Distance between the starts of two runs.
    pub(super) stride: usize,
}

/// Whether a tile starts a sum or adds to the output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// The output's values are replaced.
    Begin,
    /// The output's values are added to.
    Continue,
}

/// The output of a pass over one panel at each site.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Channels of the panel.
    pub(super) width: usize,
    /// Whether the pass starts a sum or adds to the output.
    pub(super) sum: Sum,
}

/// Computes `output[site] (+)= Σ window(site) · weights` for the channels of one panel: `weights` is
/// `[count][length][V]` vectors.
#[inline(always)]
pub(super) fn gather<S: Simd, const V: usize>(
    simd: S,
    input: &[f32],
    window: Window,
    weights: &[f32],
    output: &mut [f32],
    sites: &[Site],
    target: Target,
) {
    let mut rest = sites;
    if S::F32_LANES >= 16 || V == 1 {
        let (whole, tail) = rest.as_chunks::<8>();
        rest = tail;
        for sites in whole {
            gather_tile::<S, 8, V>(simd, input, window, weights, output, sites, target);
        }
    }
    let (whole, tail) = rest.as_chunks::<4>();
    for sites in whole {
        gather_tile::<S, 4, V>(simd, input, window, weights, output, sites, target);
    }
    let (whole, tail) = tail.as_chunks::<2>();
    for sites in whole {
        gather_tile::<S, 2, V>(simd, input, window, weights, output, sites, target);
    }
    for site in tail {
        gather_tile::<S, 1, V>(simd, input, window, weights, output, std::array::from_ref(site), target);
    }
}

#[inline(always)]
fn gather_tile<S: Simd, const P: usize, const V: usize>(
    simd: S,
    input: &[f32],
    window: Window,
    weights: &[f32],
    output: &mut [f32],
    sites: &[Site; P],
    Target { width, sum }: Target,
) {
    let (vectors, _) = S::as_simd_f32s(weights);
    let (vectors, _) = vectors.as_chunks::<V>();
    let mut acc = [[simd.splat_f32s(0.0); V]; P];
    if sum == Sum::Continue {
        for p in 0..P {
            acc[p] = load::<S, V>(simd, &output[sites[p].output()..][..width]);
        }
    }
    for r in 0..window.count {
        let runs: [&[f32]; P] =
            std::array::from_fn(|p| &input[sites[p].input() + r * window.stride..][..window.length]);
        let vectors = &vectors[r * window.length..][..window.length];
        for j in 0..window.length {
            let w = vectors[j];
            for p in 0..P {
                let value = simd.splat_f32s(runs[p][j]);
                for v in 0..V {
                    acc[p][v] = simd.mul_add_e_f32s(value, w[v], acc[p][v]);
                }
            }
        }
    }
    for p in 0..P {
        store::<S, V>(simd, &mut output[sites[p].output()..][..width], acc[p]);
    }
}

/// Computes a tile of the weight's gradient, `target[J][V] += Σ_sites input[site + at ..][..J] ⊗
/// output[site][..width]`. Returns J, the number of rows that it did.
#[inline(always)]
pub(super) fn outer<S: Simd, const J: usize, const V: usize>(
    simd: S,
    input: &[f32],
    at: usize,
    output: &[f32],
    sites: &[Site],
    width: usize,
    target: &mut [f32],
) -> usize {
    let full = V * S::F32_LANES;
    let mut acc = [[simd.splat_f32s(0.0); V]; J];
    for j in 0..J {
        acc[j] = load::<S, V>(simd, &target[j * full..][..full]);
    }
    let input = &input[at..];
    if width == full {
        for site in sites {
            let values = input[site.input()..].first_chunk::<J>().expect("a window lies inside the framed input");
            let (d, _) = S::as_simd_f32s(&output[site.output()..][..full]);
            let d = d.first_chunk::<V>().expect("that many values are V vectors");
            accumulate(simd, values, d, &mut acc);
        }
    } else {
        for site in sites {
            let values = input[site.input()..].first_chunk::<J>().expect("a window lies inside the framed input");
            let d = load::<S, V>(simd, &output[site.output()..][..width]);
            accumulate(simd, values, &d, &mut acc);
        }
    }
    for j in 0..J {
        store::<S, V>(simd, &mut target[j * full..][..full], acc[j]);
    }
    J
}

/// Computes `acc[j][v] += values[j] · d[v]`.
#[inline(always)]
fn accumulate<S: Simd, const J: usize, const V: usize>(
    simd: S,
    values: &[f32; J],
    d: &[S::f32s; V],
    acc: &mut [[S::f32s; V]; J],
) {
    for j in 0..J {
        let value = simd.splat_f32s(values[j]);
        for v in 0..V {
            acc[j][v] = simd.mul_add_e_f32s(value, d[v], acc[j][v]);
        }
    }
}

/// Returns up to `V` vectors of `values`, with zeros beyond.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, values: &[f32]) -> [S::f32s; V] {
    let lanes = S::F32_LANES;
    let mut vectors = [simd.splat_f32s(0.0); V];
    for (v, vector) in vectors.iter_mut().enumerate() {
        let from = (v * lanes).min(values.len());
        let part = &values[from..values.len().min(from + lanes)];
        *vector = if part.len() == lanes { S::as_simd_f32s(part).0[0] } else { simd.partial_load_f32s(part) };
    }
    vectors
}

#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, values: &mut [f32], vectors: [S::f32s; V]) {
    let lanes = S::F32_LANES;
    let length = values.len();
    for (v, vector) in vectors.into_iter().enumerate() {
        let from = (v * lanes).min(length);
        let part = &mut values[from..length.min(from + lanes)];
        if part.len() == lanes {
            S::as_mut_simd_f32s(part).0[0] = vector;
        } else {
            simd.partial_store_f32s(part, vector);
        }
    }
}
