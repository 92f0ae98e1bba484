//! The number of measurements of each kind.

pub struct Rounds {
    pub starts: usize,
    pub calls: usize,
    /// Numbers of live projects for the list benchmark.
    pub lists: &'static [u32],
    /// Cycles of provision, rotate and teardown for each concurrent process.
    pub concurrent: usize,
    pub kills: usize,
    pub kills_of_all: usize,
}

impl Rounds {
    pub fn full() -> Self {
        Self {
            starts: 60,
            calls: 200,
            lists: &[10, 1_000, 10_000, 100_000],
            concurrent: 30,
            kills: 40,
            kills_of_all: 7,
        }
    }

    pub fn short() -> Self {
        Self { starts: 3, calls: 5, lists: &[10, 1_000], concurrent: 2, kills: 2, kills_of_all: 1 }
    }
}
