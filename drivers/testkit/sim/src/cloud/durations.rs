//! How long things take, in the real cloud's time: drawn from what was recorded.

use std::time::Duration;

use super::random::Random;
use crate::resource::Kind;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Create(Kind),
    Update(Kind),
    Delete(Kind),
    Power(&'static str),
    /// A deployment begins, or is forgotten.
    Deploy,
    /// A group with so many machines.
    DeleteGroup(usize),
}

impl Work {
    /// How long it takes this time.
    pub(crate) fn takes(self, random: &mut Random) -> Duration {
        let dice = random.fraction();
        let seconds = match self {
            // p25 40 s, median 80 s, p90 144 s of 247 recordings.
            Self::Create(Kind::Machine) => {
                quantile(dice, &[(0.0, 28.0), (0.25, 40.0), (0.5, 80.0), (0.9, 144.0), (1.0, 180.0)])
            }
            // 348 of 374 were done when they answered.
            Self::Create(Kind::Interface) => {
                if dice < 0.93 {
                    0.0
                } else {
                    1.0
                }
            }
            Self::Create(Kind::Disk) => 2.0 + dice,
            Self::Create(_) => 0.8 + 0.6 * dice,
            Self::Update(Kind::Machine) => 8.0 + 10.0 * dice,
            Self::Update(_) => 0.6 + 0.8 * dice,
            Self::Delete(Kind::Machine) => quantile(dice, &[(0.0, 25.0), (0.5, 43.0), (1.0, 80.0)]),
            Self::Delete(Kind::Interface) => 3.0 + 7.0 * dice,
            Self::Delete(_) => 1.5 + 3.0 * dice,
            Self::Power("deallocated") => 30.0 + 20.0 * dice,
            Self::Power(_) => 12.0 + 15.0 * dice,
            Self::Deploy => 1.0 + dice,
            Self::DeleteGroup(machines) => {
                18.0 + 8.0 * dice + if machines > 0 { 45.0 + 30.0 * dice } else { 0.0 }
            }
        };
        Duration::from_secs_f64(seconds)
    }
}

/// Between recorded points, a straight line.
fn quantile(at: f64, points: &[(f64, f64)]) -> f64 {
    for pair in points.windows(2) {
        let ((from, low), (to, high)) = (pair[0], pair[1]);
        if at <= to {
            return low + (high - low) * (at - from) / (to - from);
        }
    }
    points.last().map_or(0.0, |(_, value)| *value)
}
