//! Numbers as they are shown: grouped by thousands, in plain digits, or in units.

/// How numbers are shown, after rsync's levels of `-h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Numbers {
    level: u8,
}

const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];

impl Numbers {
    /// Numbers at a level: 0 plain digits, 1 grouped by thousands, 2 in units of 1000, 3 and up in units of 1024.
    pub(in crate::cli) fn new(level: u8) -> Numbers {
        Numbers { level }
    }

    /// How wide a column of sizes is: without commas and units, less is enough.
    pub(in crate::cli) fn width(self) -> usize {
        if self.level == 0 { 11 } else { 14 }
    }

    /// A count, which never gets a unit.
    pub(in crate::cli) fn count(self, number: u64) -> String {
        if self.level == 0 { number.to_string() } else { grouped(number) }
    }

    /// A number of bytes.
    pub(in crate::cli) fn bytes(self, number: u64) -> String {
        let base = match self.level {
            0 | 1 => return self.count(number),
            2 => 1000,
            _ => 1024,
        };
        if number < base { self.count(number) } else { scaled(number, base) }
    }

    /// A number of bytes with `digits` after the point.
    pub(in crate::cli) fn bytes_with_fraction(self, number: f64, digits: usize) -> String {
        let whole = whole(number);
        if self.level > 1 && whole >= 1000 { self.bytes(whole) } else { self.fraction(number, digits) }
    }

    /// A number with `digits` after the point, which never gets a unit.
    pub(in crate::cli) fn fraction(self, number: f64, digits: usize) -> String {
        let plain = format!("{number:.digits$}");
        match plain.split_once('.') {
            Some((before, after)) if self.level > 0 => match before.parse() {
                Ok(before) => format!("{}.{after}", grouped(before)),
                Err(_) => plain,
            },
            _ => plain,
        }
    }
}

/// The whole part of a number that is not negative; larger ones than 2^64 become the largest there is.
fn whole(number: f64) -> u64 {
    // `as` saturates and turns what is no number into 0, which is what is wanted here.
    number as u64
}

/// A number in the largest unit in which it is at least 1, with two digits after the point.
pub(in crate::cli) fn scaled(number: u64, base: u64) -> String {
    let base = base as f64;
    let mut value = number as f64 / base;
    let mut units = UNITS.iter().peekable();
    let mut unit = units.next();
    // What is only rounded up to the base stays in its unit, as in rsync: 1000.00K.
    while value >= base && units.peek().is_some() {
        value /= base;
        unit = units.next();
    }
    format!("{value:.2}{}", unit.unwrap_or(&' '))
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_each_level() {
        for (number, shown) in [
            (0, ["0", "0", "0", "0"]),
            (999, ["999", "999", "999", "999"]),
            (1000, ["1000", "1,000", "1.00K", "1,000"]),
            (1024, ["1024", "1,024", "1.02K", "1.00K"]),
            (1_234_567, ["1234567", "1,234,567", "1.23M", "1.18M"]),
            (999_994, ["999994", "999,994", "999.99K", "976.56K"]),
            (999_999, ["999999", "999,999", "1000.00K", "976.56K"]),
            (1_048_575, ["1048575", "1,048,575", "1.05M", "1024.00K"]),
            (5_000_000_000, ["5000000000", "5,000,000,000", "5.00G", "4.66G"]),
            (u64::MAX, ["18446744073709551615", "18,446,744,073,709,551,615", "18446.74P", "16384.00P"]),
        ] {
            let levels = [0, 1, 2, 3].map(|level| Numbers::new(level).bytes(number));
            assert_eq!(levels, shown, "{number}");
        }
    }

    #[test]
    fn fractions_at_each_level() {
        for (number, shown) in [
            (0.0, ["0.00", "0.00", "0.00"]),
            (860.5, ["860.50", "860.50", "860.50"]),
            (1234.567, ["1234.57", "1,234.57", "1.23K"]),
            (1_234_567.0, ["1234567.00", "1,234,567.00", "1.23M"]),
            (f64::INFINITY, ["inf", "inf", "18446.74P"]),
        ] {
            let levels = [0, 1, 2].map(|level| Numbers::new(level).bytes_with_fraction(number, 2));
            assert_eq!(levels, shown, "{number}");
        }
    }

    #[test]
    fn counts_never_get_units() {
        assert_eq!(Numbers::new(3).count(1_234_567), "1,234,567");
        assert_eq!(Numbers::new(3).fraction(12345.678, 2), "12,345.68");
        assert_eq!(Numbers::new(0).count(1_234_567), "1234567");
    }
}
