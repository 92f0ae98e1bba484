//! The parameters of a request: taken one by one by name and type, so that what is left over is unknown.

use axum::{extract::Query, http::Uri};
use serde_json::{Map, Value};

use super::failure::Failure;

/// Named values that have not been looked at yet.
pub struct Parameters {
    fields: Map<String, Value>,
    /// Where these stand within the request: empty, or `usage_limits.`.
    place: String,
}

impl Parameters {
    /// The parameters of a JSON body. No body is an empty one.
    ///
    /// # Errors
    /// 400 for anything but a JSON object.
    pub fn of_body(body: &[u8]) -> Result<Self, Failure> {
        let fields = match body {
            [] => Map::new(),
            body => match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => fields,
                Ok(_) => return Err(Failure::invalid("invalid_json", "the body is not a JSON object")),
                Err(_) => return Err(Failure::invalid("invalid_json", "the body is not JSON")),
            },
        };
        Ok(Self { fields, place: String::new() })
    }

    /// The parameters of a query.
    ///
    /// # Errors
    /// 400 when the query cannot be read.
    pub fn of_query(uri: &Uri) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Failure::invalid("invalid_query", "the query cannot be read"))?;
        let fields = pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        Ok(Self { fields, place: String::new() })
    }

    /// # Errors
    /// 400 when it is missing, empty or not a string.
    pub fn required_text(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// # Errors
    /// 400 when it is not a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "not a string")),
        }
    }

    /// # Errors
    /// 400 when it is none of those words.
    pub fn one_of(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Failure> {
        match self.text(name)? {
            Some(word) if !words.contains(&word.as_str()) => {
                Err(self.wrong(name, &format!("not one of {}", words.join(", "))))
            }
            word => Ok(word),
        }
    }

    /// A boolean, or the word for one in a query.
    ///
    /// # Errors
    /// 400 when it is neither.
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(word)) if word == "true" || word == "false" => Ok(Some(word == "true")),
            Some(_) => Err(self.wrong(name, "not a boolean")),
        }
    }

    /// A whole number, or the digits of one in a query.
    ///
    /// # Errors
    /// 400 when it is neither, or negative.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(digits)) => digits.parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(name, "not a whole number"))
    }

    /// An `int64_string`, as amounts travel: `"2500"`.
    ///
    /// # Errors
    /// 400 when it is missing, a JSON number, or not a non-negative whole number.
    pub fn required_amount(&mut self, name: &str) -> Result<u64, Failure> {
        let digits = self.required_text(name)?;
        let amount = digits.parse::<i64>().ok().and_then(|amount| u64::try_from(amount).ok());
        amount.ok_or_else(|| self.wrong(name, "not a whole, non-negative amount"))
    }

    /// # Errors
    /// 400 when it is missing or not an object.
    pub fn required_object(&mut self, name: &str) -> Result<Map<String, Value>, Failure> {
        self.object(name)?.ok_or_else(|| self.missing(name))
    }

    /// # Errors
    /// 400 when it is not an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(_) => Err(self.wrong(name, "not an object")),
        }
    }

    /// The parameters inside a parameter.
    ///
    /// # Errors
    /// 400 when it is not an object.
    pub fn nested(&mut self, name: &str) -> Result<Option<Self>, Failure> {
        let place = format!("{}{name}.", self.place);
        Ok(self.object(name)?.map(|fields| Self { fields, place }))
    }

    /// A complaint about a parameter.
    pub fn wrong(&self, name: &str, what: &str) -> Failure {
        Failure::parameter("parameter_invalid", &format!("{}{name}", self.place), &format!("this is {what}"))
    }

    /// That a parameter is needed.
    pub fn missing(&self, name: &str) -> Failure {
        let name = format!("{}{name}", self.place);
        Failure::parameter("parameter_missing", &name, "missing required parameter")
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 when something is left over.
    pub fn finish(&self) -> Result<(), Failure> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) if is_plain(name) => {
                let name = format!("{}{name}", self.place);
                Err(Failure::parameter("parameter_unknown", &name, "received unknown parameter"))
            }
            Some(_) => Err(Failure::invalid("parameter_unknown", "received an unknown parameter")),
        }
    }

    /// Null counts as not given.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }
}

/// Whether a name may be repeated in an error: it can be read, and is too short to be a key.
pub fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(plain) && !crate::secret::looks_sensitive(name)
}
