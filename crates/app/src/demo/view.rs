//! The live view: the last scores with their bands, and how everything does. Drawn in place on a terminal; plain lines
//! when the output goes elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use super::crm::{Counts, Crm, Scored};
use crate::{failure::Failure, output, process::Process};

/// Rows shown.
const ROWS: u32 = 10;
/// Pause between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What was shown last.
pub(super) struct View {
    terminal: bool,
    drawn: usize,
    last: Option<(Duration, u64)>,
    line_at: Duration,
    last_seen: String,
}

impl View {
    /// Looks where the output goes.
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        Self { terminal, drawn: 0, last: None, line_at: Duration::ZERO, last_seen: String::new() }
    }

    /// Draws the state of things.
    ///
    /// # Errors
    /// When the CRM cannot be read now.
    pub(super) fn frame(&mut self, process: &Process, crm: &Crm, now: Duration) -> Result<(), Failure> {
        let rows = crm.latest(ROWS)?;
        let counts = crm.counts()?;
        let asked: u64 = process.parts.flows.states().values().map(|state| state.asked).sum();
        let rate = self.rate(now, asked);
        let outbox: usize = process.parts.deliveries.current().states().values().map(|state| state.waiting).sum();
        let ledger = process.parts.ledger.state();
        let facts = facts(counts, rate, outbox, ledger.size, ledger.stopped.as_deref());
        if self.terminal {
            self.draw(&rows, &facts);
        } else if now >= self.line_at {
            self.line_at = now + LINE_EVERY;
            let fresh: Vec<String> = rows
                .iter()
                .take_while(|row| row.at > self.last_seen)
                .map(|row| format!("{} {:.3} {}", row.id, row.score, row.band))
                .collect();
            if let Some(newest) = rows.first() {
                self.last_seen.clone_from(&newest.at);
            }
            output::data(&format!("{facts}  last: {}", fresh.join(", ")));
        }
        Ok(())
    }

    fn rate(&mut self, now: Duration, asked: u64) -> f64 {
        let rate = self.last.map_or(0.0, |(then, before)| {
            let seconds = now.saturating_sub(then).as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let count = asked.saturating_sub(before) as f64;
            if seconds > 0.0 { count / seconds } else { 0.0 }
        });
        self.last = Some((now, asked));
        rate
    }

    fn draw(&mut self, rows: &[Scored], facts: &str) {
        let mut frame = String::new();
        if self.drawn > 0 {
            // Up to where the last frame began, and away with it.
            frame.push_str(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        frame.push_str("  LEAD    AGE  JOB            BALANCE   SCORE  BAND    SCORED AT\n");
        for row in rows {
            let colour = match row.band.as_str() {
                "green" => "\x1b[32m",
                "yellow" => "\x1b[33m",
                "red" => "\x1b[31m",
                _ => "",
            };
            let at = row.at.get(11..19).unwrap_or_default();
            frame.push_str(&format!(
                "  {:<7} {:>3}  {:<13} {:>8}   {:.3}  {colour}{:<6}\x1b[0m  {at}\n",
                row.id, row.age, row.job, row.balance, row.score, row.band
            ));
        }
        frame.push_str(&format!("\n  {facts}\n"));
        self.drawn = frame.matches('\n').count();
        let mut out = io::stdout().lock();
        let _ = out.write_all(frame.as_bytes()).and_then(|()| out.flush());
    }
}

fn facts(counts: Counts, rate: f64, outbox: usize, ledger: u64, stopped: Option<&str>) -> String {
    let mut text = format!(
        "{} of {} leads scored · {rate:.0}/s · outbox {outbox} · ledger {ledger} entries",
        counts.scored, counts.leads
    );
    if let Some(why) = stopped {
        text.push_str(&format!(" · LEDGER STOPPED: {why}"));
    }
    text
}
