//! The style sheet of all charts: `chart.css`, and the lines of the methods with the colours and dashes that the methods
//! name.

use std::fmt::Write;
use std::sync::LazyLock;

use pretext_shared::methods::Method;

/// The style sheet: part of each SVG file, and once in the HTML report, whose custom properties replace the colours for
/// dark screens.
pub static STYLE: LazyLock<String> = LazyLock::new(|| {
    let mut style = include_str!("chart.css").to_owned();
    for method in Method::ALL {
        let (colour, dashes) = (colour(method), method.about().line.dashes);
        let _ = writeln!(style, ".chart .{method}{{stroke:{colour}}}\n.chart .{method}.dot{{fill:{colour}}}");
        if !dashes.is_empty() {
            let _ = writeln!(style, ".chart .{method}.line{{stroke-dasharray:{dashes}}}");
        }
    }
    style
});

/// Returns the colour of each method as the custom properties `--curve-METHOD` of a page.
pub fn colours() -> String {
    let properties = Method::ALL.map(|method| format!("--curve-{method}:{};", colour(method)));
    format!(":root{{{}}}\n", properties.concat())
}

/// Returns a method's colour, which a page may set.
fn colour(method: Method) -> String {
    let colour = method.about().line.colour;
    format!("var(--chart-{},{})", colour.name, colour.bright)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_colour_on_every_page() {
        assert!(STYLE.contains(".chart .simclr{stroke:var(--chart-orange,#d55e00)}"), "{}", *STYLE);
        assert!(STYLE.contains(".chart .supervised.line{stroke-dasharray:2 4}"), "{}", *STYLE);
        assert!(colours().contains("--curve-simclr:var(--chart-orange,#d55e00);"), "{}", colours());
        for method in Method::ALL {
            assert!(STYLE.contains(&format!(".chart .{method}.dot{{fill:var(--chart-")), "{method}");
        }
    }
}
