//! Output of the audit log.

use domain::visible::visible_once;
use serde_json::Value;

use super::{Output, json, stream::out, table, to_the_second};
use crate::{
    provisioner::{AuditEntry, AuditProof},
    view::{AcceptedBreakView, AuditView, ProofView, visible_json},
};

/// Prints the audit; as JSON one object per line, so that a long audit can be read as a stream.
pub fn audit(rows: &[AuditEntry], output: Output) {
    let rows: Vec<AuditView> = rows.iter().map(AuditView::from).collect();
    if output == Output::Json {
        return rows.iter().filter_map(|row| serde_json::to_string(row).ok()).map(visible_json).for_each(out);
    }
    if rows.is_empty() {
        return out("No matching row.");
    }
    let rows = rows.iter().map(|row| {
        let time = row.at.replace('T', " ").chars().take("2026-11-21 09:30:00".len()).collect();
        let by = if row.actor.is_empty() { row.door.clone() } else { format!("{}: {}", row.door, row.actor) };
        let project = row.project.clone().unwrap_or_default();
        vec![row.seq.to_string(), time, by, row.action.clone(), project, row.outcome.clone(), facts(&row.detail)]
    });
    table(&["ROW", "TIME UTC", "BY", "ACTION", "PROJECT", "OUTCOME", "DETAIL"], rows);
}

pub fn proof(proof: &AuditProof, output: Output) {
    let proof = &ProofView::from(proof);
    if output == Output::Json {
        return json(proof);
    }
    out(format_args!("Audit log verified: {} entries, no tampering", proof.rows));
    if !proof.accepted.is_empty() {
        out(format_args!("Accepted breaks: {}", proof.accepted.len()));
    }
    for AcceptedBreakView { row, at, actor, head_row } in &proof.accepted {
        let lost = head_row.map_or_else(
            || "an `audit.head` that was missing or unreadable".to_owned(),
            |head_row| format!("an `audit.head` at row {head_row}"),
        );
        out(format_args!("  row {row}, on {}: {} accepted the loss of {lost}", to_the_second(at), visible_once(actor)));
    }
    if !proof.head.is_empty() {
        out(format_args!("The last one is {}", proof.head));
    }
}

/// Returns the facts of an audit row as text, without the project, which has its own column.
fn facts(detail: &Value) -> String {
    let Value::Object(facts) = detail else { return String::new() };
    let words = facts.iter().filter(|(name, _)| *name != "name").map(|(name, fact)| match fact {
        Value::Array(items) => format!("{name} {}", items.iter().map(plain).collect::<Vec<_>>().join(",")),
        Value::Object(_) => self::facts(fact),
        fact => format!("{name} {}", plain(fact)),
    });
    words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")
}

fn plain(fact: &Value) -> String {
    fact.as_str().map_or_else(|| fact.to_string(), str::to_owned)
}
