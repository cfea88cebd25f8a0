//! The real binary in a terminal: a pseudo-terminal of a size, what was drawn on it, and the keys that a person presses.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use rustix::{
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use super::PATIENCE;

/// What stands behind the last word of the program.
const ENDED: &str = "\x1b_ended\x1b\\";
/// Leads the session as a shell does: a terminal whose leader ends forgets what nobody has read yet. So it waits until all was.
const LEADER: &str = r#"trap : INT; "$0" "$@"; code=$?; printf '\033_ended\033\\'; read -r _; exit $code"#;

/// A program in a terminal.
pub(crate) struct Terminal {
    controller: File,
    /// Held, so that its modes can be looked at after the program.
    user: File,
    child: Child,
    drawn: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts a command with this terminal as its own.
    pub(crate) fn start(command: &Command, columns: u16, rows: u16) -> Self {
        // A server that a test starts must not hold it, or its reader would never end.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let user = File::from(ioctl_tiocgptpeer(&controller, flags).unwrap());
        let controller = File::from(controller);
        resize(&controller, columns, rows);
        // Signals of keys need a session of its own with this terminal.
        let mut own = Command::new("setsid");
        own.args(["--ctty", "--wait", "sh", "-c", LEADER]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => own.env(name, value),
                None => own.env_remove(name),
            };
        }
        let stdio = || Stdio::from(user.try_clone().unwrap());
        let child = own.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let (tell, drawn) = channel();
        let mut reader = controller.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = reader.read(&mut bytes) {
                if length == 0 || tell.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { controller, user, child, drawn, seen: String::new() }
    }

    /// Waits until what was drawn is so; gives all of it.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) -> &str {
        let end = Instant::now() + PATIENCE;
        while !is_so(&self.seen) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.drawn.recv_timeout(left) else { panic!("{what}: not drawn in {:?}", self.seen) };
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        &self.seen
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.controller.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the window another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        resize(&self.controller, columns, rows);
    }

    /// Whether keys are read line by line and shown, as a shell wants it.
    pub(crate) fn is_as_a_shell_wants_it(&self) -> bool {
        tcgetattr(&self.user).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits for the program's end; gives all that was drawn.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        self.until("the end", |drawn| drawn.contains(ENDED));
        assert!(self.is_as_a_shell_wants_it(), "the terminal was not given back");
        self.press("\n");
        let status = self.child.wait().unwrap();
        let drawn = self.seen.split(ENDED).next().unwrap_or_default();
        (status, drawn.to_owned())
    }
}

fn resize(controller: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(controller, size).unwrap();
}

/// What stands on the lines of a drawing, without what steers the terminal.
pub(crate) fn plain(drawn: &str) -> Vec<String> {
    let mut text = String::new();
    let mut parts = drawn.split("\x1b[");
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        text.push_str(&part[end..]);
    }
    text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}
