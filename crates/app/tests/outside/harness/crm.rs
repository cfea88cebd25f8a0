//! The CRM as its people and the tests see it: changes, and what the test's own trigger wrote down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use rusqlite::Connection;

use super::{FEATURES, Project, example};

/// One write-back that had an effect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WriteBack {
    pub(crate) id: i64,
    pub(crate) balance: i64,
    pub(crate) score: f64,
    pub(crate) scored_at: String,
    pub(crate) before: Option<String>,
}

/// All write-backs, in order.
///
/// # Panics
/// When they cannot be read.
pub(crate) fn written(crm: &Connection) -> Vec<WriteBack> {
    let mut statement = crm.prepare("SELECT id, balance, score, scored_at, before FROM written ORDER BY n").unwrap();
    let rows = statement.query_map([], |row| {
        let (id, balance, score) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(WriteBack { id, balance, score, scored_at: row.get(3)?, before: row.get(4)? })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Gives a lead another balance, as a person does.
///
/// # Panics
/// When that fails.
pub(crate) fn change(crm: &Connection, id: usize, balance: i64) {
    let sql = "UPDATE leads SET balance = ?2, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?1";
    assert_eq!(crm.execute(sql, (i64::try_from(id).unwrap(), balance)).unwrap(), 1);
}

/// How many leads have no score, or one for another balance than they hold.
///
/// # Panics
/// When they cannot be counted.
pub(crate) fn unscored(crm: &Connection) -> i64 {
    let sql = "SELECT count(*) FROM leads WHERE (SELECT balance FROM written WHERE written.id = leads.id ORDER BY n DESC \
               LIMIT 1) IS NOT balance";
    crm.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Checks what must hold of write-backs, whatever happened: each (row, time) once, the time of a row only forward.
///
/// # Panics
/// When it does not.
pub(crate) fn each_once_and_forward(crm: &Connection) -> usize {
    let mut last: BTreeMap<i64, String> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let all = written(crm);
    for one in &all {
        assert!(seen.insert((one.id, one.scored_at.clone())), "written twice: {one:?}");
        let before = last.insert(one.id, one.scored_at.clone());
        assert!(before.as_ref().is_none_or(|before| *before < one.scored_at), "back in time: {before:?}, {one:?}");
        assert_eq!(one.before, before, "somebody else wrote between: {one:?}");
    }
    all.len()
}

/// Checks that every lead carries the model's score of what it holds: the rows are exported and scored by `models predict`.
///
/// # Panics
/// When one does not.
pub(crate) fn scores_are_right(project: &Project, crm: &Connection) {
    let names = FEATURES.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let mut statement = crm.prepare(&format!("SELECT {names}, score FROM leads ORDER BY id")).unwrap();
    let path = project.path().join("rows.csv");
    let mut file = csv::Writer::from_path(&path).unwrap();
    file.write_record(FEATURES.iter().map(|(name, _)| *name).chain(["score"])).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let cells = FEATURES.iter().enumerate().map(|(at, (_, number))| match number {
            true => row.get::<_, i64>(at).unwrap().to_string(),
            false => row.get::<_, String>(at).unwrap(),
        });
        let score: f64 = row.get(FEATURES.len()).unwrap();
        file.write_record(cells.chain([score.to_string()])).unwrap();
    }
    file.flush().unwrap();
    let model = example("lead-score.txt");
    let words =
        ["models", "predict", &model.to_string_lossy(), "--input", &path.to_string_lossy(), "--expect", "score"];
    let ran = project.run(&words);
    assert_eq!(ran.code, 0, "a lead has another score than the model gives it: {}", ran.err);
    fs::remove_file(path).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Setup;

    fn scored(sql: &str) -> (Project, Connection) {
        let project = Project::new(&Setup { leads: 2, ..Setup::default() });
        let crm = project.crm();
        crm.execute_batch(sql).unwrap();
        (project, crm)
    }

    #[test]
    fn scores_once_and_forward_are_accepted() {
        let (_project, crm) =
            scored("UPDATE leads SET scored_at = '1', score = 1; UPDATE leads SET scored_at = '2' WHERE id = 1");
        assert_eq!((each_once_and_forward(&crm), unscored(&crm)), (3, 0));
        change(&crm, 2, 5);
        assert_eq!(unscored(&crm), 1);
    }

    #[test]
    #[should_panic(expected = "written twice")]
    fn a_second_effect_is_found() {
        each_once_and_forward(
            &scored(
                "UPDATE leads SET scored_at = '1', score = 1; UPDATE leads SET scored_at = '1', score = 1 WHERE id = 2",
            )
            .1,
        );
    }

    #[test]
    #[should_panic(expected = "back in time")]
    fn an_older_decision_that_writes_later_is_found() {
        each_once_and_forward(
            &scored(
                "UPDATE leads SET scored_at = '2', score = 1; UPDATE leads SET scored_at = '1', score = 1 WHERE id = 2",
            )
            .1,
        );
    }

    #[test]
    #[should_panic(expected = "another score than the model")]
    fn a_wrong_score_is_found() {
        let project = Project::new(&Setup { leads: 2, ..Setup::default() });
        let crm = project.crm();
        crm.execute_batch("UPDATE leads SET score = 0.25").unwrap();
        scores_are_right(&project, &crm);
    }
}
