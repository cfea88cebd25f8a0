//! Records of a file, one after the other, with the place at which each begins. A record that is not well formed is told
//! and passed over; a record longer than 16 MiB is not read to its end (an unclosed quote would swallow the file).

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Map, Value as Json};

use super::folder::Format;

/// Longest record in bytes.
const LONGEST: u64 = 16 << 20;
/// What UTF-8 files of some programs begin with.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Where a record begins: its byte, its line from 1, its number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) byte: u64,
    pub(super) line: u64,
    pub(super) row: u64,
}

/// A record.
pub(super) enum Record {
    /// Cells in the header's order.
    Cells(csv::StringRecord),
    /// An object.
    Object(Map<String, Json>),
}

/// A record, or why it is not well formed.
pub(super) type Found = (Place, Result<Record, String>);

/// Reads from a file and counts the bytes since the last record began.
pub(super) struct Metered {
    file: File,
    since: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if self.since.fetch_add(count as u64, Ordering::Relaxed) > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 16 MiB; is a quote not closed?"));
        }
        Ok(count)
    }
}

impl Seek for Metered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

enum Source {
    Csv(Box<csv::Reader<Metered>>),
    Jsonl(Box<BufReader<Metered>>),
}

/// An open file of records.
pub(super) struct Records {
    /// Names of the cells; empty for jsonl.
    pub(super) header: Vec<String>,
    source: Source,
    since: Arc<AtomicU64>,
    /// Where the first record begins at the earliest.
    first: Place,
    /// Where the next one does.
    next: Place,
    /// Nothing more can be read.
    broken: bool,
}

impl Records {
    /// Opens a file and reads its header. The inner error says why the header is wrong.
    pub(super) fn open(path: &Path, format: Format, delimiter: u8) -> io::Result<Result<Self, String>> {
        let since = Arc::new(AtomicU64::new(0));
        let file = Metered { file: File::open(path)?, since: Arc::clone(&since) };
        let mut next = Place { byte: 0, line: 1, row: 1 };
        let mut header = Vec::new();
        let source = match format {
            Format::Jsonl => {
                let mut reader = BufReader::new(file);
                if reader.fill_buf()?.starts_with(MARK) {
                    reader.consume(MARK.len());
                    next.byte = MARK.len() as u64;
                }
                Source::Jsonl(Box::new(reader))
            }
            Format::Csv => {
                let mut reader =
                    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(true).from_reader(file);
                match reader.byte_headers().cloned().map(texts) {
                    Ok(Some(cells)) => header = cells.iter().map(str::to_owned).collect(),
                    Ok(None) => return Ok(Err("the header is not UTF-8".to_owned())),
                    Err(error) => return broken_off(error).map(Err),
                }
                if let Some(wrong) = wrong_header(&header) {
                    return Ok(Err(wrong));
                }
                let position = reader.position();
                next = Place { byte: position.byte(), line: position.line(), row: 1 };
                Source::Csv(Box::new(reader))
            }
        };
        Ok(Ok(Self { header, source, since, first: next, next, broken: false }))
    }

    /// Goes to the first record.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.seek(self.first)
    }

    /// Goes to a place told earlier.
    pub(super) fn seek(&mut self, place: Place) -> io::Result<()> {
        self.since.store(0, Ordering::Relaxed);
        self.broken = false;
        self.next = place;
        match &mut self.source {
            Source::Csv(reader) => {
                let mut position = csv::Position::new();
                position.set_byte(place.byte).set_line(place.line).set_record(place.row);
                reader.seek(position).map_err(io::Error::from)
            }
            Source::Jsonl(reader) => reader.seek(SeekFrom::Start(place.byte)).map(|_| ()),
        }
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        if self.broken {
            return Ok(None);
        }
        self.since.store(0, Ordering::Relaxed);
        let found = match &mut self.source {
            Source::Csv(reader) => next_cells(reader, self.header.len(), self.next),
            Source::Jsonl(reader) => next_object(reader, &mut self.next),
        }?;
        self.next.row += 1;
        if let Some((_, Err(_))) = &found {
            self.broken = self.since.load(Ordering::Relaxed) > LONGEST;
        }
        Ok(found)
    }
}

/// Why a header cannot be used.
fn wrong_header(header: &[String]) -> Option<String> {
    header.iter().enumerate().find_map(|(at, name)| {
        if name.is_empty() {
            Some(format!("column {} has no name", at + 1))
        } else if name == super::ROW || header[..at].contains(name) {
            Some(format!("column {} has a name that is taken", at + 1))
        } else {
            None
        }
    })
}

/// An error of csv's: of the record, or of the file.
fn broken_off(error: csv::Error) -> io::Result<String> {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() != io::ErrorKind::InvalidData => Err(error),
        csv::ErrorKind::Io(error) => Ok(error.to_string()),
        _ => Ok("not well-formed csv".to_owned()),
    }
}

/// The cells as text, if all are UTF-8.
fn texts(cells: csv::ByteRecord) -> Option<csv::StringRecord> {
    csv::StringRecord::from_byte_record(cells).ok()
}

fn next_cells(reader: &mut csv::Reader<Metered>, expected: usize, next: Place) -> io::Result<Option<Found>> {
    let mut cells = csv::ByteRecord::new();
    let before = reader.position();
    let next = Place { byte: before.byte(), line: before.line(), row: next.row };
    match reader.read_byte_record(&mut cells) {
        Ok(false) => return Ok(None),
        Ok(true) => {}
        Err(error) => return Ok(Some((next, Err(broken_off(error)?)))),
    }
    let place =
        cells.position().map_or(next, |position| Place { byte: position.byte(), line: position.line(), row: next.row });
    if cells.len() != expected {
        let what = format!("it has {} cells, the header {expected}", cells.len());
        return Ok(Some((place, Err(what))));
    }
    let record = texts(cells).map(Record::Cells).ok_or_else(|| "it is not UTF-8".to_owned());
    Ok(Some((place, record)))
}

fn next_object(reader: &mut BufReader<Metered>, next: &mut Place) -> io::Result<Option<Found>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let place = *next;
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(None),
            Ok(count) => next.byte += count as u64,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Some((place, Err(error.to_string()))));
            }
            Err(error) => return Err(error),
        }
        next.line += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let record = match std::str::from_utf8(&line).map(serde_json::from_str) {
            Ok(Ok(Json::Object(object))) => Ok(Record::Object(object)),
            Ok(Ok(_)) => Err("it is no JSON object".to_owned()),
            // The parser's text tells line and column, and no content.
            Ok(Err(error)) => Err(format!("it is not well-formed JSON, at column {}", error.column())),
            Err(_) => Err("it is not UTF-8".to_owned()),
        };
        return Ok(Some((place, record)));
    }
}
