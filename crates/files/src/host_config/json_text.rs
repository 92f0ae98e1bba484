//! Finds, inserts and removes one entry in a JSON file with comments and trailing commas, and keeps all other bytes.
//!
//! The parser finds the places; the edits are splices of our own. The syntax tree that the parser's crate can edit
//! (`jsonc_parser::cst`) does not keep all bytes:
//! - an object on one line is broken into many lines when a property is added, and stays so when it is removed;
//! - blank lines after the first brace and before the last one of the object are dropped;
//! - a comment on the line of a removed property is dropped with it;
//! - a new property goes before the comments at the end of an object, not after them;
//! - duplicate keys are not reported.

use jsonc_parser::{
    CollectOptions, CommentCollectionStrategy, ParseOptions,
    ast::{self, Object, ObjectProp},
    common::Ranged as _,
    parse_to_ast,
    tokens::{Token, TokenAndRange},
};
use serde_json::{Map, Value};

use super::{
    NAME, ShapeError,
    entry::{Field, set_fields, unset_field},
    splice::{Splice, indentation, line_start, newline, spliced_and_checked},
};

/// Returns the fields of the entry, if there is one.
pub fn find(text: &str, section: &'static str) -> Result<Option<Map<String, Value>>, ShapeError> {
    let parsed = Parsed::new(text)?;
    let servers = parsed.root()?.map(|root| object_in(root, section)).transpose()?.flatten();
    let entry = servers.map(|servers| object_in(servers, NAME)).transpose()?.flatten();
    for field in entry.iter().flat_map(|entry| &entry.properties) {
        entry.map(|entry| property(entry, field.name.as_str())).transpose()?;
    }
    Ok(entry.map(to_map))
}

/// Returns the line of the entry, counted from 1.
pub fn line(text: &str, section: &'static str) -> Option<usize> {
    let parsed = Parsed::new(text).ok()?;
    let servers = object_in(parsed.root().ok()??, section).ok()??;
    let entry = property(servers, NAME).ok()??;
    Some(text.get(..entry.range.start)?.matches('\n').count() + 1)
}

/// Removes one field of the entry. Comments stay.
pub fn remove_field(text: &str, section: &'static str, name: &str) -> Result<String, ShapeError> {
    let parsed = Parsed::new(text)?;
    let servers = parsed.root()?.map(|root| object_in(root, section)).transpose()?.flatten();
    let entry = servers.map(|servers| object_in(servers, NAME)).transpose()?.flatten();
    let Some((entry, field)) = entry.map(|entry| Ok((entry, property(entry, name)?))).transpose()? else {
        return Ok(text.to_owned());
    };
    let splices = field.map(|field| parsed.removal(entry, field)).unwrap_or_default();
    spliced_and_checked(text, splices, whole, |all| unset_field(all, section, name))
}

/// Sets these fields of the entry, which is inserted if it is missing. Other fields of it stay.
pub fn upsert(text: &str, section: &'static str, fields: &[Field]) -> Result<String, ShapeError> {
    let parsed = Parsed::new(text)?;
    let Some(root) = parsed.root()? else {
        let newline = newline(text);
        // A comment at the end of the text must not continue into the entry.
        let lead = if text.trim().is_empty() || text.ends_with('\n') { "" } else { newline };
        let document = format!("{lead}{}{newline}", document(section, fields, newline));
        let splices = vec![Splice::insert(text.len(), document)];
        return spliced_and_checked(text, splices, whole, |all| set_fields(all, section, fields));
    };
    let mut splices = Vec::new();
    match object_in(root, section)? {
        None => parsed.append(root, &[section], &mut splices, |style| {
            let deeper = style.deeper();
            style.object(&[(NAME, deeper.object(&rendered(fields)))])
        }),
        Some(servers) => match object_in(servers, NAME)? {
            None => parsed.append(servers, &[NAME], &mut splices, |style| style.object(&rendered(fields))),
            Some(entry) => {
                let mut missing = Vec::new();
                for field in fields {
                    match property(entry, field.name)? {
                        Some(old) if value(&old.value) == field.value => {}
                        Some(old) => {
                            let range = old.value.range();
                            splices.push(Splice::replace(range.start..range.end, inline(&field.value)));
                        }
                        None => missing.push(field),
                    }
                }
                let names: Vec<&str> = missing.iter().map(|field| field.name).collect();
                let mut values = missing.into_iter().map(|field| inline(&field.value));
                parsed.append(entry, &names, &mut splices, |_| values.next().unwrap_or_default());
            }
        },
    }
    spliced_and_checked(text, splices, whole, |all| set_fields(all, section, fields))
}

