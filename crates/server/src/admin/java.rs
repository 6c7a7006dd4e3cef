//! How Java writes numbers, dates and addresses: scripts and exporters read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::net::{IpAddr, SocketAddr};

/// A mean with four decimals at most, half rounded up by its exact value, as `AvgMinMaxCounter`
/// rounds. `value` is not negative.
pub fn rounded_to_4(value: f64) -> f64 {
    const DECIMALS: u128 = 10_000;
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as i32 - 1075;
    if !value.is_finite() || exponent >= 0 {
        return value;
    }
    let scaled = u128::from(bits & ((1 << 52) - 1) | 1 << 52) * DECIMALS;
    let shift = -exponent as u32;
    if shift > 100 {
        return 0.0;
    }
    let half = (scaled >> (shift - 1)) & 1;
    ((scaled >> shift) + half) as f64 / DECIMALS as f64
}

/// A double as `Double.toString` writes it: one decimal at least, scientific from 10^7 on and
/// below 10^-3.
pub fn double(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "Infinity" } else { "-Infinity" }).to_owned()
    } else if size == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{value:?}")
    } else {
        let text = format!("{value:E}");
        match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        }
    }
}

/// The peer of a socket: an address without a name begins with a slash, and an IPv6 address has
/// all its groups.
pub fn address(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("/{ip}:{}", address.port()),
        IpAddr::V6(ip) => {
            let groups = ip.segments().map(|group| format!("{group:x}"));
            format!("/[{}]:{}", groups.join(":"), address.port())
        }
    }
}

/// A time, ms since 1970, as `Date.toString` writes it in a time zone.
pub fn date(wall_ms: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(wall_ms).unwrap_or(Timestamp::MAX);
    let zoned = time.to_zoned(zone.clone());
    zoned.strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (4.28, "4.28"),
            (11.3088, "11.3088"),
            (2.0, "2.0"),
            (0.001, "0.001"),
            (0.0005, "5.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1_795_236_527_332.0, "1.795236527332E12"),
            (-1.5e300, "-1.5E300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn means_are_rounded_half_up_by_their_exact_value() {
        let cases = [
            (0.0, 0.0),
            (1.0 / 3.0, 0.3333),
            (2.0 / 3.0, 0.6667),
            // Exactly half: 0.03125 has five decimals.
            (1.0 / 32.0, 0.0313),
            // Written 0.00015, and a little less than that.
            (0.000_15, 0.0001),
            (0.00005, 0.0001),
            (0.000_049, 0.0),
            (1e-30, 0.0),
            (f64::MIN_POSITIVE, 0.0),
            (123_456_789.0, 123_456_789.0),
            (1e300, 1e300),
            (9.999_95, 10.0),
            (29.0 / 97.0, 0.299),
        ];
        for (value, rounded) in cases {
            assert_eq!(rounded_to_4(value), rounded, "{value}");
        }
    }

    #[test]
    fn addresses_begin_with_a_slash() {
        let v4: SocketAddr = "127.0.0.1:52166".parse().unwrap();
        assert_eq!(address(v4), "/127.0.0.1:52166");
        let v6: SocketAddr = "[2001:db8::1f]:80".parse().unwrap();
        assert_eq!(address(v6), "/[2001:db8:0:0:0:0:0:1f]:80");
    }

    #[test]
    fn dates_name_their_zone() {
        assert_eq!(
            date(1_795_238_436_999, &TimeZone::UTC),
            "Sat Nov 21 05:20:36 UTC 2026"
        );
        assert_eq!(date(0, &TimeZone::UTC), "Thu Jan 01 00:00:00 UTC 1970");
    }
}
