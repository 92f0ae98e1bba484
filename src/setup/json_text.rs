//! One entry in a JSON file, with or without comments and trailing commas: found, put there, taken out. Every byte that
//! is not the entry's stays, because the parser only finds places and the edits are splices.

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
    entry::Field,
    splice::{Splice, indentation, line_start, newline, spliced},
};

/// The entry as it stands, if it does.
pub fn find(text: &str, section: &'static str) -> Result<Option<Map<String, Value>>, ShapeError> {
    let parsed = Parsed::of(text)?;
    let servers = parsed.root()?.map(|root| object_in(root, section)).transpose()?.flatten();
    let entry = servers.map(|servers| object_in(servers, NAME)).transpose()?.flatten();
    entry
        .map(|entry| {
            let fields = entry.properties.iter().map(|each| property(entry, each.name.as_str()));
            fields.map(|field| Ok(field?.map(|field| (field.name.as_str().to_owned(), value(&field.value))))).collect()
        })
        .transpose()
        .map(|fields: Option<Vec<Option<_>>>| fields.map(|fields| fields.into_iter().flatten().collect()))
}

/// Where the entry is, or would be: a line, counted from 1.
pub fn line(text: &str, section: &'static str) -> Option<usize> {
    let parsed = Parsed::of(text).ok()?;
    let servers = object_in(parsed.root().ok()??, section).ok()??;
    let entry = property(servers, NAME).ok()??;
    Some(text.get(..entry.range.start)?.matches('\n').count() + 1)
}

/// The text with these fields in the entry, which is made where it is missing. Other fields of it stay.
pub fn put(text: &str, section: &'static str, fields: &[Field]) -> Result<String, ShapeError> {
    let parsed = Parsed::of(text)?;
    let Some(root) = parsed.root()? else {
        let newline = newline(text);
        // A comment may stand at the end, which must not swallow what follows.
        let lead = if text.trim().is_empty() || text.ends_with('\n') { "" } else { newline };
        let document = format!("{lead}{}{newline}", document(section, fields, newline));
        return checked(text, vec![Splice::insert(text.len(), document)], |all| add(all, section, fields));
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
    checked(text, splices, |all| add(all, section, fields))
}

fn add(all: &mut Map<String, Value>, section: &str, fields: &[Field]) {
    let servers = all.entry(section).or_insert_with(|| Map::new().into()).as_object_mut();
    let entry = servers.map(|servers| servers.entry(NAME).or_insert_with(|| Map::new().into()));
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        entry.extend(fields.iter().map(|field| (field.name.to_owned(), field.value.clone())));
    }
}

/// The text without the entry.
pub fn take(text: &str, section: &'static str) -> Result<String, ShapeError> {
    let parsed = Parsed::of(text)?;
    let servers = parsed.root()?.map(|root| object_in(root, section)).transpose()?.flatten();
    let Some((servers, entry)) = servers.map(|servers| Ok((servers, property(servers, NAME)?))).transpose()? else {
        return Ok(text.to_owned());
    };
    let Some(entry) = entry else {
        return Ok(text.to_owned());
    };
    checked(text, parsed.removal(servers, entry), |all| {
        if let Some(servers) = all.get_mut(section).and_then(Value::as_object_mut) {
            servers.remove(NAME);
        }
    })
}

/// A file with nothing but the entry, without its last line ending.
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

/// How what is added is written: as its neighbours are.
struct Style {
    newline: String,
    /// One step of indentation.
    unit: String,
    /// Of the line that the addition begins on.
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

/// A text and the places in it.
struct Parsed<'a> {
    text: &'a str,
    value: Option<ast::Value<'a>>,
    tokens: Vec<TokenAndRange<'a>>,
}

impl<'a> Parsed<'a> {
    fn of(text: &'a str) -> Result<Self, ShapeError> {
        let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
        let parsed = parse_to_ast(text, &collect, &DIALECT).map_err(|error| {
            let (line, column) = (error.line_display(), error.column_display());
            ShapeError::Syntax { line, column }
        })?;
        Ok(Self { text, value: parsed.value, tokens: parsed.tokens.unwrap_or_default() })
    }

    /// `None` in a file that says nothing.
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

    /// The indentation of the line that an object begins on.
    fn indent_of(&self, object: &Object<'a>) -> &'a str {
        let line = self.text.get(line_start(self.text, object.range.start)..).unwrap_or_default();
        let blanks = line.find(|c| c != ' ' && c != '\t').unwrap_or(0);
        line.get(..blanks).unwrap_or_default()
    }

    /// Removes a property with its comma, and with its line where it has one of its own. Comments stay.
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
                let last_word = matches!(previous.token, Token::CommentLine(_)) && !ends_the_line;
                splices.push(Splice::delete(if last_word { start } else { previous.range.end }..end));
                let comma = before.iter().rfind(|each| !is_comment(&each.token));
                if let Some(comma) = comma.filter(|each| each.token == Token::Comma) {
                    splices.push(Splice::delete(comma.range.start..comma.range.end));
                }
            }
        }
        splices
    }
}

/// The edited text, if it reads as it was meant to.
fn checked(
    text: &str,
    splices: Vec<Splice>,
    expect: impl FnOnce(&mut Map<String, Value>),
) -> Result<String, ShapeError> {
    let edited = spliced(text, splices).ok_or(ShapeError::Unusual)?;
    let mut expected = Some(whole(text)?).filter(|all| !all.is_null()).unwrap_or_else(|| Map::new().into());
    if let Some(all) = expected.as_object_mut() {
        expect(all);
    }
    if whole(&edited).is_ok_and(|found| found == expected) { Ok(edited) } else { Err(ShapeError::Unusual) }
}

fn whole(text: &str) -> Result<Value, ShapeError> {
    Ok(Parsed::of(text)?.value.as_ref().map(value).unwrap_or_default())
}

fn object_in<'b, 'a>(object: &'b Object<'a>, key: &'static str) -> Result<Option<&'b Object<'a>>, ShapeError> {
    match property(object, key)?.map(|property| &property.value) {
        None => Ok(None),
        Some(ast::Value::Object(found)) => Ok(Some(found)),
        Some(_) => Err(ShapeError::NotATable { key }),
    }
}

fn property<'b, 'a>(object: &'b Object<'a>, key: &str) -> Result<Option<&'b ObjectProp<'a>>, ShapeError> {
    let mut found = object.properties.iter().filter(|property| property.name.as_str() == key);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(ShapeError::Duplicate),
        (property, None) => Ok(property),
    }
}

fn value(node: &ast::Value<'_>) -> Value {
    match node {
        ast::Value::StringLit(text) => Value::from(text.value.as_ref()),
        // The digits as they stand: no number is rounded in a comparison.
        ast::Value::NumberLit(number) => Value::from(number.value),
        ast::Value::BooleanLit(boolean) => Value::from(boolean.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(array) => array.elements.iter().map(value).collect(),
        ast::Value::Object(object) => {
            object.properties.iter().map(|each| (each.name.as_str().to_owned(), value(&each.value))).collect()
        }
    }
}

fn rendered(fields: &[Field]) -> Vec<(&str, String)> {
    fields.iter().map(|field| (field.name, inline(&field.value))).collect()
}

/// A word, or a list of words on one line.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Array(words) => format!("[{}]", words.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        word => word.to_string(),
    }
}

fn is_comment(token: &Token<'_>) -> bool {
    matches!(token, Token::CommentBlock(_) | Token::CommentLine(_))
}

/// JSON with comments and trailing commas, as editors read their settings; none of JSON5's other freedoms.
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
