//! Sizes and rates as they are written on the command line.
//!
//! The syntax is rsync's: a number, possibly with a fraction, a unit letter (`b k m g t p`, upper or lower case),
//! after the letter nothing or `iB` for powers of 1024 and `B` for powers of 1000, and at last `+1` or `-1`. A comma is
//! refused, since it begins a fraction for one and parts thousands for another.

use std::str::FromStr;

/// A number of bytes, written without a unit or with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Size(pub u64);

/// Why a text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum InvalidSize {
    /// It does not have the syntax.
    #[error("a size is a number with an optional unit, like 700, 64K or 1.5MB")]
    Syntax,
    /// It does not fit 64 bits.
    #[error("the size is too large")]
    TooLarge,
}

/// Digits after the point that count. More would not change a size of less than 2^63 bytes by one.
const FRACTION_DIGITS: u32 = 18;

impl FromStr for Size {
    type Err = InvalidSize;
    fn from_str(text: &str) -> Result<Size, InvalidSize> {
        parse(text, 'b').map(Size)
    }
}

/// Reads a size; `default_unit` is the letter for a number without one.
pub(in crate::cli) fn parse(text: &str, default_unit: char) -> Result<u64, InvalidSize> {
    let (text, adjust) = match (text.strip_suffix("+1"), text.strip_suffix("-1")) {
        (Some(text), _) => (text, 1),
        (None, Some(text)) => (text, -1),
        (None, None) => (text, 0),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or(InvalidSize::Syntax)?;
    let scale = scale(unit, default_unit).ok_or(InvalidSize::Syntax)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidSize::Syntax);
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| InvalidSize::TooLarge)? };
    let bytes = whole.checked_mul(scale).ok_or(InvalidSize::TooLarge)?;
    let bytes = bytes.checked_add(fraction_of(fraction, scale)).ok_or(InvalidSize::TooLarge)?;
    let bytes = u64::try_from(bytes).map_err(|_| InvalidSize::TooLarge)?;
    bytes.checked_add_signed(adjust).ok_or(InvalidSize::TooLarge)
}

/// The part of `scale` that the digits after the point are, rounded down.
fn fraction_of(digits: &str, scale: u128) -> u128 {
    let (mut numerator, mut denominator) = (0_u128, 1_u128);
    for digit in digits.chars().take(FRACTION_DIGITS as usize).filter_map(|c| c.to_digit(10)) {
        numerator = numerator * 10 + u128::from(digit);
        denominator *= 10;
    }
    numerator.saturating_mul(scale) / denominator
}

/// The bytes of a unit.
fn scale(unit: &str, default_unit: char) -> Option<u128> {
    let mut letters = unit.chars();
    let letter = letters.next().unwrap_or(default_unit).to_ascii_lowercase();
    let exponent = "bkmgtp".find(letter).and_then(|at| u32::try_from(at).ok())?;
    let base: u128 = match letters.as_str() {
        "" => 1024,
        rest if rest.eq_ignore_ascii_case("ib") && exponent > 0 => 1024,
        rest if rest.eq_ignore_ascii_case("b") && exponent > 0 => 1000,
        _ => return None,
    };
    Some(base.pow(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_rsync_reads_them() {
        for (text, unit, bytes) in [
            ("0", 'b', 0),
            ("700", 'b', 700),
            ("700b", 'k', 700),
            ("1", 'k', 1024),
            ("1.5m", 'k', 1_572_864),
            (".5k", 'b', 512),
            ("1.", 'k', 1024),
            ("10K", 'b', 10_240),
            ("10KiB", 'b', 10_240),
            ("10KB", 'b', 10_000),
            ("1.5mb", 'b', 1_500_000),
            ("1G", 'b', 1 << 30),
            ("2T", 'b', 2 << 40),
            ("1P-1", 'b', (1 << 50) - 1),
            ("1K+1", 'b', 1025),
        ] {
            assert_eq!(parse(text, unit), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in
            ["", "k", "x", "-5", "1x", "1kk", "1bb", "1.2.3", "1K+2", "+1", "1 K", "1e3", "1,5K", "65,536"]
        {
            assert_eq!(parse(text, 'b'), Err(InvalidSize::Syntax), "{text}");
        }
        for text in ["99999999999999999999", "99999999P", &"9".repeat(60), "0-1"] {
            assert_eq!(parse(text, 'b'), Err(InvalidSize::TooLarge), "{text}");
        }
    }
}
