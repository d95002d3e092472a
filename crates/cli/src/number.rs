//! Numbers of flags: what is no number of the range is told the range, whatever is wrong with it.

use std::ops::RangeInclusive;

/// A parser of whole numbers within `range`.
pub(crate) fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_no_number_of_the_range_is_told_the_range() {
        let read = number::<u16>(1..=1_024);
        assert_eq!((read("1"), read("1024")), (Ok(1), Ok(1_024)));
        for wrong in ["0", "1025", "-1", "99999999999999999999", "many", "", "1.5"] {
            assert_eq!(read(wrong), Err("expected a number from 1 to 1024".to_owned()), "{wrong}");
        }
    }
}
