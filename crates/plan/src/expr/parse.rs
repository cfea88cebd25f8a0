//! From text to the `cel` crate's syntax tree, with limits, and with errors in our words.

use std::collections::BTreeSet;

use cel::{
    common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo},
    parser::Parser,
};

use super::{ExprFinding, check::root};

/// Longest accepted expression in bytes.
const LONGEST: usize = 4096;
/// Deepest nesting of brackets, and most operators of one kind in a row that nest.
const DEEPEST: u16 = 32;

/// A parsed expression.
pub struct Parsed {
    source: String,
    tree: IdedExpr,
    info: SourceInfo,
}

impl Parsed {
    /// Parses.
    ///
    /// # Errors
    /// The syntax errors, with their place.
    pub fn new(source: &str) -> Result<Self, Vec<ExprFinding>> {
        limits(source)?;
        match Parser::new().max_recursion_depth(DEEPEST * 2).parse_with_source_info(source) {
            Ok((tree, info)) => Ok(Self { source: source.to_owned(), tree, info }),
            Err(errors) => Err(match assignment(source) {
                Some(offset) => vec![ExprFinding {
                    offset,
                    code: "expression_syntax",
                    message: "an expression assigns nothing: = is no operator".to_owned(),
                    allowed: None,
                    suggestion: Some("==".to_owned()),
                }],
                None => errors.errors.iter().take(1).map(|error| syntax(source, error)).collect(),
            }),
        }
    }

    /// The text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names of all `input.<field>` in it, known or not.
    pub fn fields(&self) -> BTreeSet<String> {
        let all = self.selected().into_iter();
        all.filter_map(|(root, field)| (root == "input").then_some(field)).collect()
    }

    /// All `<name>.<field>` in it, known or not.
    pub fn selected(&self) -> BTreeSet<(String, String)> {
        let mut names = BTreeSet::new();
        collect(&self.tree, &mut names);
        names
    }

    pub(crate) fn tree(&self) -> &IdedExpr {
        &self.tree
    }

    /// Byte offset of a node.
    pub(crate) fn offset(&self, id: u64) -> usize {
        let offset = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        offset.min(self.source.len())
    }
}

fn collect(node: &IdedExpr, names: &mut BTreeSet<(String, String)>) {
    match &node.expr {
        Expr::Select(select) => {
            if let Some(root) = root(&select.operand) {
                names.insert((root.to_owned(), select.field.clone()));
            }
            collect(&select.operand, names);
        }
        Expr::Call(call) => {
            call.target.iter().for_each(|target| collect(target, names));
            call.args.iter().for_each(|arg| collect(arg, names));
        }
        Expr::List(list) => list.elements.iter().for_each(|item| collect(item, names)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    collect(&entry.key, names);
                    collect(&entry.value, names);
                }
            }
        }
        Expr::Comprehension(comprehension) => {
            collect(&comprehension.iter_range, names);
            collect(&comprehension.loop_step, names);
        }
        Expr::Struct(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

/// Refuses what could exhaust the stack or the time of the parser, before it sees it.
fn limits(source: &str) -> Result<(), Vec<ExprFinding>> {
    let refuse = |offset: usize, message: String| {
        Err(vec![ExprFinding { offset, code: "expression_too_large", message, allowed: None, suggestion: None }])
    };
    if source.len() > LONGEST {
        return refuse(source.floor_char_boundary(LONGEST), format!("the expression is longer than {LONGEST} bytes"));
    }
    if source.trim().is_empty() {
        return Err(vec![ExprFinding {
            offset: 0,
            code: "expression_syntax",
            message: "the expression is empty".to_owned(),
            allowed: Some("a CEL expression, for example input.age > 30".to_owned()),
            suggestion: None,
        }]);
    }
    let (mut depth, mut prefix) = (0_u16, 0_u16);
    for (offset, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        prefix = if matches!(byte, b'!' | b'-') { prefix + 1 } else { 0 };
        if depth > DEEPEST || prefix > DEEPEST {
            return refuse(offset, format!("the expression nests deeper than {DEEPEST} levels"));
        }
    }
    Ok(())
}

/// A single `=`, outside of quotes.
fn assignment(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut quote = None;
    for (at, byte) in source.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            (None, b'=') => {
                let near = [at.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at + 1)];
                if !near.iter().any(|near| matches!(near, Some(b'=' | b'<' | b'>' | b'!'))) {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn syntax(source: &str, error: &cel::parser::ParseError) -> ExprFinding {
    let line = usize::try_from(error.pos.0).unwrap_or(0).saturating_sub(1);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    // The parser counts characters where we count bytes.
    let column = usize::try_from(error.pos.1).unwrap_or(0).saturating_sub(1);
    let before: usize = source.get(start..).unwrap_or_default().chars().take(column).map(char::len_utf8).sum();
    let message = error.msg.trim();
    let message = message.strip_prefix("Syntax error:").unwrap_or(message).trim();
    // The generated parser lists every token it would have taken; nobody reads forty of them.
    let message = message.split(" expecting {").next().unwrap_or(message);
    ExprFinding {
        offset: start + before,
        code: "expression_syntax",
        message: format!("the expression cannot be read: {message}"),
        allowed: None,
        suggestion: None,
    }
}

#[cfg(test)]
mod tests {
    use super::Parsed;

    #[test]
    fn a_syntax_error_lies_where_it_is_also_behind_other_alphabets() {
        for (source, rest) in [("\"٣٩\"0", "0"), ("'é' 'ü'", "'ü'"), ("1 +\n'größe' ) 2", ") 2"), ("1 1", "1")] {
            let findings = Parsed::new(source).err().unwrap();
            assert_eq!(source.get(findings[0].offset..), Some(rest), "{source}: {findings:?}");
        }
        let long = format!("'{}'", "é".repeat(3000));
        assert!(long.is_char_boundary(Parsed::new(&long).err().unwrap()[0].offset), "inside of a letter");
    }
}
