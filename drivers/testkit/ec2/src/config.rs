//! What a simulated account is like.

use std::time::Duration;

/// One account.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many times as fast as the real one everything is.
    pub times: f64,
    /// Whether the published rate limits hold.
    pub throttled: bool,
    /// How long things take.
    pub durations: Durations,
    /// The access key that signs in.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// Who is let in for an hour without a key of its own.
    pub role: Role,
    /// How far its clock is ahead of the caller's.
    pub ahead: Duration,
    /// What every call with this session token is told: that it has expired.
    pub expired_token: String,
    /// Actions that the account may not do, such as `RunInstances`.
    pub denied: Vec<String>,
    /// Zones, by their letter, that have no room.
    pub full: Vec<char>,
    /// Whether there is a default VPC.
    pub default_vpc: bool,
}

/// A role of the account, and what is handed out to whoever takes it on.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What whoever takes it on must show: a job's token, the portal's, or a container's.
    pub proof: String,
    /// The access key.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// The session token that goes with both.
    pub token: String,
}

/// How long things take, in the account's own time.
#[derive(Debug, Clone, Copy)]
pub struct Durations {
    /// From a call to an instance that runs.
    pub boot: Duration,
    /// From a call to one that is stopped.
    pub stop: Duration,
    /// From a call to one that is gone.
    pub end: Duration,
    /// Until lists show what is new, and its id is known.
    pub lag: Duration,
    /// Until a request whose sender is gone is carried out.
    pub late: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            times: 1.0,
            throttled: false,
            durations: Durations {
                boot: Duration::from_secs(12),
                stop: Duration::from_secs(20),
                end: Duration::from_secs(25),
                lag: Duration::from_secs(3),
                late: Duration::from_secs(10),
            },
            key: "AKIAWHARFTESTS000001".to_owned(),
            secret: "wharf-tests-secret".to_owned(),
            role: Role {
                name: "deployer".to_owned(),
                proof: "header.of-this-job.signature".to_owned(),
                key: "ASIAWHARFTESTS000001".to_owned(),
                secret: "wharf-tests-secret-for-an-hour".to_owned(),
                token: "wharf-tests-session".to_owned(),
            },
            ahead: Duration::ZERO,
            expired_token: "expired".to_owned(),
            denied: Vec::new(),
            full: Vec::new(),
            default_vpc: true,
        }
    }
}
