//! How much is measured.

pub struct Effort {
    pub starts: usize,
    pub calls: usize,
    /// Live projects in the lists.
    pub lists: &'static [u32],
    /// Times that each of the processes provisions, rotates and tears down.
    pub crowd: usize,
    pub kills: usize,
    pub kills_of_all: usize,
}

impl Effort {
    pub fn full() -> Self {
        Self { starts: 60, calls: 200, lists: &[10, 1_000, 10_000, 100_000], crowd: 30, kills: 40, kills_of_all: 7 }
    }

    pub fn short() -> Self {
        Self { starts: 3, calls: 5, lists: &[10, 1_000], crowd: 2, kills: 2, kills_of_all: 1 }
    }
}
