//! The printed table, and the statistics of its times.

use std::time::{Duration, Instant};

pub fn heading() {
    line("", "p50", "reference in the same run");
}

pub fn row(label: &str, time: Duration, comparison: &str) {
    line(label, &format!("{:.2} ms", ms(time)), comparison);
}

pub fn line(label: &str, figure: &str, comparison: &str) {
    println!("{}", format!("{label:<46} {figure:>11}   {comparison}").trim_end());
}

/// Returns the ratio of a time to its reference.
pub fn times(time: Duration, reference: Duration) -> String {
    format!("{:.1} x", time.as_secs_f64() / reference.as_secs_f64())
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
