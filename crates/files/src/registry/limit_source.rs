//! Where each limit is written, so that refusals, forms and views can name the line.

use std::{collections::BTreeMap, fmt};

/// A line of a file, displayed as `/etc/stripe-projects/policy.toml:3`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Source {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The lines of the limits that apply, by their keys. A limit without one is built in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sources(BTreeMap<&'static str, String>);

impl Sources {
    /// Returns the line of a limit, such as `/etc/stripe-projects/policy.toml:3`.
    pub fn get(&self, key: &str) -> Option<&String> {
        self.0.get(key)
    }

    pub(super) fn set(&mut self, key: &'static str, source: &Source) {
        self.0.insert(key, source.to_string());
    }
}

/// A value of a file, and its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Written<T> {
    pub value: T,
    pub source: Source,
}

/// Returns the one with the smaller value, or the only one.
pub(super) fn least<T: Ord>(one: Option<Written<T>>, other: Option<Written<T>>) -> Option<Written<T>> {
    match (one, other) {
        (Some(one), Some(other)) if other.value < one.value => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

/// Returns the one with the greater value, or the only one.
pub(super) fn greatest<T: Ord>(one: Option<Written<T>>, other: Option<Written<T>>) -> Option<Written<T>> {
    match (one, other) {
        (Some(one), Some(other)) if other.value > one.value => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}
