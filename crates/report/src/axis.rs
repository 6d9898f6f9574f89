//! Axes: from values to places, and the round numbers marked along the way.

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit.
    pub label: String,
    /// Whether equal steps are equal factors; what is not positive cannot be drawn then.
    pub log: bool,
    /// First and last value shown; none to show all data.
    pub range: Option<(f64, f64)>,
    /// Places to mark and what to write there; empty for round numbers.
    pub ticks: Vec<(f64, String)>,
    /// Whether there are no marks, and no lines where both axes are hidden: for diagrams.
    pub hidden: bool,
}

impl Axis {
    /// A linear axis that shows all data.
    pub fn linear(label: &str) -> Self {
        Self {
            label: label.to_string(),
            log: false,
            range: None,
            ticks: Vec::new(),
            hidden: false,
        }
    }

    /// A linear axis from `lo` to `hi` that is not drawn.
    pub fn hidden(lo: f64, hi: f64) -> Self {
        Self {
            hidden: true,
            ..Self::linear("").range(lo, hi)
        }
    }

    /// A logarithmic axis that shows all positive data.
    pub fn log(label: &str) -> Self {
        Self {
            log: true,
            ..Self::linear(label)
        }
    }

    /// The same axis from `lo` to `hi`.
    pub fn range(mut self, lo: f64, hi: f64) -> Self {
        self.range = Some((lo, hi));
        self
    }

    /// The same axis marked at these places.
    pub fn ticks<S: Into<String>>(mut self, ticks: impl IntoIterator<Item = (f64, S)>) -> Self {
        self.ticks = ticks
            .into_iter()
            .map(|(at, label)| (at, label.into()))
            .collect();
        self
    }

    /// Whether the given range can be shown.
    pub(crate) fn range_is_valid(&self) -> bool {
        self.range.is_none_or(|(lo, hi)| {
            lo < hi && lo.is_finite() && hi.is_finite() && (!self.log || 0.0 < lo)
        })
    }
}

/// A mark: its place from 0 to 1, and its text; none for a minor one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub at: f64,
    pub label: Option<String>,
}

/// A range of values laid over 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    lo: f64,
    hi: f64,
    log: bool,
}

impl Scale {
    /// The scale of `axis` for data from `extent.0` to `extent.1`, with `pad` of the span left free on either side.
    pub(crate) fn new(axis: &Axis, extent: (f64, f64), pad: (f64, f64)) -> Self {
        let log = axis.log;
        let place = |value: f64| if log { value.log10() } else { value };
        if let Some((lo, hi)) = axis.range {
            let (lo, hi) = (place(lo), place(hi));
            return Self { lo, hi, log };
        }
        let (mut lo, mut hi) = (place(extent.0), place(extent.1));
        if hi - lo <= 1e-12 * hi.abs().max(lo.abs()) {
            let half = if log { 0.5 } else { (0.1 * hi.abs()).max(1e-9) };
            (lo, hi) = (lo - half, hi + half);
        }
        let span = hi - lo;
        Self {
            lo: lo - pad.0 * span,
            hi: hi + pad.1 * span,
            log,
        }
    }

    /// Where a value lies, 0 to 1 inside the range; none when it is not finite or has no logarithm.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        let value = if self.log { value.log10() } else { value };
        value
            .is_finite()
            .then(|| (value - self.lo) / (self.hi - self.lo))
    }

    /// The value at a place.
    pub(crate) fn value(&self, place: f64) -> f64 {
        let value = self.lo + place * (self.hi - self.lo);
        if self.log { 10f64.powf(value) } else { value }
    }

    /// Marks for an axis of `length`, labels `spacing` apart or more, and the power of ten to be
    /// told in the axis label, 0 for none. `width` measures a label along the axis.
    pub(crate) fn ticks(
        &self,
        length: f64,
        spacing: f64,
        width: impl Fn(&str) -> f64,
    ) -> (Vec<Tick>, i32) {
        let mut spacing = spacing;
        loop {
            let most = (length / spacing).max(1.0);
            let (ticks, power) = if self.log {
                (self.log_ticks(most), 0)
            } else {
                self.linear_ticks(most)
            };
            if spacing > length || !crowded(&ticks, length, &width) {
                return (ticks, power);
            }
            spacing *= 1.4;
        }
    }

    fn linear_ticks(&self, most: f64) -> (Vec<Tick>, i32) {
        let step = round_step((self.hi - self.lo) / most);
        let largest = self.lo.abs().max(self.hi.abs());
        let power = match largest.log10().floor() as i32 {
            power if (-3..5).contains(&power) => 0,
            power => power,
        };
        let decimals = (power - (step.log10() + 1e-9).floor() as i32).max(0) as usize;
        let ticks = multiples(step, self.lo, self.hi)
            .map(|value| Tick {
                at: (value - self.lo) / (self.hi - self.lo),
                label: Some(with_minus(format!(
                    "{:.decimals$}",
                    value / 10f64.powi(power)
                ))),
            })
            .collect();
        (ticks, power)
    }

    fn log_ticks(&self, most: f64) -> Vec<Tick> {
        let (lo, hi) = (self.lo, self.hi);
        let tick = |value: f64, label: Option<String>| Tick {
            at: (value.log10() - lo) / (hi - lo),
            label,
        };
        let inside = |value: f64| (lo - 1e-9..=hi + 1e-9).contains(&value.log10());
        let (first, last) = ((lo - 1e-9).ceil() as i32, (hi + 1e-9).floor() as i32);
        if hi - lo < 1.7 {
            // Less than two decades: 1, 2, 5, or round steps where even those are too few.
            let few = (first - 1..=last)
                .flat_map(|k| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(k)))
                .filter(|&value| inside(value));
            let mut values: Vec<f64> = few.collect();
            if values.len() < 3 {
                let (a, b) = (10f64.powf(lo), 10f64.powf(hi));
                values = multiples(round_step((b - a) / most.min(6.0)), a, b).collect();
            }
            return values
                .into_iter()
                .map(|value| tick(value, Some(short(value))))
                .collect();
        }
        let stride = ((f64::from(last - first + 1) / most).ceil() as i32).max(1);
        let small = first >= -3 && last <= 3;
        let mut ticks = Vec::new();
        for k in first - 1..=last {
            let decade = 10f64.powi(k);
            if inside(decade) {
                let label = if small {
                    short(decade)
                } else {
                    power_of_ten(k)
                };
                ticks.push(tick(decade, (k.rem_euclid(stride) == 0).then_some(label)));
            }
            if stride == 1 && hi - lo < 9.0 {
                let minor = (2..10)
                    .map(|m| f64::from(m) * decade)
                    .filter(|&v| inside(v));
                ticks.extend(minor.map(|value| tick(value, None)));
            }
        }
        ticks
    }
}

