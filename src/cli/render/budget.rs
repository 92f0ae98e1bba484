//! The budget and what projects commit to it, for people or as JSON.

use super::{Output, json, out, table, usd};
use crate::view::{BudgetClassView, BudgetView, SpendView};

/// Prints the present month and the limits on it.
pub fn budget(view: &BudgetView, output: Output) {
    if output == Output::Json {
        return json(view);
    }
    out(format_args!("{} (UTC)", view.month));
    for class in &view.classes {
        out(format_args!("  {:<10} {}", class.money, sums(class)));
    }
    let dollars = |limit: Option<f64>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{} USD", usd(limit)));
    let count = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let place = |key: &str| {
        let source = view.sources.iter().find(|source| source.key == key);
        source.map(|source| format!(", {}", source.place)).unwrap_or_default()
    };
    let asks = dollars(view.monthly_budget_usd);
    out(format_args!("  an agent asks above {asks} a month (monthly_budget_usd{})", place("monthly_budget_usd")));
    let live = count(view.max_live_projects);
    out(format_args!("  an agent asks above {live} live projects (max_live_projects{})", place("max_live_projects")));
    if view.monthly_max_usd.is_some() {
        let refused = dollars(view.monthly_max_usd);
        out(format_args!("  refused above {refused} a month (monthly_max_usd{})", place("monthly_max_usd")));
    }
    if view.max_projects.is_some() {
        let refused = count(view.max_projects);
        out(format_args!("  refused above {refused} live projects (max_projects{})", place("max_projects")));
    }
}

fn sums(class: &BudgetClassView) -> String {
    let left = class.left_usd.map(|left| format!(", {} left", usd(left))).unwrap_or_default();
    let unknown = match class.usage_unknown_count {
        0 => String::new(),
        count => format!(" (usage of {count} unknown)"),
    };
    format!(
        "{} USD committed, {} of it by renewals{left}; {} used{unknown}; {} live",
        usd(class.committed_usd),
        usd(class.renewals_usd),
        usd(class.used_usd),
        class.live_count
    )
}

/// Prints what each project commits to a month.
pub fn spend(view: &SpendView, output: Output) {
    if output == Output::Json {
        return json(view);
    }
    if view.projects.is_empty() {
        return out(format_args!("Nothing is committed in {}.", view.month));
    }
    let rows = view.projects.iter().map(|project| {
        let used = project.used_usd.map_or_else(|| "?".to_owned(), usd);
        let money = if project.simulated { "simulated" } else { "real" };
        let cap = format!("{} / {}", usd(project.spend_cap_usd), project.cap_per);
        let (committed, renewed) = (usd(project.committed_usd), usd(project.renewals_usd));
        vec![
            project.name.clone(),
            project.provider.clone(),
            project.status.clone(),
            money.to_owned(),
            cap,
            committed,
            renewed,
            used,
        ]
    });
    table(&["NAME", "PROVIDER", "STATUS", "MONEY", "CAP USD / PER", "COMMITTED USD", "RENEWED USD", "USED USD"], rows);
    out(format_args!(
        "{}: {} USD committed, and {} USD simulated",
        view.month,
        usd(view.committed_usd),
        usd(view.simulated_committed_usd)
    ));
}
