//! The list of projects for a person at a terminal: a bar for each budget, and as many columns as fit.

use domain::{clock::Timestamp, name::EnvVar};

use super::{
    ago::{ago, ahead},
    exact_usd, paint,
    stream::{Screen, out},
};
use crate::{project_state::ProjectState, provisioner::ProjectPage};

/// Prints the projects, one per line.
pub fn show(list: &ProjectPage, now: Timestamp, screen: Screen) {
    let mut columns = columns(&list.projects, now);
    let most = screen.width.unwrap_or(usize::MAX);
    let hidden = fit(&mut columns, most);
    out(screen
        .paint(paint::HEAD, &line(&columns, |column| (paint::HEAD, column.head), Screen { colour: false, ..screen })));
    for row in 0..list.projects.len() {
        out(line(&columns, |column| column.cells.get(row).map_or(("", ""), |cell| (cell.colour, &cell.text)), screen));
    }
    if !hidden.is_empty() {
        let mut note = format!("not shown in this width: {}", hidden.join(", "));
        shorten(&mut note, most);
        out(screen.paint(paint::FAINT, &note));
    }
}

struct Column {
    head: &'static str,
    cells: Vec<Cell>,
    /// The column with the highest number is omitted first; columns with 0 are never omitted.
    dispensable: u8,
}

struct Cell {
    text: String,
    colour: &'static str,
}

impl Column {
    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.text.as_str()).chain([self.head]).map(width).max().unwrap_or_default()
    }
}

fn columns(projects: &[ProjectState], now: Timestamp) -> Vec<Column> {
    let column = |head, dispensable, cell: &dyn Fn(&ProjectState) -> (String, &'static str)| {
        let cells = projects.iter().map(cell).map(|(text, colour)| Cell { text, colour });
        Column { head, cells: cells.collect(), dispensable }
    };
    let widest = |amount: fn(&ProjectState) -> String| projects.iter().map(|p| width(&amount(p))).max().unwrap_or(0);
    let (used_width, cap_width) = (widest(used), widest(cap));
    let amounts = |project: &ProjectState| format!("{:>used_width$} / {:>cap_width$}", used(project), cap(project));
    let end = |state: &ProjectState| state.project.expires_at.map_or_else(String::new, |end| ahead(end, now));
    let variable = |state: &ProjectState| state.env_var().map(EnvVar::to_string).unwrap_or_default();
    let mask = |state: &ProjectState| state.project.mask.as_ref().map(|mask| mask.as_str().to_owned());
    let mut columns = vec![
        column("NAME", 0, &|state| (state.project.name.to_string(), paint::HEAD)),
        column("PROVIDER", 3, &|state| (state.project.provider.to_string(), "")),
        column("STATUS", 0, &|state| (state.status().to_string(), paint::status(state.status()))),
        column("USAGE", 1, &bar),
        column("USED / CAP USD", 0, &|state| (amounts(state), "")),
        column("EXPIRES", 2, &|state| (end(state), "")),
        column("CREATED", 4, &|state| (ago(state.project.created_at, now), "")),
        column("VARIABLE", 5, &|state| (variable(state), "")),
        column("KEY", 6, &|state| (mask(state).unwrap_or_default(), paint::FAINT)),
    ];
    if projects.iter().all(|state| state.project.expires_at.is_none()) {
        columns.retain(|column| column.head != "EXPIRES");
    }
    columns
}

fn used(state: &ProjectState) -> String {
    state.usage().map_or_else(|| "?".to_owned(), exact_usd)
}

fn cap(state: &ProjectState) -> String {
    exact_usd(state.project.cap.micro_usd())
}

/// Returns a bar of the used part of the cap. Any usage is visible, and only a full budget looks full.
fn bar(state: &ProjectState) -> (String, &'static str) {
    let Some(usage) = state.usage() else {
        return ("?".to_owned(), paint::FAINT);
    };
    let (used, cap) = (u128::from(usage.micro_usd()), u128::from(state.project.cap.micro_usd().micro_usd()));
    let halves = used * 2 * CELLS; // of the cap's width in half cells
    let cells = (1..=CELLS).map(|cell| {
        if halves >= cap * 2 * cell {
            '█'
        } else if halves >= cap * (2 * cell - 1) {
            '▌'
        } else if cell == 1 && used > 0 {
            '▏'
        } else {
            '░'
        }
    });
    (cells.collect(), paint::usage(usage, state.project.cap.micro_usd()))
}

/// Shortens very long names, omits columns that do not fit, and shortens names again. Returns the omitted columns.
fn fit(columns: &mut Vec<Column>, most: usize) -> Vec<&'static str> {
    shorten_names(columns, most, LONG_NAME);
    let mut hidden = Vec::new();
    while total(columns) > most {
        let last = columns.iter().map(|column| column.dispensable).max().filter(|rank| *rank > 0);
        let Some(place) = last.and_then(|rank| columns.iter().position(|column| column.dispensable == rank)) else {
            break;
        };
        hidden.insert(0, columns.remove(place).head);
    }
    shorten_names(columns, most, SHORTEST_NAME);
    hidden
}

/// Shortens names by the excess width, but not below a minimum.
fn shorten_names(columns: &mut [Column], most: usize, least: usize) {
    let surplus = total(columns).saturating_sub(most);
    if let Some(names) = columns.first_mut() {
        let room = names.width().saturating_sub(surplus).max(least);
        names.cells.iter_mut().for_each(|cell| shorten(&mut cell.text, room));
    }
}

fn shorten(text: &mut String, room: usize) {
    if width(text) > room {
        *text = text.chars().take(room.saturating_sub(1)).chain(['…']).collect();
    }
}

fn total(columns: &[Column]) -> usize {
    columns.iter().map(Column::width).sum::<usize>() + GAP * columns.len().saturating_sub(1)
}

/// Pads cells before they are coloured, because colour codes have no width. Lines have no trailing blanks.
fn line<'a>(columns: &'a [Column], cell: impl Fn(&'a Column) -> (&'static str, &'a str), screen: Screen) -> String {
    let mut line = String::new();
    let mut owed = 0;
    for column in columns {
        let (colour, text) = cell(column);
        if !text.is_empty() {
            line.extend(std::iter::repeat_n(' ', owed));
            owed = 0;
            line.push_str(&if colour.is_empty() { text.to_owned() } else { screen.paint(colour, text) });
        }
        owed += column.width().saturating_sub(width(text)) + GAP;
    }
    line
}

/// Returns the width in columns: each character of a name, variable, mask or bar takes one.
fn width(text: &str) -> usize {
    text.chars().count()
}

const CELLS: u128 = 10;

const GAP: usize = 2;

/// Longer names may be shortened before a column is omitted.
const LONG_NAME: usize = 20;

const SHORTEST_NAME: usize = 6;
