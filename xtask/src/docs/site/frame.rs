//! What stands around a page: navigation, the headings of the page, the way on. Whole without script; a phone gets the same lists
//! behind a button of the browser's own.

use super::{
    Source,
    groups::Group,
    links::{place, way},
    render::Rendered,
    terms,
};

/// Nothing is loaded but this folder's own style and pictures.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";
/// The console's own mark.
const MARK: &str = "<svg class=\"mark\" viewBox=\"0 0 24 24\" width=\"22\" height=\"22\" aria-hidden=\"true\"><path d=\"M4 5h4a8 8 0 0 1 8 8v6\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.6\" stroke-linecap=\"round\"/><circle cx=\"4\" cy=\"5\" r=\"2.6\" fill=\"currentColor\"/><circle cx=\"16\" cy=\"19\" r=\"2.6\" fill=\"currentColor\"/></svg>";

/// The whole page.
pub(super) fn frame(source: &str, page: &Rendered, groups: &[Group], sources: &[Source]) -> String {
    let here = place(source);
    let at = |to: &str| way(&here, to);
    let title = if source == "README.md" { page.title.clone() } else { format!("{} · Tendon", page.title) };
    let navigation = navigation(&here, groups);
    let contents = contents(page);
    // The list stands twice, and one of the two is shown: beside the text, or behind a button where there is no room.
    let (narrow, wide) = if contents.is_empty() {
        (String::new(), String::new())
    } else {
        (
            format!(
                "<details class=\"narrow\"><summary>On this page</summary><nav aria-label=\"On this page\">{contents}</nav></details>\n"
            ),
            format!("<nav class=\"contents\" aria-label=\"On this page\"><p>On this page</p>{contents}</nav>\n"),
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"{icon}\">\n<link rel=\"stylesheet\" href=\"{style}\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the text</a>\n\
         <header class=\"top\"><a class=\"brand\" href=\"{home}\">{MARK}<span>Tendon</span></a>\
         <a href=\"{index}\">Documentation</a><a href=\"{terms}\">Index</a></header>\n\
         <details class=\"narrow menu\"><summary>All pages</summary><nav aria-label=\"All pages\">{navigation}</nav></details>\n\
         <div class=\"frame\">\n<nav class=\"side\" aria-label=\"All pages\">{navigation}</nav>\n\
         <main id=\"main\" tabindex=\"-1\">\n{narrow}<article>\n{body}</article>\n{on}</main>\n{wide}</div>\n</body>\n</html>\n",
        title = escape(&title),
        icon = at("icon.svg"),
        style = at("style.css"),
        home = at("index.html"),
        index = at("docs/index.html"),
        terms = at(&place(terms::PAGE)),
        body = page.body,
        on = on(source, &here, groups, sources),
    )
}

fn navigation(here: &str, groups: &[Group]) -> String {
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!("<p>{}</p><ul>", escape(&group.title)));
        for (source, name) in &group.pages {
            let there = place(source);
            let current = if there == here { " aria-current=\"page\"" } else { "" };
            text.push_str(&format!("<li><a href=\"{}\"{current}>{}</a></li>", way(here, &there), escape(name)));
        }
        text.push_str("</ul>");
    }
    text
}

/// The headings of the page, unless there is nothing to choose from.
fn contents(page: &Rendered) -> String {
    let headings: Vec<_> = page.headings.iter().filter(|(depth, ..)| *depth <= 3).collect();
    if headings.len() < 2 {
        return String::new();
    }
    let lines = headings
        .iter()
        .map(|(depth, id, title)| format!("<li class=\"depth-{depth}\"><a href=\"#{id}\">{}</a></li>", escape(title)));
    format!("<ul>{}</ul>", lines.collect::<String>())
}

/// The pages before and after this one, in the order of the index.
fn on(source: &str, here: &str, groups: &[Group], sources: &[Source]) -> String {
    let Some(at) = sources.iter().position(|one| one == source) else {
        return String::new();
    };
    let name = |source: &Source| {
        let listed = groups.iter().flat_map(|group| &group.pages).find(|(page, _)| page == source);
        listed.map(|(_, name)| name.clone())
    };
    let side = |page: Option<&Source>, class: &str, word: &str| {
        let named = page.and_then(|page| Some((page, name(page)?)));
        named.map_or_else(String::new, |(page, name)| {
            let address = way(here, &place(page));
            format!("<a class=\"{class}\" href=\"{address}\"><span>{word}</span> {}</a>", escape(&name))
        })
    };
    let before = side(at.checked_sub(1).and_then(|at| sources.get(at)), "before", "Before");
    let after = side(sources.get(at + 1), "after", "Next");
    if before.is_empty() && after.is_empty() {
        return String::new();
    }
    format!("<nav class=\"on\" aria-label=\"The pages beside this one\">{before}{after}</nav>\n")
}

/// Text as text.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
