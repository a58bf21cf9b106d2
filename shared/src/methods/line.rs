//! The lines of methods in charts.

/// The look of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Its colour.
    pub colour: Colour,
    /// Lengths of dashes and gaps in pixels, as SVG has them; empty for a line without gaps. Dashes help to tell
    /// methods apart without colours.
    pub dashes: &'static str,
}

/// A colour. A page for dark screens sets its custom property to a brighter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// The name of the custom property `--chart-NAME`, which a page may set.
    pub name: &'static str,
    /// On a bright screen and in a file.
    pub bright: &'static str,
}

// The first three are from Okabe and Ito's palette, which colour-blind readers tell apart.
/// Blue.
pub const BLUE: Colour = Colour { name: "blue", bright: "#0072b2" };
/// Orange.
pub const ORANGE: Colour = Colour { name: "orange", bright: "#d55e00" };
/// Green.
pub const GREEN: Colour = Colour { name: "green", bright: "#009e73" };
/// Grey.
pub const GREY: Colour = Colour { name: "grey", bright: "#6e7781" };
/// The colour of text.
pub const INK: Colour = Colour { name: "ink", bright: "#1f2328" };
/// Purple.
pub const PURPLE: Colour = Colour { name: "purple", bright: "#a0568a" };
/// Ochre.
pub const OCHRE: Colour = Colour { name: "ochre", bright: "#8a6d00" };
