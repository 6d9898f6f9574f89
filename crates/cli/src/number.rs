//! Fractions and decimal numbers as text.

use num_rational::Rational64;

/// The exact value of `p`, `p/q` or a decimal number such as `-0.25`; `None` for anything else, or out of range.
pub fn rational(text: &str) -> Option<Rational64> {
    if let Some((numer, denom)) = text.split_once('/') {
        let denom = whole(denom)?;
        return (0 < denom).then(|| whole(numer).map(|numer| Rational64::new(numer, denom)))?;
    }
    let Some((before, after)) = text.split_once('.') else {
        return whole(text).map(Rational64::from_integer);
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !(digits(before.strip_prefix('-').unwrap_or(before)) && digits(after)) {
        return None;
    }
    let denom = 10_i64.checked_pow(u32::try_from(after.len()).ok()?)?;
    Some(Rational64::new(whole(&format!("{before}{after}"))?, denom))
}

/// A number as a human reads it: ten digits at most, unless rounding makes it infinite.
pub fn decimal(x: f64) -> String {
    let rounded = format!("{x:.9e}").parse().ok();
    let ten_digits = rounded.filter(|y: &f64| y.is_finite()).unwrap_or(x);
    if x == 0.0 || (1e-4..1e16).contains(&x.abs()) {
        format!("{ten_digits}")
    } else {
        format!("{ten_digits:e}")
    }
}

fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // -i64::MAX is the least: the negative of i64::MIN does not exist.
    text.parse().ok().filter(|&n| plain && n != i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions() {
        for (text, numer, denom) in [
            ("3", 3, 1),
            ("-3", -3, 1),
            ("6/4", 3, 2),
            ("-1/2", -1, 2),
            ("0.5", 1, 2),
            ("-0.25", -1, 4),
            ("-1.5", -3, 2),
            ("0.1", 1, 10),
            ("9223372036854775807", i64::MAX, 1),
        ] {
            assert_eq!(
                rational(text),
                Some(Rational64::new(numer, denom)),
                "{text}"
            );
        }
        for text in [
            "",
            "-",
            "/",
            "1/",
            "/2",
            "1/0",
            "1/-2",
            "1/2/3",
            ".5",
            "5.",
            "1.2.3",
            "1e3",
            "+1",
            " 1",
            "--1",
            "1.-2",
            "one",
            "9223372036854775808",
            "-9223372036854775808",
            "0.12345678901234567890123",
        ] {
            assert_eq!(rational(text), None, "{text}");
        }
    }

    #[test]
    fn decimals() {
        for (x, shown) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (-12.25, "-12.25"),
            (1e-7, "1e-7"),
            (2.5e20, "2.5e20"),
            (2.0 / 3.0, "0.6666666667"),
            (123_456_789_012.0, "123456789000"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(decimal(x), shown);
        }
    }
}
