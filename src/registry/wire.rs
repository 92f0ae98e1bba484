//! A TOML tree as found in the file, and the few ways to take a value out of it. Each failure knows its place.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{Fault, Problem};
use super::spelling;
use crate::money::Cents;
use crate::secret::looks_sensitive;

/// A value of the file, and where it stands.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A table of the file, and where its header stands.
pub(super) struct Table<'a> {
    byte: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn whole_file(entries: &'a DeTable<'a>) -> Self {
        Self { byte: 0, entries }
    }

    pub(super) fn of(value: &'a Value<'a>) -> Result<Self, Fault> {
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Self { byte: value.span().start, entries }),
            _ => Err(wrong_type(value, "a table")),
        }
    }

    /// Refuses what would silently have no effect, first in the file first.
    pub(super) fn refuse_unknown_keys(&self, valid: &'static [&'static str]) -> Result<(), Fault> {
        match self.entries().into_iter().find(|(key, _)| !valid.contains(&key.get_ref().as_ref())) {
            None => Ok(()),
            Some((key, _)) => {
                let meant = spelling::closest(key.get_ref(), valid.iter().map(|name| (*name, *name)));
                Err(Fault::at(key, Problem::UnknownKey { meant, valid }))
            }
        }
    }

    /// Everything in the table, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(&'a Spanned<DeString<'a>>, &'a Value<'a>)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'a Value<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.entries.get(key).map(read).transpose()
    }

    /// Like [`Table::optional`]; what is missing is missing at the table's header.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'a Value<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.optional(key, read)?.ok_or_else(|| Fault::new(self.byte, Problem::MissingKey { key }))
    }
}

/// A reader of text that `parse` understands.
pub(super) fn parsed<T, E: Into<Problem>>(
    parse: impl Fn(&str) -> Result<T, E>,
) -> impl Fn(&Value<'_>) -> Result<T, Fault> {
    move |value| match value.get_ref() {
        DeValue::String(text) => checked(value.span().start, text, &parse),
        _ => Err(wrong_type(value, "a text in quotes")),
    }
}

/// The same for a key that its author chose.
pub(super) fn name<T, E: Into<Problem>>(
    key: &Spanned<DeString<'_>>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Fault> {
    checked(key.span().start, key.get_ref(), parse)
}

pub(super) fn list<'a>(value: &'a Value<'a>) -> Result<impl Iterator<Item = &'a Value<'a>>, Fault> {
    match value.get_ref() {
        DeValue::Array(items) => Ok(items.iter()),
        _ => Err(wrong_type(value, "a list")),
    }
}

pub(super) fn boolean(value: &Value<'_>) -> Result<bool, Fault> {
    value.get_ref().as_bool().ok_or_else(|| wrong_type(value, "true or false"))
}

pub(super) fn integer(value: &Value<'_>) -> Result<i64, Fault> {
    let number = value.get_ref().as_integer().ok_or_else(|| wrong_type(value, "a whole number"))?;
    i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| Fault::at(value, Problem::OutOfRange))
}

/// A cap, from the digits that stand in the file: they never become a float.
pub(super) fn cap(value: &Value<'_>) -> Result<Cents, Fault> {
    let digits = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return Err(wrong_type(value, "an amount in US dollars, such as 15 or 15.50")),
    };
    let cap = Cents::parse_usd(digits.strip_prefix('+').unwrap_or(digits)).map_err(|error| Fault::at(value, error))?;
    if cap.is_zero() {
        return Err(Fault::at(value, Problem::CapZero));
    }
    Ok(cap)
}

pub(super) fn wrong_type(value: &Value<'_>, expected: &'static str) -> Fault {
    Fault::at(value, Problem::WrongType { expected })
}

/// Every text of the file passes here, so that none which reads like a key gets any further.
fn checked<T, E: Into<Problem>>(byte: usize, text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, Fault> {
    if looks_sensitive(text) {
        return Err(Fault::new(byte, Problem::Sensitive));
    }
    parse(text).map_err(|error| Fault::new(byte, error))
}
