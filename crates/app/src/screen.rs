//! The terminal: how wide it is, whether colours may be used, and a whole screen for a live view, which is given back as it was
//! however the command ends.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

/// Columns where a terminal does not say how many it has.
const USUAL_WIDTH: usize = 80;
/// The same of rows.
const USUAL_HEIGHT: usize = 24;

/// What stdout can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Columns; nothing: no terminal, whatever is written is kept whole.
    pub(crate) width: Option<usize>,
    /// Rows of a terminal.
    pub(crate) height: Option<usize>,
    /// Whether colours may be used.
    pub(crate) colours: bool,
}

impl Screen {
    /// As stdout is now; a window may have another size a moment later.
    pub(crate) fn of_stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self::default();
        }
        let size = termios::tcgetwinsize(io::stdout()).ok();
        let or = |cells: Option<u16>, usual: usize| cells.map(usize::from).filter(|cells| *cells > 0).unwrap_or(usual);
        Self {
            width: Some(or(size.map(|size| size.ws_col), USUAL_WIDTH)),
            height: Some(or(size.map(|size| size.ws_row), USUAL_HEIGHT)),
            colours: tendon_platform::telemetry::log::colours_wanted(),
        }
    }
}

/// How the terminal was before a live view took it.
static BEFORE: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    /// How stdin was; nothing: it is no terminal.
    input: Option<Termios>,
}

/// A whole screen. Dropping it gives the terminal back.
pub(crate) struct Whole(());

impl Whole {
    /// Takes the terminal: its other screen, without a cursor; keys are read one by one and not shown.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub(crate) fn take() -> io::Result<Self> {
        let input = termios::tcgetattr(io::stdin()).ok();
        if let Some(before) = &input {
            let mut keys = before.clone();
            keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            // A view that was suspended, or killed by Ctrl-\, would leave its screen to the shell.
            for code in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
                keys.special_codes[code] = 0;
            }
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &keys);
        }
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Taken { input });
        let whole = Self(());
        write("\x1b[?1049h\x1b[?25l")?;
        Ok(whole)
    }

    /// Draws over what was there. The text must fit.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub(crate) fn draw(&self, text: &str) -> io::Result<()> {
        let mut frame = String::from("\x1b[H");
        for (at, line) in text.lines().enumerate() {
            frame.push_str(if at > 0 { "\n" } else { "" });
            // Before the text: behind a full line the cursor still stands on its last cell.
            frame.push_str("\x1b[K");
            frame.push_str(line);
        }
        frame.push_str("\x1b[J");
        write(&frame)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if a live view has it. A panic calls it before it speaks.
pub(crate) fn give_back() {
    let Some(taken) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let _ = write("\x1b[?25h\x1b[?1049l");
    if let Some(before) = taken.input {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
