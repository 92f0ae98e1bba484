//! Thresholds of a cap at which an alert is raised.

use domain::money::{Cents, MicroUsd};

/// Returns the thresholds that this usage has reached, in percent, lowest first.
pub fn reached(cap: Cents, usage: MicroUsd) -> &'static [u8] {
    let (cap, usage) = (u128::from(cap.micro_usd().micro_usd()), u128::from(usage.micro_usd()));
    let count = THRESHOLDS.iter().take_while(|percent| usage * 100 >= cap * u128::from(**percent)).count();
    THRESHOLDS.get(..count).unwrap_or_default()
}

const THRESHOLDS: &[u8] = &[50, 80, 100];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threshold_is_exact_to_a_millionth_of_a_dollar() {
        let cap = Cents::parse_usd("0.07").unwrap();
        for (usage, thresholds) in [
            (0, &[][..]),
            (34_999, &[]),
            (35_000, &[50]),
            (55_999, &[50]),
            (56_000, &[50, 80]),
            (69_999, &[50, 80]),
            (70_000, &[50, 80, 100]),
            (u64::MAX, &[50, 80, 100]),
        ] {
            assert_eq!(reached(cap, MicroUsd::new(usage)), thresholds, "{usage}");
        }
    }
}
