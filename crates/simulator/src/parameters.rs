//! Request parameters, taken by name and type; the rest is unknown.

use axum::{extract::Query, http::Uri};
use serde_json::{Map, Value};

use super::failure::Failure;

/// The parameters that were not taken yet.
pub struct Parameters {
    fields: Map<String, Value>,
    /// The prefix of their names: empty, or `usage_limits.`.
    prefix: String,
}

impl Parameters {
    /// Parses a JSON body. An empty body has no parameters.
    ///
    /// # Errors
    /// 400 for anything but a JSON object.
    pub fn from_body(body: &[u8]) -> Result<Self, Failure> {
        let fields = match body {
            [] => Map::new(),
            body => match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(Failure::invalid("invalid_json", "the body is not a JSON object")),
                Err(_) => return Err(Failure::invalid("invalid_json", "the body is not JSON")),
            },
        };
        Ok(Self { fields, prefix: String::new() })
    }

    /// Parses the query of a URL.
    ///
    /// # Errors
    /// 400 for an invalid query.
    pub fn from_query(uri: &Uri) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Failure::invalid("invalid_query", "the query cannot be read"))?;
        let fields = pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        Ok(Self { fields, prefix: String::new() })
    }

    /// Takes a required string.
    ///
    /// # Errors
    /// 400 if it is missing, empty or not a string.
    pub fn required_text(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// Takes a string.
    ///
    /// # Errors
    /// 400 if it is not a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "not a string")),
        }
    }

    /// Takes a string that must be one of `words`.
    ///
    /// # Errors
    /// 400 for any other value.
    pub fn one_of(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Failure> {
        match self.text(name)? {
            Some(word) if !words.contains(&word.as_str()) => {
                Err(self.invalid(name, &format!("not one of {}", words.join(", "))))
            }
            word => Ok(word),
        }
    }

    /// Takes a boolean, written as a word in a query.
    ///
    /// # Errors
    /// 400 for any other value.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(word)) if word == "true" || word == "false" => Ok(Some(word == "true")),
            Some(_) => Err(self.invalid(name, "not a boolean")),
        }
    }

    /// Takes a whole number, written as digits in a query.
    ///
    /// # Errors
    /// 400 for any other value and for a negative number.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(digits)) => digits.parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| self.invalid(name, "not a whole number"))
    }

    /// Takes a required amount as an `int64_string`: `"2500"`.
    ///
    /// # Errors
    /// 400 if it is missing, a JSON number, or not a non-negative whole number.
    pub fn required_amount(&mut self, name: &str) -> Result<u64, Failure> {
        let digits = self.required_text(name)?;
        let amount = digits.parse::<i64>().ok().and_then(|amount| u64::try_from(amount).ok());
        amount.ok_or_else(|| self.invalid(name, "not a whole, non-negative amount"))
    }

    /// Takes a required object.
    ///
    /// # Errors
    /// 400 if it is missing or not an object.
    pub fn required_object(&mut self, name: &str) -> Result<Map<String, Value>, Failure> {
        self.object(name)?.ok_or_else(|| self.missing(name))
    }

    /// Takes an object.
    ///
    /// # Errors
    /// 400 if it is not an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(_) => Err(self.invalid(name, "not an object")),
        }
    }

    /// Takes an object as nested parameters.
    ///
    /// # Errors
    /// 400 if it is not an object.
    pub fn nested(&mut self, name: &str) -> Result<Option<Self>, Failure> {
        let prefix = format!("{}{name}.", self.prefix);
        Ok(self.object(name)?.map(|fields| Self { fields, prefix }))
    }

    /// Returns the error of an invalid parameter; `reason` completes "this is".
    pub fn invalid(&self, name: &str, reason: &str) -> Failure {
        Failure::parameter("parameter_invalid", &format!("{}{name}", self.prefix), &format!("this is {reason}"))
    }

    /// Returns the error of a missing parameter.
    pub fn missing(&self, name: &str) -> Failure {
        let name = format!("{}{name}", self.prefix);
        Failure::parameter("parameter_missing", &name, "missing required parameter")
    }

    /// Checks that every parameter was taken.
    ///
    /// # Errors
    /// 400 for an unknown parameter.
    pub fn finish(&self) -> Result<(), Failure> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) if is_quotable(name) => {
                let name = format!("{}{name}", self.prefix);
                Err(Failure::parameter("parameter_unknown", &name, "received unknown parameter"))
            }
            Some(_) => Err(Failure::invalid("parameter_unknown", "received an unknown parameter")),
        }
    }

    /// Takes a parameter; null counts as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }
}

/// Returns whether an error may quote a name: readable, and too short for a key.
pub fn is_quotable(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(is_allowed) && !domain::secret::looks_sensitive(name)
}
