//! The table that is printed, and what is done to times before they stand in it.

use std::time::{Duration, Instant};

pub fn heading() {
    line("", "p50", "beside, in this run");
}

pub fn row(label: &str, time: Duration, beside: &str) {
    line(label, &format!("{:.2} ms", ms(time)), beside);
}

pub fn line(label: &str, figure: &str, beside: &str) {
    println!("{}", format!("{label:<46} {figure:>11}   {beside}").trim_end());
}

/// How many times as long as the reference.
pub fn times(time: Duration, reference: Duration) -> String {
    format!("{:.1} x", time.as_secs_f64() / reference.as_secs_f64())
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
