//! Merges equal calls without an effect, so that a caller that looks again and again leaves few rows.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use crate::provisioner::Called;

/// The calls of the last minute.
#[derive(Debug, Default)]
pub struct Repeats(HashMap<String, Repeated>);

/// A call that has its row, and the equal ones since.
#[derive(Debug)]
struct Repeated {
    since: Instant,
    /// The newest of them, with their number.
    later: Option<Called>,
}

impl Repeats {
    /// Takes an answered call, and returns those that are to be written now.
    pub fn add(&mut self, called: Called, now: Instant) -> Vec<Called> {
        if !called.is_look() {
            return vec![called];
        }
        let mut due = if self.0.len() >= MOST_KINDS { self.take(|_| true) } else { Vec::new() };
        match self.0.get_mut(&key(&called)) {
            Some(repeated) if now.duration_since(repeated.since) < WINDOW => {
                let before = repeated.later.take().map_or(0, |later| later.count);
                repeated.later = Some(Called { count: before + called.count, ..called });
            }
            Some(repeated) => {
                due.extend(repeated.later.take());
                repeated.since = now;
                due.push(called);
            }
            None => {
                self.0.insert(key(&called), Repeated { since: now, later: None });
                due.push(called);
            }
        }
        due
    }

    /// Returns the calls whose minute is over.
    pub fn due(&mut self, now: Instant) -> Vec<Called> {
        self.take(|repeated| now.duration_since(repeated.since) >= WINDOW)
    }

    /// Returns all calls that are not written yet.
    pub fn rest(&mut self) -> Vec<Called> {
        self.take(|_| true)
    }

    fn take(&mut self, is_over: impl Fn(&Repeated) -> bool) -> Vec<Called> {
        let (over, on): (HashMap<_, _>, HashMap<_, _>) =
            mem::take(&mut self.0).into_iter().partition(|(_, repeated)| is_over(repeated));
        self.0 = on;
        over.into_values().filter_map(|repeated| repeated.later).collect()
    }
}

/// What two equal calls have in common: all but the time.
fn key(called: &Called) -> String {
    let Called { principal, action, arguments, outcome, .. } = called;
    let (channel, actor) = (principal.channel.as_str(), principal.actor());
    format!("{channel}\n{actor}\n{action}\n{outcome}\n{}", arguments.clone().into_json())
}

const WINDOW: Duration = Duration::from_secs(60);

/// How many different calls are remembered.
const MOST_KINDS: usize = 1_000;

#[cfg(test)]
mod tests {
    use domain::principal::Principal;

    use super::*;
    use crate::provisioner::{Access, AuditFacts, OK};

    fn called(action: &'static str, access: Access, outcome: &str) -> Called {
        Called {
            principal: Principal::agent("a client"),
            action,
            access,
            arguments: AuditFacts::default(),
            outcome: outcome.to_owned(),
            took: Duration::ZERO,
            count: 1,
        }
    }

    fn counts(called: &[Called]) -> Vec<u64> {
        called.iter().map(|called| called.count).collect()
    }

    #[test]
    fn equal_looks_of_a_minute_become_two_rows() {
        let (mut repeats, begin) = (Repeats::default(), Instant::now());
        let look = || called("list_projects", Access::Read, OK);
        assert_eq!(counts(&repeats.add(look(), begin)), [1]);
        for second in 1..60 {
            assert!(repeats.add(look(), begin + Duration::from_secs(second)).is_empty());
        }
        assert!(repeats.due(begin + Duration::from_secs(59)).is_empty());
        assert_eq!(counts(&repeats.add(look(), begin + WINDOW)), [59, 1]);
        repeats.add(look(), begin + WINDOW);
        assert_eq!(counts(&repeats.rest()), [1]);
        assert!(repeats.rest().is_empty());
    }

    #[test]
    fn refusals_are_merged_and_effects_are_not() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for (access, outcome, second) in [(Access::Write, "suspended", 0), (Access::Write, OK, 1)] {
            repeats.add(called("rotate_key", access, outcome), now);
            assert_eq!(repeats.add(called("rotate_key", access, outcome), now).len(), second, "{outcome}");
        }
        assert_eq!(repeats.add(called("rotate_key", Access::Write, "busy"), now).len(), 1, "another answer");
    }

    #[test]
    fn different_looks_do_not_fill_the_memory() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for outcome in 0..2 * MOST_KINDS {
            repeats.add(called("list_projects", Access::Read, &outcome.to_string()), now);
        }
        assert!(repeats.0.len() <= MOST_KINDS);
    }
}