/// Removes the entry. Comments stay.
pub fn remove(text: &str, section: &'static str) -> Result<String, ShapeError> {
    let parsed = Parsed::new(text)?;
    let servers = parsed.root()?.map(|root| object_in(root, section)).transpose()?.flatten();
    let Some((servers, entry)) = servers.map(|servers| Ok((servers, property(servers, NAME)?))).transpose()? else {
        return Ok(text.to_owned());
    };
    let Some(entry) = entry else {
        return Ok(text.to_owned());
    };
    spliced_and_checked(text, parsed.removal(servers, entry), whole, |all| {
        if let Some(servers) = all.get_mut(section).and_then(Value::as_object_mut) {
            servers.remove(NAME);
        }
    })
}

/// Returns a file with the entry only, without its last line ending.
pub fn document(section: &str, fields: &[Field], newline: &str) -> String {
    let style = |indent: &str| Style {
        newline: newline.to_owned(),
        unit: "  ".to_owned(),
        indent: indent.to_owned(),
        many_lines: true,
    };
    let entry = style("    ").object(&rendered(fields));
    style("").object(&[(section, style("  ").object(&[(NAME, entry)]))])
}

/// The layout of an addition, taken from its neighbours.
struct Style {
    newline: String,
    /// One step of indentation.
    unit: String,
    /// The indentation of the first line of the addition.
    indent: String,
    many_lines: bool,
}

impl Style {
    fn deeper(&self) -> Self {
        let (newline, unit) = (self.newline.clone(), self.unit.clone());
        Self { newline, indent: format!("{}{unit}", self.indent), unit, many_lines: self.many_lines }
    }

    fn object(&self, properties: &[(&str, String)]) -> String {
        let Self { newline, unit, indent, many_lines } = self;
        let properties = properties.iter().map(|(name, value)| format!("{}: {value}", Value::from(*name)));
        if !many_lines {
            return format!("{{{}}}", properties.collect::<Vec<_>>().join(", "));
        }
        let lines: Vec<String> = properties.map(|property| format!("{newline}{indent}{unit}{property}")).collect();
        format!("{{{}{newline}{indent}}}", lines.join(","))
    }
}

/// A text, its syntax tree and its tokens.
struct Parsed<'a> {
    text: &'a str,
    value: Option<ast::Value<'a>>,
    tokens: Vec<TokenAndRange<'a>>,
}

impl<'a> Parsed<'a> {
    fn new(text: &'a str) -> Result<Self, ShapeError> {
        let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
        let parsed = parse_to_ast(text, &collect, &DIALECT).map_err(|error| {
            let (line, column) = (error.line_display(), error.column_display());
            ShapeError::Syntax { line, column }
        })?;
        Ok(Self { text, value: parsed.value, tokens: parsed.tokens.unwrap_or_default() })
    }

