//! A token bucket for new connections, with a probability of refusal that rises while the bucket
//! is empty (`BlueThrottle` in Java, `zookeeper.connection_throttle_*`).

/// How the bucket fills and empties.
#[derive(Debug, Clone, PartialEq)]
pub struct ThrottleSettings {
    /// Size of the bucket; 0: no limit.
    pub tokens: i64,
    /// ms between two fillings.
    pub fill_time_ms: i64,
    /// Tokens added.
    pub fill_count: i64,
    /// ms between two changes of the probability; `None`: it stays 0.
    pub freeze_time_ms: Option<i64>,
    /// Step up of the probability.
    pub drop_increase: f64,
    /// Step down of the probability.
    pub drop_decrease: f64,
    /// Part of the bucket that may be empty for a step down.
    pub decrease_ratio: f64,
    /// Tokens that a new session costs.
    pub new_session: i64,
    /// Tokens that a reconnect costs.
    pub renew_session: i64,
}

impl Default for ThrottleSettings {
    /// No limit.
    fn default() -> Self {
        ThrottleSettings {
            tokens: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            new_session: 1,
            renew_session: 1,
        }
    }
}

/// The bucket.
#[derive(Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    tokens: i64,
    filled_ms: i64,
    frozen_ms: i64,
    drop: f64,
    random: u64,
}

impl Throttle {
    /// A full bucket. `seed` draws who is refused.
    pub fn new(settings: ThrottleSettings, seed: u64, now_ms: i64) -> Throttle {
        let tokens = settings.tokens;
        let random = seed | 1;
        Throttle {
            settings,
            tokens,
            filled_ms: now_ms,
            frozen_ms: now_ms,
            drop: 0.0,
            random,
        }
    }

    /// Takes the tokens of a handshake; `false` refuses it.
    pub fn admit(&mut self, renews: bool, now_ms: i64) -> bool {
        let settings = &self.settings;
        if settings.tokens == 0 {
            return true;
        }
        let need = if renews {
            settings.renew_session
        } else {
            settings.new_session
        };
        let passed = now_ms - self.filled_ms;
        if passed > settings.fill_time_ms {
            let refill = passed.saturating_mul(settings.fill_count) / settings.fill_time_ms.max(1);
            self.tokens = self.tokens.saturating_add(refill).clamp(0, settings.tokens);
            self.filled_ms = now_ms;
        }
        if self.is_unlucky(now_ms) || self.tokens < need {
            return false;
        }
        self.tokens -= need;
        true
    }

    /// Tokens that are missing in the bucket.
    pub fn deficit(&self) -> i64 {
        self.settings.tokens - self.tokens
    }

    /// The probability of a refusal now, 0 to 1.
    pub fn drop_probability(&self) -> f64 {
        self.drop
    }

    fn is_unlucky(&mut self, now_ms: i64) -> bool {
        let settings = &self.settings;
        let Some(freeze_ms) = settings.freeze_time_ms else {
            return false;
        };
        if now_ms - self.frozen_ms > freeze_ms {
            let used = settings.tokens - self.tokens;
            let slack = (settings.tokens as f64 * settings.decrease_ratio).round() as i64;
            if used == settings.tokens {
                self.drop = (self.drop + settings.drop_increase).min(1.0);
            } else if used <= slack {
                self.drop = (self.drop - settings.drop_decrease).max(0.0);
            }
            self.frozen_ms = now_ms;
        }
        // xorshift64: good enough to choose whom to refuse.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64 / (1u64 << 53) as f64) < self.drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_refuses_until_it_is_filled() {
        let settings = ThrottleSettings {
            tokens: 3,
            fill_time_ms: 100,
            fill_count: 1,
            renew_session: 2,
            ..ThrottleSettings::default()
        };
        let mut throttle = Throttle::new(settings, 1, 0);
        assert!(throttle.admit(true, 0) && throttle.admit(false, 0));
        assert!(
            !throttle.admit(false, 100),
            "the time of a filling must have passed"
        );
        assert!(throttle.admit(false, 101));
        assert!(!throttle.admit(true, 101));
    }

    #[test]
    fn an_empty_bucket_makes_refusals_likely() {
        let settings = ThrottleSettings {
            tokens: 1,
            fill_time_ms: i64::MAX,
            freeze_time_ms: Some(0),
            drop_increase: 1.0,
            ..ThrottleSettings::default()
        };
        let mut throttle = Throttle::new(settings, 1, 0);
        assert!(throttle.admit(false, 1));
        assert!(!throttle.admit(false, 2));
        assert_eq!(throttle.drop, 1.0);
    }

    #[test]
    fn no_tokens_mean_no_limit() {
        let mut throttle = Throttle::new(ThrottleSettings::default(), 1, 0);
        assert!((0..1000).all(|_| throttle.admit(false, 0)));
    }
}
