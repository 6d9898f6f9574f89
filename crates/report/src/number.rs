//! Numbers as a table shows them: an error to two digits, its value to the same place.

/// Powers of ten from which a number is written with an exponent.
const LARGE: i32 = 6;
const SMALL: i32 = -5;

/// `value ± mcse` with the error to two significant digits and the value to the same decimal place.
///
/// Large and small numbers share one exponent: `(1.234 ± 0.056)e-7`. An error of zero reads `± 0`
/// and leaves the value as [`plain`].
///
/// # Panics
/// If a number is not finite or the error negative.
pub fn with_error(value: f64, mcse: f64) -> String {
    assert!(
        value.is_finite() && (0.0..f64::INFINITY).contains(&mcse),
        "no format for {value} ± {mcse}"
    );
    if mcse == 0.0 {
        return format!("{} ± 0", plain(value));
    }
    let (_, last) = rounded(mcse, 1);
    let top = exponent(value).max(last);
    let shift = if top >= LARGE || last <= SMALL {
        top
    } else {
        0
    };
    let decimals = shift + 1 - last;
    let (value, mcse) = (fixed(value, shift, decimals), fixed(mcse, shift, decimals));
    match shift {
        0 => format!("{value} ± {mcse}"),
        _ => format!("({value} ± {mcse})e{shift}"),
    }
}

/// A number without an error: integers whole, others to five significant digits.
///
/// # Panics
/// If it is not finite.
pub fn plain(value: f64) -> String {
    assert!(value.is_finite(), "no format for {value}");
    if value == value.trunc() && value.abs() < 1e9 {
        return fixed(value, 0, 0);
    }
    let (value, power) = rounded(value, 4);
    if (SMALL + 1..LARGE).contains(&power) {
        without_trailing_zeros(fixed(value, 0, 4 - power))
    } else {
        let mantissa = without_trailing_zeros(fixed(value, power, 4));
        format!("{mantissa}e{power}")
    }
}

/// `value` rounded to `1 + decimals` significant digits, and its exponent after rounding.
fn rounded(value: f64, decimals: usize) -> (f64, i32) {
    let text = format!("{value:.decimals$e}");
    let power = text
        .split_once('e')
        .and_then(|(_, power)| power.parse().ok());
    (text.parse().unwrap_or(value), power.unwrap_or(0))
}

fn exponent(value: f64) -> i32 {
    if value == 0.0 {
        i32::MIN
    } else {
        rounded(value, 0).1
    }
}

/// `value / 10^shift` to that many decimals; a negative number of them rounds left of the point.
fn fixed(value: f64, shift: i32, decimals: i32) -> String {
    // Scaling through text is exact where a division by a power of ten is not.
    let scaled: f64 = if shift == 0 {
        value
    } else {
        let text = format!("{value:e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let power = power.parse::<i32>().unwrap_or(0) - shift;
        format!("{mantissa}e{power}").parse().unwrap_or(value)
    };
    let text = match usize::try_from(decimals) {
        Ok(decimals) => format!("{scaled:.decimals$}"),
        Err(_) => {
            let unit = 10f64.powi(-decimals);
            format!("{:.0}", (scaled / unit).round() * unit)
        }
    };
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_string(),
        _ => text,
    }
}

fn without_trailing_zeros(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_error_sets_the_place() {
        for (value, mcse, text) in [
            (1.23456, 0.0567, "1.235 ± 0.057"),
            (1.23456, 0.0996, "1.23 ± 0.10"),
            (1.23456, 0.00995, "1.235 ± 0.010"),
            (12.3, 4.56, "12.3 ± 4.6"),
            (4321.0, 12.3, "4321 ± 12"),
            (4321.0, 123.0, "4320 ± 120"),
            (-0.0001, 0.12, "0.00 ± 0.12"),
            (0.0, 0.5, "0.00 ± 0.50"),
            (1.2346e-7, 3.4e-9, "(1.235 ± 0.034)e-7"),
            (1.0e-7, 3.4e-5, "(0.0 ± 3.4)e-5"),
            (150_281.5, 7.77, "150281.5 ± 7.8"),
            (2.5e8, 3.0e6, "(2.500 ± 0.030)e8"),
            (0.5, 0.0, "0.5 ± 0"),
        ] {
            assert_eq!(with_error(value, mcse), text);
        }
    }

    #[test]
    fn plain_numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (80_896.0, "80896"),
            (51.06, "51.06"),
            (-2.0 / 3.0, "-0.66667"),
            (99_999.96, "100000"),
            (123_456.7, "123460"),
            (1_234_567.8, "1.2346e6"),
            (1.5e-7, "1.5e-7"),
            (1e-4, "0.0001"),
            (1e12, "1e12"),
        ] {
            assert_eq!(plain(value), text);
        }
    }

    /// The numbers and the unit of the last place that a text shows.
    fn read(text: &str) -> (f64, f64, f64) {
        let (inner, power) = match text.strip_prefix('(') {
            Some(rest) => rest.split_once(")e").unwrap(),
            None => (text, "0"),
        };
        let scale = 10f64.powi(power.parse().unwrap());
        let (value, mcse) = inner.split_once(" ± ").unwrap();
        let decimals = mcse.split_once('.').map_or(0, |(_, d)| d.len() as i32);
        let mut unit = 10f64.powi(-decimals);
        if decimals == 0 && mcse.len() > 2 {
            unit = 10f64.powi(mcse.len() as i32 - 2);
        }
        let number = |text: &str| text.parse::<f64>().unwrap() * scale;
        (number(value), number(mcse), unit * scale)
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_to_the_last_place(
            mantissa in -9.99f64..9.99, power in -12i32..12, ratio in -4f64..1.0,
        ) {
            let value = mantissa * 10f64.powi(power);
            let mcse = 10f64.powi(power) * 10f64.powf(ratio);
            let text = with_error(value, mcse);
            let (v, e, unit) = read(&text);
            let half = 0.5 * unit * (1.0 + 1e-9) + 1e-12 * value.abs();
            prop_assert!((v - value).abs() <= half, "{value} -> {text}");
            prop_assert!((e - mcse).abs() <= half, "{mcse} -> {text}");
            prop_assert!((9.4..100.6).contains(&(e / unit)), "{mcse} -> {text}");
        }

        #[test]
        fn plain_keeps_five_digits(mantissa in 1.0f64..9.99, power in -20i32..20) {
            let value = mantissa * 10f64.powi(power);
            let back: f64 = plain(value).parse().unwrap();
            prop_assert!((back - value).abs() <= 5.1e-5 * 10f64.powi(power), "{value}");
        }
    }
}