    /// Returns the object of the file; `None` if the file has comments and whitespace only.
    fn root(&self) -> Result<Option<&Object<'a>>, ShapeError> {
        match &self.value {
            None => Ok(None),
            Some(ast::Value::Object(root)) => Ok(Some(root)),
            Some(_) => Err(ShapeError::NotATable { key: "the file" }),
        }
    }

    /// Adds properties at the end of an object.
    fn append(
        &self,
        object: &Object<'a>,
        names: &[&str],
        splices: &mut Vec<Splice>,
        mut value: impl FnMut(&Style) -> String,
    ) {
        let Some(close) = self.tokens.iter().position(|each| each.range.end == object.range.end) else {
            return;
        };
        let inside = self.tokens.get(..close).unwrap_or_default();
        let (Some(last), false) = (inside.last(), names.is_empty()) else {
            return;
        };
        let style = self.style(object);
        let trailing =
            inside.iter().rfind(|each| !is_comment(&each.token)).is_some_and(|each| each.token == Token::Comma);
        if let (Some(property), false) = (object.properties.last(), trailing) {
            splices.push(Splice::insert(property.range.end, ",".to_owned()));
        }
        let blank = if style.many_lines { format!("{}{}", style.newline, style.indent) } else { " ".to_owned() };
        let lead = if object.properties.is_empty() && !style.many_lines { "" } else { blank.as_str() };
        let added = names.iter().map(|name| format!("{}: {}", Value::from(*name), value(&style)));
        let mut added = format!("{lead}{}", added.collect::<Vec<_>>().join(&format!(",{blank}")));
        if trailing {
            added.push(',');
        }
        let rest = self.text.get(last.range.end..object.range.end).unwrap_or_default();
        if style.many_lines && !rest.contains('\n') {
            added.push_str(&style.newline);
            added.push_str(self.indent_of(object));
        }
        splices.push(Splice::insert(last.range.end, added));
    }

    fn style(&self, object: &Object<'a>) -> Style {
        let is_root = object.range.start == self.value.as_ref().map_or(0, |root| root.range().start);
        let text = object.text(self.text);
        let many_lines = match object.properties.last() {
            None => is_root || self.text.trim().contains('\n'),
            Some(_) => text.contains('\n'),
        };
        let first = self.root().ok().flatten().and_then(|root| root.properties.first());
        let unit = first.and_then(|first| indentation(self.text, first.range.start)).filter(|unit| !unit.is_empty());
        let unit = unit.unwrap_or("  ").to_owned();
        let neighbour = object.properties.last().and_then(|last| indentation(self.text, last.range.start));
        let indent = neighbour.map_or_else(|| format!("{}{unit}", self.indent_of(object)), str::to_owned);
        Style { newline: newline(self.text).to_owned(), unit, indent, many_lines }
    }

    /// Returns the indentation of the line on which an object begins.
    fn indent_of(&self, object: &Object<'a>) -> &'a str {
        let line = self.text.get(line_start(self.text, object.range.start)..).unwrap_or_default();
        let blanks = line.find(|c| c != ' ' && c != '\t').unwrap_or(0);
        line.get(..blanks).unwrap_or_default()
    }

    /// Removes a property, its comma, and its line if it has one of its own. Comments stay.
    fn removal(&self, object: &Object<'a>, property: &ObjectProp<'a>) -> Vec<Splice> {
        let (start, end) = (property.range.start, property.range.end);
        let within =
            |each: &&TokenAndRange<'a>| each.range.start >= object.range.start && each.range.end <= object.range.end;
        let tokens: Vec<&TokenAndRange<'a>> = self.tokens.iter().filter(within).collect();
        let before: Vec<_> = tokens.iter().filter(|each| each.range.end <= start).collect();
        let after: Vec<_> = tokens.iter().filter(|each| each.range.start >= end).collect();
        let Some(previous) = before.last() else {
            return Vec::new();
        };
        if before.len() == 1 && after.iter().all(|each| !is_comment(&each.token)) && object.properties.len() == 1 {
            return vec![Splice::delete(previous.range.end..object.range.end - 1)];
        }
        let next = after.iter().find(|each| !is_comment(&each.token)).filter(|each| each.token == Token::Comma);
        let rest_at = next.map_or(end, |comma| comma.range.end);
        let rest = self.text.get(rest_at..).unwrap_or_default();
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let ends_the_line = rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
        let mut splices = Vec::new();
        match next {
            Some(comma) if ends_the_line => {
                splices.push(Splice::delete(previous.range.end..end));
                splices.push(Splice::delete(comma.range.start..comma.range.end));
            }
            Some(comma) => {
                splices.push(Splice::delete(start..end));
                splices.push(Splice::delete(comma.range.start..comma.range.end + blanks));
            }
            None => {
                let keeps_line = matches!(previous.token, Token::CommentLine(_)) && !ends_the_line;
                splices.push(Splice::delete(if keeps_line { start } else { previous.range.end }..end));
                let comma = before.iter().rfind(|each| !is_comment(&each.token));
                if let Some(comma) = comma.filter(|each| each.token == Token::Comma) {
                    splices.push(Splice::delete(comma.range.start..comma.range.end));
                }
            }
        }
        splices
    }
}

fn whole(text: &str) -> Result<Map<String, Value>, ShapeError> {
    let parsed = Parsed::new(text)?;
    Ok(parsed.root()?.map(to_map).unwrap_or_default())
}

fn object_in<'b, 'a>(object: &'b Object<'a>, key: &'static str) -> Result<Option<&'b Object<'a>>, ShapeError> {
    match property(object, key)?.map(|property| &property.value) {
        None => Ok(None),
        Some(ast::Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(ShapeError::NotATable { key }),
    }
}

fn property<'b, 'a>(object: &'b Object<'a>, key: &str) -> Result<Option<&'b ObjectProp<'a>>, ShapeError> {
    let mut properties = object.properties.iter().filter(|property| property.name.as_str() == key);
    match (properties.next(), properties.next()) {
        (_, Some(_)) => Err(ShapeError::Duplicate),
        (property, None) => Ok(property),
    }
}

fn value(node: &ast::Value<'_>) -> Value {
    match node {
        ast::Value::StringLit(text) => Value::from(text.value.as_ref()),
        // The digits of the text: no number is rounded in a comparison.
        ast::Value::NumberLit(number) => Value::from(number.value),
        ast::Value::BooleanLit(boolean) => Value::from(boolean.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(array) => array.elements.iter().map(value).collect(),
        ast::Value::Object(object) => Value::Object(to_map(object)),
    }
}

fn to_map(object: &Object<'_>) -> Map<String, Value> {
    object.properties.iter().map(|each| (each.name.as_str().to_owned(), value(&each.value))).collect()
}

fn rendered(fields: &[Field]) -> Vec<(&str, String)> {
    fields.iter().map(|field| (field.name, inline(&field.value))).collect()
}

/// Renders a string, or an array of strings on one line.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn is_comment(token: &Token<'_>) -> bool {
    matches!(token, Token::CommentBlock(_) | Token::CommentLine(_))
}

/// JSON with comments and trailing commas, as in the settings of editors; nothing else of JSON5.
const DIALECT: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};
