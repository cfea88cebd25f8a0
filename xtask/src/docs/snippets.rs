//! The ledger of snippets: every fenced block of the pages is run or checked by a scenario, or its source says why it is not, by a
//! comment `<!-- not run: reason -->` above it. The scenarios write down what they ran, in the file that `SNIPPETS` names; the pages are
//! read here, by another parser than theirs, so what theirs overlooks is missing in the record and fails.

use std::{collections::BTreeMap, fs, path::Path};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::site;
use crate::run::root;

/// Languages of blocks. A `text` is output or a drawing and need not be run; it may be compared.
const LANGUAGES: &[&str] = &["html", "http", "json", "python", "sh", "text", "yaml"];
/// How the comment above a block that is not run begins.
const MARK: &str = "<!-- not run:";

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    language: String,
    /// Why it is not run, where its source says so.
    reason: Option<String>,
}

/// Blocks by page and line of their fence.
type Blocks = BTreeMap<(String, usize), Block>;

/// Every block names its language, every mark its reason.
pub(super) fn check() -> Result<usize, String> {
    let blocks = blocks()?;
    let mut wrong: Vec<String> = blocks.iter().filter_map(|(place, block)| fault(place, block)).collect();
    for page in site::sources()? {
        let text = fs::read_to_string(root().join(&page)).map_err(|error| format!("{page}: {error}"))?;
        wrong.extend(unknown_tasks(&text).map(|task| format!("{page}: there is no `cargo xtask {task}`")));
    }
    if wrong.is_empty() { Ok(blocks.len()) } else { Err(wrong.join("\n")) }
}

/// Tasks that a page names and nobody has.
fn unknown_tasks(text: &str) -> impl Iterator<Item = &str> {
    let named =
        text.split("cargo xtask ").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next());
    named.filter(|task| !task.is_empty() && !crate::HELP.contains(&format!("\n  {task} ")))
}

fn fault((page, line): &(String, usize), block: &Block) -> Option<String> {
    if !LANGUAGES.contains(&block.language.as_str()) {
        return Some(format!(
            "{page}:{line}: the block's language is `{}`; it has to be one of {}",
            block.language,
            LANGUAGES.join(", ")
        ));
    }
    let reason = block.reason.as_ref()?;
    (reason.len() < 10).then(|| format!("{page}:{line}: why is it not run? `{reason}` is no reason"))
}

/// What was run, held against the pages: a sentence with the counts, or what is missing.
pub(crate) fn settle(record: &Path) -> Result<String, String> {
    let text =
        fs::read_to_string(record).map_err(|error| format!("the scenarios kept no record of snippets: {error}"))?;
    compare(&blocks()?, &text)
}

fn compare(blocks: &Blocks, record: &str) -> Result<String, String> {
    let mut ran = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in record.lines() {
        let parts: Vec<&str> = line.split_whitespace().collect();
        match *parts {
            [page, line, count] => {
                let count: u64 = count.parse().map_err(|_| format!("the record has a line that is none: {line}"))?;
                ran.insert((page.to_owned(), line.parse::<usize>().unwrap_or_default()), count);
            }
            _ => return Err(format!("the record has a line that is none: {line}")),
        }
    }
    let (mut commands, mut snippets, mut compared, mut marked) = (0, 0, 0, 0);
    for (place, block) in blocks {
        match (ran.remove(place), &block.reason, block.language.as_str()) {
            (Some(_), Some(_), _) => wrong.push(format!("{}:{} is marked as not run, and was run", place.0, place.1)),
            (Some(count), None, "sh") => commands += count,
            (Some(_), None, "text") => compared += 1,
            (Some(_), None, _) => snippets += 1,
            (None, Some(_), _) => marked += 1,
            (None, None, "text") => {}
            (None, None, _) => {
                wrong.push(format!("{}:{} is run by no scenario, and its source does not say why", place.0, place.1))
            }
        }
    }
    wrong.extend(ran.keys().map(|(page, line)| format!("{page}:{line} was run, and is no block")));
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    Ok(format!(
        "documentation: {commands} commands and {snippets} snippets executed, {compared} outputs compared, {marked} blocks marked as not runnable"
    ))
}

