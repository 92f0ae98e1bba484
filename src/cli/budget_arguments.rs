//! The arguments of the commands about budgets, as clap reads them.

use clap::Args;

#[derive(Args)]
#[command(after_help = BUDGET_HELP)]
pub struct Budget {
    /// What may be committed to a month before an agent has to ask a person
    #[arg(value_name = "USD", allow_hyphen_values = true)]
    pub amount: Option<String>,
    /// How many projects may be live before an agent has to ask a person
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub max_live: Option<u64>,
    /// What may be committed to a month at most; more is refused
    #[arg(long, value_name = "USD")]
    pub max: Option<String>,
}

#[derive(Args)]
#[command(after_help = SPEND_HELP)]
pub struct Spend {
    /// A month in UTC [default: the present one]
    #[arg(long, value_name = "YYYY-MM", conflicts_with = "release")]
    pub month: Option<String>,
    /// Release what ended projects of this name leave committed this month
    #[arg(long, value_name = "NAME")]
    pub release: Option<String>,
}

const BUDGET_HELP: &str = "\
A project commits its cap to each calendar month (UTC) in which it is live; a cap in total commits what is left of it.
What was spent is not granted again in that month. Real and simulated money are counted apart.";

const SPEND_HELP: &str = "\
A teardown releases what was certainly not used. Where the usage is not known, the cap stays committed until the month
ends or you release it.";
