//! The best pairing as a whole: which feature takes which field, when two want the same one. (Hungarian method, O(n²·m).)

/// For each row the column it gets, so that the sum of the scores is as large as it can be; `None` where nothing above
/// `least` is left. No column is given twice.
pub(crate) fn assign(scores: &[Vec<f64>], least: f64) -> Vec<Option<usize>> {
    let rows = scores.len();
    let real = scores.iter().map(Vec::len).max().unwrap_or(0);
    // One empty column per row: taking it means taking nothing, at the price of what is not worth taking.
    let columns = real + rows;
    let cost = |row: usize, column: usize| {
        let score = scores.get(row).and_then(|row| row.get(column)).copied().filter(|score| *score > least);
        -score.unwrap_or(if column < real { -1.0 } else { least.max(0.0) })
    };
    let mut state = Matching::new(rows, columns);
    for row in 1..=rows {
        state.add(row, &cost);
    }
    let mut given = vec![None; rows];
    for column in 1..=real {
        let row = state.owner.get(column).copied().unwrap_or(0);
        let wanted = row.checked_sub(1).and_then(|row| Some((row, *scores.get(row)?.get(column - 1)?)));
        if let Some((row, _)) = wanted.filter(|(_, score)| *score > least)
            && let Some(place) = given.get_mut(row)
        {
            *place = Some(column - 1);
        }
    }
    given
}

/// Rows and columns count from 1; 0 is nobody.
struct Matching {
    rows: Vec<f64>,
    columns: Vec<f64>,
    owner: Vec<usize>,
}

impl Matching {
    fn new(rows: usize, columns: usize) -> Self {
        Self { rows: vec![0.0; rows + 1], columns: vec![0.0; columns + 1], owner: vec![0; columns + 1] }
    }

    /// Brings one more row in, moving others where that is cheaper for all.
    fn add(&mut self, row: usize, cost: &impl Fn(usize, usize) -> f64) {
        let width = self.owner.len();
        let (mut least, mut way, mut used) = (vec![f64::INFINITY; width], vec![0usize; width], vec![false; width]);
        set(&mut self.owner, 0, row);
        let mut at = 0;
        while get(&self.owner, at) != 0 {
            set(&mut used, at, true);
            let here = get(&self.owner, at);
            let (mut step, mut next) = (f64::INFINITY, 0);
            for column in (1..width).filter(|column| !get(&used, *column)) {
                let reduced = cost(here - 1, column - 1) - get(&self.rows, here) - get(&self.columns, column);
                if reduced < get(&least, column) {
                    set(&mut least, column, reduced);
                    set(&mut way, column, at);
                }
                if get(&least, column) < step {
                    (step, next) = (get(&least, column), column);
                }
            }
            for column in 0..width {
                if get(&used, column) {
                    let owner = get(&self.owner, column);
                    let (row, potential) = (get(&self.rows, owner) + step, get(&self.columns, column) - step);
                    set(&mut self.rows, owner, row);
                    set(&mut self.columns, column, potential);
                } else {
                    let left = get(&least, column) - step;
                    set(&mut least, column, left);
                }
            }
            at = next;
        }
        while at != 0 {
            let before = get(&way, at);
            let owner = get(&self.owner, before);
            set(&mut self.owner, at, owner);
            at = before;
        }
    }
}

fn get<T: Copy + Default>(list: &[T], at: usize) -> T {
    list.get(at).copied().unwrap_or_default()
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every way to pair, tried.
    fn best(scores: &[Vec<f64>], taken: &mut Vec<bool>, least: f64) -> f64 {
        let Some((first, rest)) = scores.split_first() else { return 0.0 };
        let mut most = least + best(rest, taken, least);
        for column in 0..first.len() {
            if !taken[column] && first[column] > least {
                taken[column] = true;
                most = most.max(first[column] + best(rest, taken, least));
                taken[column] = false;
            }
        }
        most
    }

    proptest! {
        /// The sum is the best there is, and no column is given twice.
        #[test]
        fn as_good_as_trying_everything(scores in prop::collection::vec(prop::collection::vec(0.0f64..1.0, 4), 0..5)) {
            let given = assign(&scores, 0.3);
            let mut seen = std::collections::BTreeSet::new();
            prop_assert!(given.iter().flatten().all(|column| seen.insert(*column)));
            let sum: f64 = given.iter().enumerate().map(|(row, column)| column.map_or(0.3, |column| scores[row][column])).sum();
            prop_assert!((sum - best(&scores, &mut vec![false; 4], 0.3)).abs() < 1e-9);
        }
    }

    #[test]
    fn two_that_want_the_same_one_are_settled() {
        let scores = vec![vec![0.9, 0.8], vec![0.9, 0.1]];
        assert_eq!(assign(&scores, 0.2), [Some(1), Some(0)]);
        assert_eq!(assign(&[vec![0.1]], 0.2), [None]);
    }
}
