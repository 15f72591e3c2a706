//! How fast a simulated cloud may be on this computer.
//!
//! In a world that is hundreds of times as fast as a real cloud, everything that takes its time follows the world's
//! clock: what the cloud does, its limits, and every deadline. What a client computes meanwhile does not. On a slow or
//! busy computer a second of it is minutes there, and verbs end at deadlines that they would be far from anywhere else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What [`work`] takes, unoptimised, where the suites of all clouds run beside each other at full speed.
const USUAL: Duration = Duration::from_millis(30);

/// However busy a computer is, a world becomes no slower than this: its suite must end.
const SLOWEST: f64 = 3.0;

/// `times`, or as much less as this computer is slow or busy at the moment.
#[must_use]
pub fn bearable(times: f64) -> f64 {
    let begun = Instant::now();
    work();
    times / slowness(begun.elapsed())
}

fn slowness(took: Duration) -> f64 {
    took.div_duration_f64(USUAL).clamp(1.0, SLOWEST)
}

/// As code of clients does it: allocating, formatting, looking up.
fn work() {
    let words: BTreeMap<String, u64> =
        (0..8000_u64).map(|n| (format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), n)).collect();
    std::hint::black_box(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_slowed_down_as_the_computer_is_and_within_bounds() {
        for (millis, expected) in [(1, 1.0), (30, 1.0), (45, 1.5), (90, 3.0), (60_000, 3.0)] {
            assert!((slowness(Duration::from_millis(millis)) - expected).abs() < 1e-9, "{millis}");
        }
        let now = bearable(400.0);
        assert!((133.0..=400.0).contains(&now), "{now}");
    }
}
