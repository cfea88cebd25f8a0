//! Small changes to a configuration that a person wrote: an entry more, a field more in a list. Comments and order stay.
//! Where the text has a form that cannot be changed safely, nothing is changed and the caller says what to add.

/// Adds an entry (lines indented by two spaces) to a top-level section, which is made at the end when it is not there.
pub fn add_entry(text: &str, section: &str, entry: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let head = format!("{section}:");
    let Some(at) = lines.iter().position(|line| line.starts_with(&head)) else {
        let gap = if text.is_empty() || text.ends_with("\n\n") {
            ""
        } else if text.ends_with('\n') {
            "\n"
        } else {
            "\n\n"
        };
        return Some(format!("{text}{gap}{head}\n{entry}"));
    };
    let rest = without_comment(lines.get(at)?.strip_prefix(&head)?);
    if !matches!(rest, "" | "{}" | "null" | "~") {
        return None;
    }
    let end = end_of_block(&lines, at, 0);
    let indent = lines.get(at + 1..end)?.iter().find(|line| is_content(line)).map_or(2, |line| indent_of(line));
    let mut out: Vec<String> = lines.get(..end)?.iter().map(|line| (*line).to_owned()).collect();
    if !rest.is_empty()
        && let Some(line) = out.get_mut(at)
    {
        *line = head;
    }
    out.extend(entry.lines().map(|line| format!("{}{}", " ".repeat(indent), line.get(2..).unwrap_or_default())));
    out.extend(lines.get(end..)?.iter().map(|line| (*line).to_owned()));
    Some(out.join("\n") + "\n")
}