fn blocks() -> Result<Blocks, String> {
    let mut blocks = Blocks::new();
    // What is generated holds help texts only.
    for page in site::sources()?.into_iter().filter(|page| !page.starts_with("docs/reference/")) {
        let text = fs::read_to_string(root().join(&page)).map_err(|error| format!("{page}: {error}"))?;
        read(&page, &text, &mut blocks);
    }
    Ok(blocks)
}

fn read(page: &str, text: &str, blocks: &mut Blocks) {
    let mut reason = None;
    let mut comment = String::new();
    for (event, place) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Html(part) => comment.push_str(&part),
            Event::End(TagEnd::HtmlBlock) => {
                let said = std::mem::take(&mut comment);
                let said = said.trim().strip_prefix(MARK).and_then(|said| said.strip_suffix("-->"));
                reason = said.map(|said| said.trim().to_owned());
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(name) => name.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let line = text[..place.start].matches('\n').count() + 1;
                blocks.insert((page.to_owned(), line), Block { language, reason: reason.take() });
            }
            Event::Start(Tag::HtmlBlock) => {}
            // A mark belongs to the block below it, and to nothing else.
            Event::Start(_) => reason = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# T\n\n```sh\na\n```\n\n<!-- not run: needs a cluster of its own -->\n```sh\nb\n```\n\n- x\n\n  ```yaml\n  c: 1\n  ```\n\n```text\nout\n```\n";

    fn page() -> Blocks {
        let mut blocks = Blocks::new();
        read("a.md", PAGE, &mut blocks);
        blocks
    }

    #[test]
    fn blocks_are_found_with_their_marks() {
        let found: Vec<_> = page().into_iter().map(|((_, line), block)| (line, block.language, block.reason)).collect();
        let reason = Some("needs a cluster of its own".to_owned());
        let wanted = [(3, "sh", None), (8, "sh", reason), (14, "yaml", None), (18, "text", None)];
        assert_eq!(found, wanted.map(|(line, language, reason)| (line, language.to_owned(), reason)));
    }

    #[test]
    fn the_pages_are_in_order() {
        assert!(check().is_ok_and(|blocks| blocks > 40), "{:?}", check());
        let text = "`cargo xtask docs --check`, cargo xtask dance, `cargo xtask <task>`";
        assert_eq!(unknown_tasks(text).collect::<Vec<_>>(), ["dance"]);
    }

    #[test]
    fn what_is_neither_run_nor_marked_is_named() {
        let settled = compare(&page(), "a.md 3 2\na.md 14 1\n");
        let wanted = "2 commands and 1 snippets executed, 0 outputs compared, 1 blocks marked";
        assert!(settled.as_ref().is_ok_and(|said| said.contains(wanted)), "{settled:?}");
        for (record, said) in [
            ("a.md 3 2\n", "a.md:14 is run by no scenario"),
            ("a.md 3 2\na.md 8 1\na.md 14 1\n", "a.md:8 is marked as not run, and was run"),
            ("a.md 3 2\na.md 14 1\na.md 99 1\n", "a.md:99 was run, and is no block"),
            ("a.md 3\n", "a line that is none"),
        ] {
            assert!(compare(&page(), record).is_err_and(|wrong| wrong.contains(said)), "{said}");
        }
    }

    #[test]
    fn a_block_without_language_and_a_mark_without_reason_are_faults() {
        let mut blocks = Blocks::new();
        read(
            "a.md",
            "```\nx\n```\n\n<!-- not run: no -->\n```sh\ny\n```\n\n<!-- not run: too far above -->\nwords\n\n```sh\nz\n```\n",
            &mut blocks,
        );
        let faults: Vec<String> = blocks.iter().filter_map(|(place, block)| fault(place, block)).collect();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(blocks.values().all(|block| block.reason.as_deref().is_none_or(|reason| reason == "no")), "{blocks:?}");
    }
}