/// `10` with the exponent raised.
pub(crate) fn power_of_ten(power: i32) -> String {
    let digits = power.to_string();
    let raised = digits.chars().map(|c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
    });
    format!("10{}", raised.collect::<String>())
}

fn crowded(ticks: &[Tick], length: f64, width: &impl Fn(&str) -> f64) -> bool {
    let mut end = f64::NEG_INFINITY;
    for tick in ticks {
        if let Some(label) = &tick.label {
            let half = 0.5 * width(label);
            if tick.at * length - half < end + 6.0 {
                return true;
            }
            end = tick.at * length + half;
        }
    }
    false
}

/// The smallest of 1, 2, 5 × 10ᵏ that is not below `step`.
fn round_step(step: f64) -> f64 {
    let decade = 10f64.powi(step.log10().floor() as i32);
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|m| m * decade >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * decade
}

fn multiples(step: f64, lo: f64, hi: f64) -> impl Iterator<Item = f64> {
    let first = (lo / step - 1e-9).ceil();
    let count = ((hi / step + 1e-9).floor() - first).max(-1.0) as usize + 1;
    (0..count).map(move |i| (first + i as f64) * step)
}

fn short(value: f64) -> String {
    with_minus(crate::number::plain(value))
}

fn with_minus(text: String) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: Axis, extent: (f64, f64), length: f64) -> (Vec<String>, i32) {
        let scale = Scale::new(&axis, extent, (0.0, 0.0));
        let (ticks, power) = scale.ticks(length, 60.0, |text| 7.0 * text.len() as f64);
        (
            ticks.into_iter().filter_map(|tick| tick.label).collect(),
            power,
        )
    }

    #[test]
    fn linear_marks_are_round() {
        let axis = || Axis::linear("x");
        assert_eq!(
            labels(axis(), (0.0, 1.0), 300.0).0,
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(axis(), (-1.0, 1.0), 200.0).0, ["−1", "0", "1"]);
        assert_eq!(
            labels(axis(), (0.0, 3e5), 300.0),
            (["0", "1", "2", "3"].map(String::from).to_vec(), 5)
        );
        assert_eq!(
            labels(axis(), (0.0, 1e-5), 120.0),
            (["0.0", "0.5", "1.0"].map(String::from).to_vec(), -5)
        );
    }

    #[test]
    fn log_marks_are_decades_or_their_parts() {
        assert_eq!(
            labels(Axis::log("x"), (1.0, 1e3), 300.0).0,
            ["1", "10", "100", "1000"]
        );
        assert_eq!(
            labels(Axis::log("x"), (1e-6, 1e-3), 300.0).0,
            ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³"]
        );
        assert_eq!(
            labels(Axis::log("x"), (100.0, 1600.0), 400.0).0,
            ["100", "200", "500", "1000"]
        );
        assert_eq!(labels(Axis::log("x"), (50.0, 100.0), 400.0).0.len(), 6);
        assert_eq!(labels(Axis::log("x"), (1e-20, 1.0), 200.0).0.len(), 3);
    }

    #[test]
    fn places_and_values_are_inverse() {
        for axis in [Axis::linear("x"), Axis::log("x")] {
            let scale = Scale::new(&axis, (2.0, 50.0), (0.1, 0.1));
            assert!((scale.value(scale.place(7.0).unwrap()) - 7.0).abs() < 1e-12);
        }
        let scale = Scale::new(&Axis::log("x"), (1.0, 10.0), (0.0, 0.0));
        assert_eq!(scale.place(0.0), None);
        assert_eq!(scale.place(-1.0), None);
        assert_eq!(scale.place(f64::NAN), None);
    }

    #[test]
    fn a_single_value_still_has_a_range() {
        for value in [0.0, 5.0, -3.0] {
            let scale = Scale::new(&Axis::linear("x"), (value, value), (0.0, 0.0));
            assert!((scale.place(value).unwrap() - 0.5).abs() < 1e-9);
        }
    }

    #[test]
    fn impossible_ranges_are_noticed() {
        assert!(!Axis::linear("x").range(1.0, 1.0).range_is_valid());
        assert!(!Axis::linear("x").range(f64::NAN, 1.0).range_is_valid());
        assert!(!Axis::log("x").range(0.0, 1.0).range_is_valid());
        assert!(Axis::linear("x").range(0.0, 1.0).range_is_valid());
    }
}