/// Adds fields to `systems.<system>.<verb>.<resource>`.
pub fn add_fields(text: &str, system: &str, verb: &str, resource: &str, fields: &[String]) -> Option<String> {
    if fields.is_empty() {
        return Some(text.to_owned());
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let borrowed: Vec<&str> = text.lines().collect();
    let systems = borrowed.iter().position(|line| key_of(line) == Some(("systems", 0)))?;
    let own = child(&borrowed, systems, system)?;
    if !without_comment(borrowed.get(own)?.split_once(':')?.1).is_empty() {
        return None;
    }
    let entry = format!("{}: {}", crate::compose::scalar(resource), crate::compose::list(fields));
    let Some(listed) = child(&borrowed, own, verb) else {
        let end = end_of_block(&borrowed, own, indent_of(borrowed.get(own)?));
        let indent = borrowed.get(own + 1..end)?.iter().find(|line| is_content(line)).map_or(4, |line| indent_of(line));
        let pad = " ".repeat(indent);
        lines.splice(end..end, [format!("{pad}{verb}:"), format!("{pad}  {entry}")]);
        return Some(lines.join("\n") + "\n");
    };
    let rest = without_comment(borrowed.get(listed)?.split_once(':')?.1);
    if rest.is_empty() {
        match child(&borrowed, listed, resource) {
            Some(place) => *lines.get_mut(place)? = into_list(borrowed.get(place)?, resource, fields)?,
            None => {
                let pad = " ".repeat(indent_of(borrowed.get(listed)?) + 2);
                let end = end_of_block(&borrowed, listed, indent_of(borrowed.get(listed)?));
                lines.insert(end, format!("{pad}{entry}"));
            }
        }
    } else if rest.starts_with('{') && rest.ends_with('}') {
        let line = borrowed.get(listed)?;
        *lines.get_mut(listed)? = match into_list(line, resource, fields) {
            Some(line) => line,
            // The resource stands there in another form: not ours to guess.
            None if line.contains(&format!("{resource}:")) => return None,
            None if without_comment(rest.trim_start_matches('{').trim_end_matches('}')).is_empty() => {
                line.replacen(rest, &format!("{{ {entry} }}"), 1)
            }
            None => line.replacen('{', &format!("{{ {entry},"), 1),
        };
    } else {
        return None;
    }
    Some(lines.join("\n") + "\n")
}

/// Puts fields before the `]` of `resource: [a, b]` within one line.
fn into_list(line: &str, resource: &str, fields: &[String]) -> Option<String> {
    let names = [format!("{resource}:"), format!("\"{resource}\":"), format!("'{resource}':")];
    let starts =
        |at: usize| matches!(line.get(..at).and_then(|before| before.chars().next_back()), Some(' ' | '{' | ','));
    let found = |name: &String| {
        line.match_indices(name.as_str()).map(|(at, _)| at).find(|at| starts(*at)).map(|at| (at, name.len()))
    };
    let (at, length) = names.iter().find_map(found)?;
    let after = line.get(at + length..)?;
    let open = after.find('[')?;
    if !after.get(..open)?.trim().is_empty() {
        return None;
    }
    let close = open + after.get(open..)?.find(']')?;
    let inside = after.get(open + 1..close)?.trim().trim_end_matches(',').trim_end();
    let added: Vec<String> = fields.iter().map(|field| crate::compose::item(field)).collect();
    let joined = if inside.is_empty() { added.join(", ") } else { format!("{inside}, {}", added.join(", ")) };
    let (head, tail) = (line.get(..at + length + open + 1)?, after.get(close..)?);
    Some(format!("{head}{joined}{tail}"))
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn without_comment(text: &str) -> &str {
    text.split(" #").next().unwrap_or_default().trim()
}

/// The key at the start of a line, and its indent.
fn key_of(line: &str) -> Option<(&str, usize)> {
    if !is_content(line) {
        return None;
    }
    let (key, _) = line.split_once(':')?;
    Some((key.trim().trim_matches(['"', '\'']), indent_of(line)))
}

/// First line after a block's content: blank lines and comments at its end belong to what follows.
fn end_of_block(lines: &[&str], head: usize, indent: usize) -> usize {
    let inside = |(_, line): &(usize, &&str)| !is_content(line) || indent_of(line) > indent;
    let content = lines.iter().enumerate().skip(head + 1).take_while(inside).filter(|(_, line)| is_content(line));
    content.map(|(at, _)| at + 1).last().unwrap_or(head + 1)
}

/// The line of a key directly below another.
fn child(lines: &[&str], head: usize, name: &str) -> Option<usize> {
    let outer = indent_of(lines.get(head)?);
    let end = end_of_block(lines, head, outer);
    let first = lines.get(head + 1..end)?.iter().find(|line| is_content(line)).map(|line| indent_of(line))?;
    (head + 1..end).find(|at| lines.get(*at).and_then(|line| key_of(line)) == Some((name, first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_at_the_end_of_its_section() {
        let text = "project: p\nsystems:\n  crm:\n    kind: sqlite\n\n# Models.\nmodels: {}\n";
        let one = add_entry(text, "systems", "  erp:\n    kind: files\n").unwrap();
        assert_eq!(
            one,
            "project: p\nsystems:\n  crm:\n    kind: sqlite\n  erp:\n    kind: files\n\n# Models.\nmodels: {}\n"
        );
        let two = add_entry(&one, "models", "  m: { path: models/m }\n").unwrap();
        assert!(two.ends_with("# Models.\nmodels:\n  m: { path: models/m }\n"), "{two}");
        assert_eq!(add_entry("project: p\n", "models", "  m: {}\n").unwrap(), "project: p\n\nmodels:\n  m: {}\n");
        assert_eq!(add_entry("models: { a: {} }\n", "models", "  m: {}\n"), None);
        let wide = add_entry("systems:\n    crm:\n        kind: x\n", "systems", "  erp:\n    kind: y\n").unwrap();
        assert_eq!(wide, "systems:\n    crm:\n        kind: x\n    erp:\n      kind: y\n");
    }

    #[test]
    fn fields_are_added_in_each_form() {
        let new = ["score".to_owned(), "on".to_owned()];
        let none = "systems:\n  crm:\n    kind: sqlite\n    read:\n      leads: [id] # those\n  erp:\n    kind: x\n";
        let added = add_fields(none, "crm", "write", "leads", &new).unwrap();
        assert!(added.contains("[id] # those\n    write:\n      leads: [score, \"on\"]\n  erp:"), "{added}");
        let more = add_fields(&added, "crm", "write", "leads", &["band".to_owned()]).unwrap();
        assert!(more.contains("leads: [score, \"on\", band]\n"), "{more}");
        let other = add_fields(&added, "crm", "write", "people", &["x".to_owned()]).unwrap();
        assert!(other.contains("\"on\"]\n      people: [x]\n"), "{other}");
        let flow = "systems:\n  crm:\n    read: { a_leads: [x], leads: [id] }\n    write: {}\n";
        let added = add_fields(flow, "crm", "read", "leads", &["age".to_owned()]).unwrap();
        assert!(added.contains("{ a_leads: [x], leads: [id, age] }"), "{added}");
        assert!(
            add_fields(&added, "crm", "write", "leads", &new).unwrap().contains("write: { leads: [score, \"on\"] }")
        );
        assert!(add_fields(flow, "crm", "read", "erp", &["b".to_owned()]).unwrap().contains("{ erp: [b], a_leads"));
        assert_eq!(add_fields("systems: { crm: { kind: x } }\n", "crm", "read", "leads", &new), None);
        assert_eq!(
            add_fields("systems:\n  crm:\n    read:\n      leads:\n        - id\n", "crm", "read", "leads", &new),
            None
        );
    }
}
