//! The arithmetic of chart axes: ranges, round ticks and their labels.

/// The unit of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As they are.
    Number,
    /// Values in 0–1 as percentages.
    Percent,
}

/// Smallest and largest value; (0, 1) for none.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if ends.0 <= ends.1 { ends } else { (0.0, 1.0) }
}

/// The range, opened by `margin` on both sides where it is too narrow to put ticks into.
pub(super) fn widened((low, high): (f64, f64), margin: f64) -> (f64, f64) {
    let narrow = 1e-9 * low.abs().max(high.abs()).max(1e-9);
    if high - low > narrow { (low, high) } else { (low - margin, high + margin) }
}

/// A step of 1, 2 or 5 times a power of ten that divides `span` into about `parts` (Heckbert 1990).
pub(super) fn round_step(span: f64, parts: f64) -> f64 {
    let raw = span / parts;
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| raw <= factor * power * (1.0 + 1e-9)).unwrap_or(10.0);
    factor * power
}

/// The multiples of `step` in `[low, high]`.
pub(super) fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-6).ceil() as i64;
    let last = (high / step + 1e-6).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The label of a tick, with as many decimals as the step between ticks needs.
pub(super) fn tick_label(value: f64, step: f64, unit: Unit) -> String {
    let (value, step, suffix) = match unit {
        Unit::Number => (value, step, ""),
        Unit::Percent => (100.0 * value, 100.0 * step, " %"),
    };
    // A tick at zero may come out as a negative zero.
    let value = value + 0.0;
    if !(1e-4..1e5).contains(&step) {
        return format!("{value:.1e}{suffix}");
    }
    let decimals = (-(step * (1.0 + 1e-9)).log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(ticks(0.0, 1.0, round_step(1.0, 4.0)), [0.0, 0.5, 1.0]);
        assert_eq!(round_step(0.8, 4.0), 0.2);
        assert_eq!(ticks(1.0, 10.0, round_step(9.0, 6.0).max(1.0)), [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(tick_label(0.30000000000000004, 0.1, Unit::Number), "0.3");
        assert_eq!(tick_label(-0.0, 0.05, Unit::Percent), "0 %");
    }
}
