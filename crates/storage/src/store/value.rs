//! Values that go into statements, and rows that come out of them.

use std::borrow::Cow;

use super::StoreError;

/// A parameter of a statement, or a column of a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    Boolean(bool),
    Integer(i64),
    Null,
    Text(Cow<'a, str>),
}

/// The rows of a query, in one allocation.
#[derive(Debug, Default)]
pub struct Rows {
    width: usize,
    values: Vec<Value<'static>>,
}

impl Rows {
    /// No rows yet, of that many columns.
    pub fn new(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    /// Adds the next column of the last row.
    pub fn push(&mut self, value: Value<'static>) {
        self.values.push(value);
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.values.chunks_exact(self.width.max(1)).map(Row)
    }

    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }

    /// The first row of a query that always has one, such as `count(*)`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is none.
    pub fn one(&self) -> Result<Row<'_>, StoreError> {
        self.first().ok_or_else(|| StoreError::Unavailable("a row is missing".into()))
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }
}

/// One row of a query.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r>(&'r [Value<'static>]);

impl<'r> Row<'r> {
    /// Reads the column at that index, counted from 0.
    ///
    /// # Errors
    /// [`StoreError::Mistyped`] when it has another type, is out of range, or is not there.
    pub fn get<T: FromValue<'r>>(&self, column: usize) -> Result<T, StoreError> {
        self.0.get(column).and_then(T::from_value).ok_or(StoreError::Mistyped { column })
    }
}

/// A type that a column can be read as.
pub trait FromValue<'r>: Sized {
    /// `None` when the value has another type or is out of range.
    fn from_value(value: &'r Value<'static>) -> Option<Self>;
}

impl FromValue<'_> for bool {
    /// SQLite has no booleans; there they are 0 and 1.
    fn from_value(value: &Value<'static>) -> Option<Self> {
        match value {
            Value::Boolean(truth) => Some(*truth),
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            Value::Integer(_) | Value::Null | Value::Text(_) => None,
        }
    }
}

impl FromValue<'_> for i64 {
    fn from_value(value: &Value<'static>) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(*number),
            Value::Boolean(_) | Value::Null | Value::Text(_) => None,
        }
    }
}

macro_rules! narrow_integers {
    ($($type:ty),*) => {$(
        impl FromValue<'_> for $type {
            fn from_value(value: &Value<'static>) -> Option<Self> {
                i64::from_value(value)?.try_into().ok()
            }
        }
    )*};
}

narrow_integers!(u8, u32, u64, usize);

impl<'r> FromValue<'r> for &'r str {
    fn from_value(value: &'r Value<'static>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text),
            Value::Boolean(_) | Value::Integer(_) | Value::Null => None,
        }
    }
}

impl FromValue<'_> for String {
    fn from_value(value: &Value<'static>) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'r, T: FromValue<'r>> FromValue<'r> for Option<T> {
    fn from_value(value: &'r Value<'static>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u8> for Value<'_> {
    fn from(number: u8) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The parameters of a statement, `?1` first.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        [$($crate::store::Value::from($value)),*]
    };
}
pub(crate) use values;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_what_they_are_only() {
        let mut rows = Rows::new(4);
        for value in values!["text", -1_i64, true, None::<i64>] {
            rows.push(match value {
                Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
                Value::Boolean(truth) => Value::Boolean(truth),
                Value::Integer(number) => Value::Integer(number),
                Value::Null => Value::Null,
            });
        }
        let row = rows.one().unwrap();
        assert_eq!(row.get::<&str>(0).unwrap(), "text");
        assert_eq!(row.get::<i64>(1).unwrap(), -1);
        assert!(row.get::<bool>(2).unwrap());
        assert_eq!(row.get::<Option<String>>(3).unwrap(), None);
        assert!(matches!(row.get::<u32>(1), Err(StoreError::Mistyped { column: 1 })), "out of range");
        assert!(matches!(row.get::<i64>(0), Err(StoreError::Mistyped { column: 0 })));
        assert!(matches!(row.get::<&str>(3), Err(StoreError::Mistyped { column: 3 })), "null is not text");
        assert!(matches!(row.get::<i64>(4), Err(StoreError::Mistyped { column: 4 })), "there are four columns");
        assert_eq!((rows.len(), Rows::new(4).len()), (1, 0));
    }
}
