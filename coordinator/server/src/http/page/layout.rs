//! The frame around every page.

use pretext_html::{Html, html};

use super::super::pages::Topic;
use super::super::visitor::Visitor;
use super::Page;

/// An item of the navigation bar: the one that a page belongs to is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Tab {
    /// Sweeps, and the pages below them.
    Sweeps,
    /// Workers.
    Workers,
}

fn head(title: &str, live: Html) -> Html {
    html!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Pretext</title>\n\
         <link rel=\"icon\" href=\"/assets/icon.svg\">\n<link rel=\"stylesheet\" href=\"/assets/page.css\">\n{live}</head>\n",
        title = title,
        live = live,
    )
}

/// Returns a complete page for `visitor`. Without scripts the page reloads itself every few seconds.
pub(in crate::http) fn page(page: &Page, topic: &Topic, visitor: &Visitor) -> Html {
    let added = &page.added;
    let style = |name: &&str| html!("<link rel=\"stylesheet\" href=\"/assets/{}\">\n", *name);
    // A module runs after the classic scripts before it.
    let script = |name: &&str| match name.ends_with(".min.js") {
        true => html!("<script src=\"/assets/{}\" defer></script>\n", *name),
        false => html!("<script src=\"/assets/{}\" type=\"module\"></script>\n", *name),
    };
    let live = html!(
        "{styles}<script src=\"/assets/page.js\" defer></script>\n{scripts}\
         <noscript><meta http-equiv=\"refresh\" content=\"20\"></noscript>\n",
        styles = added.styles.iter().map(style).collect::<Html>(),
        scripts = added.scripts.iter().map(script).collect::<Html>(),
    );
    let here = |tab: Tab| if page.tab == tab { html!(" aria-current=\"page\"") } else { html!("") };
    let parts: Html = page
        .outer_parts(visitor.right)
        .map(|part| html!("<section{}>{}</section>\n", part.attributes(), part.html))
        .collect();
    let path = topic.path();
    html!(
        "{head}<body data-events=\"/events{events}\" data-mark=\"{mark}\">\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header class=\"top\"><div class=\"bar\"><a class=\"brand\" href=\"/\"><img src=\"/assets/icon.svg\" alt=\"\" \
         width=\"22\" height=\"22\">Pretext</a>\n<nav aria-label=\"Pages\"><a href=\"/\"{sweeps}>Sweeps</a>\
         <a href=\"/workers\"{workers}>Workers</a></nav>\n\
         <p class=\"live\" id=\"live\" role=\"status\" hidden><span class=\"lamp\"></span><span class=\"says\"></span></p>\n\
         <form method=\"post\" action=\"/logout\"><button class=\"quiet\" title=\"{who}\">Log out</button></form>\
         </div></header>\n<main id=\"main\">\n{parts}{added}</main>\n</body>\n</html>\n",
        head = head(&page.title, live),
        events = path.trim_end_matches('/'),
        mark = page.mark(),
        sweeps = here(Tab::Sweeps),
        workers = here(Tab::Workers),
        who = format!("this session: {}", visitor.label()),
        parts = parts,
        added = added.body,
    )
}

/// Returns a page with a single message.
pub(in crate::http) fn notice(title: &str, more: &Html) -> Html {
    html!(
        "{head}<body class=\"notice\">\n<main id=\"main\">\n<img src=\"/assets/icon.svg\" alt=\"\" width=\"40\" \
         height=\"40\">\n<h1>{title}</h1>\n{more}\n</main>\n</body>\n</html>\n",
        head = head(title, html!("")),
        title = title,
        more = more,
    )
}
