//! The memory pool: a constant-product market between bytes and coins (`spec/04 §4.4`).

/// Coins that buying `bytes` from a pool costs; negative `bytes` are sold and give a price of at most zero, what
/// the seller receives.
///
/// `None` where the pool can't trade: it is empty, all of it is asked for, or a sale exceeds its range. That is a
/// host fault at the completion of a transaction and `:FUNDS` in `set-memory`. A price beyond 63 bits is
/// `i64::MAX` or `i64::MIN`, which nobody can pay.
///
/// ```
/// use cvm::state::pool;
///
/// assert_eq!(pool::price(1_000_000, 1_000_000_000_000, 1), Some(1_000_002));
/// assert_eq!(pool::price(1_000_000, 1_000_000_000_000, 1_000_000), None);
/// ```
#[must_use]
pub fn price(pool_bytes: i64, pool_coins: i64, bytes: i64) -> Option<i64> {
    if pool_bytes <= 0 || pool_coins <= 0 || bytes >= pool_bytes {
        return None;
    }
    let left = pool_bytes.checked_sub(bytes).filter(|&left| left > 0)?;
    let value = i128::from(pool_bytes) * i128::from(pool_coins) / i128::from(left);
    Some(match i64::try_from(value) {
        Ok(value) => value - pool_coins + 1,
        Err(_) if bytes > 0 => i64::MAX,
        Err(_) => i64::MIN,
    })
}

#[cfg(test)]
mod tests {
    use super::price;

    /// The table of `spec/04 §4.4`.
    #[test]
    fn prices_are_those_of_the_specification() {
        let (a, c) = (1_000_000, 1_000_000_000_000);
        for (bytes, pool_bytes, pool_coins, expected) in [
            (1, a, c, 1_000_002),
            (100, a, c, 100_010_002),
            (-100, a, c, -99_990_000),
            (999_999, a, c, 999_999_000_000_000_001),
            (-1, a, 5, 0),
            (-1, 5, a, -166_666),
            (-3_000_000_000, a, c, -999_666_777_740),
        ] {
            assert_eq!(
                price(pool_bytes, pool_coins, bytes),
                Some(expected),
                "{bytes} of {pool_bytes}/{pool_coins}"
            );
        }
    }

    #[test]
    fn an_empty_pool_or_an_order_for_all_of_it_has_no_price() {
        assert_eq!(price(0, 5, -1), None);
        assert_eq!(price(5, 0, 1), None);
        assert_eq!(price(5, 5, 5), None);
        assert_eq!(price(5, 5, i64::MIN), None);
    }

    #[test]
    fn a_price_beyond_63_bits_saturates() {
        assert_eq!(
            price(1_000_000_000, 1_000_000_000_000_000_000, 999_999_999),
            Some(i64::MAX)
        );
    }
}
