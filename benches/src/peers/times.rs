//! What a peer's program noted, counted.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

use super::{Said, Seen};
use crate::{load::Timing, measure::percentiles::histogram};

/// Of each job in microseconds on the program's clock; 0 where it did not happen.
#[derive(Debug, Clone, Copy)]
struct Noted {
    sent: f64,
    acknowledged: f64,
    started: f64,
}

pub struct Times(Vec<Noted>);

impl Times {
    /// Three doubles a job, in the order of the jobs.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path)?;
        ensure!(!bytes.is_empty() && bytes.len() % 24 == 0, "{} bytes are no times", bytes.len());
        let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes of twenty-four"));
        let noted = |job: &[u8]| Noted {
            sent: number(&job[..8]),
            acknowledged: number(&job[8..16]),
            started: number(&job[16..]),
        };
        Ok(Self(bytes.chunks_exact(24).map(noted).collect()))
    }

    /// Acknowledged, and never started.
    pub fn unfinished(&self) -> usize {
        self.0.iter().filter(|job| job.acknowledged > 0.0 && job.started == 0.0).count()
    }

    /// The window counts from the first job that was sent.
    pub fn seen(&self, timing: Timing, said: Said) -> Seen {
        let origin = self.0.iter().map(|job| job.sent).fold(f64::INFINITY, f64::min);
        let opens = origin + timing.warm_up.as_micros() as f64;
        let closes = opens + timing.window.as_micros() as f64;
        let inside = |time: f64| (opens..closes).contains(&time);
        let (mut acknowledged, mut done, mut enqueue, mut pickup) = (0_u64, 0_u64, histogram(), histogram());
        for job in &self.0 {
            done += u64::from(inside(job.started));
            if !inside(job.acknowledged) {
                continue;
            }
            acknowledged += 1;
            enqueue.saturating_record((job.acknowledged - job.sent) as u64);
            if job.started > 0.0 {
                // A handler may start before its caller has the answer.
                pickup.saturating_record((job.started - job.acknowledged).max(0.0) as u64);
            }
        }
        let per_s = |count: u64| count as f64 / timing.window.as_secs_f64();
        Seen {
            version: said.version,
            settings: said.settings,
            acknowledged_per_s: per_s(acknowledged),
            done_per_s: per_s(done),
            enqueue: (&enqueue).into(),
            pickup: (&pickup).into(),
            backlog: [self.backlog(opens), self.backlog(closes)],
        }
    }

    fn backlog(&self, at: f64) -> u64 {
        let until = |time: f64| (f64::MIN_POSITIVE..=at).contains(&time);
        self.0.iter().filter(|job| until(job.acknowledged) && !until(job.started)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn times(jobs: &[[f64; 3]]) -> Times {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("times");
        fs::write(&path, jobs.iter().flatten().flat_map(|time| time.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        Times::read(&path).unwrap()
    }

    #[test]
    fn what_happened_inside_the_window_counts() {
        let s = 1_000_000.0;
        let jobs = times(&[
            // Warm-up; started inside.
            [1.0 * s, 1.5 * s, 2.5 * s],
            // Inside, picked up within 4 ms, and before its answer.
            [2.1 * s, 2.2 * s, 2.204 * s],
            [2.3 * s, 2.4 * s, 2.399 * s],
            // Acknowledged inside, started beyond.
            [2.8 * s, 2.9 * s, 3.4 * s],
            // Beyond, and never answered.
            [3.3 * s, 0.0, 0.0],
        ]);
        let timing = Timing { warm_up: Duration::from_secs(1), window: Duration::from_secs(1) };
        let seen = jobs.seen(timing, Said { version: String::new(), settings: serde_json::Value::Null });
        assert_eq!((seen.done_per_s, seen.acknowledged_per_s), (3.0, 3.0));
        assert_eq!(seen.pickup.count, 3);
        // To three digits, as the histogram has it.
        assert!((seen.pickup.p50_ms - 4.0).abs() < 0.01, "{:?}", seen.pickup);
        assert_eq!(seen.backlog, [1, 1]);
        assert_eq!(jobs.unfinished(), 0);
        assert_eq!(times(&[[1.0, 2.0, 0.0]]).unfinished(), 1);
    }
}
