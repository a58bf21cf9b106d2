//! HTML and SVG that are always escaped. [`html!`] escapes every argument that is not markup itself, and removes the
//! characters that a browser or a terminal would act on.
//!
//! The report and the web page are made with it. Template crates such as maud escape `<`, `>`, `&` and `"`; control
//! characters and direction overrides in foreign text would still pass, unless every template removed them itself.

use std::borrow::Cow;
use std::fmt;

use pretext_shared::text;

/// A piece of HTML or SVG.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Returns markup that is part of this program, such as a style sheet.
    pub fn fixed(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// Returns the output of [`html!`], which is the only caller.
    #[doc(hidden)]
    pub fn assembled(markup: fmt::Arguments<'_>) -> Self {
        Self(markup.to_string())
    }

    /// Returns the markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the markup.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Returns whether the markup is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// A value that can be put into HTML: markup unchanged, everything else escaped and on one line.
pub trait Embed {
    /// Returns the value as text or as an attribute value in double quotes.
    fn embed(&self) -> Cow<'_, str>;
}

impl Embed for Html {
    fn embed(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

impl Embed for str {
    fn embed(&self) -> Cow<'_, str> {
        Cow::Owned(text::html(self))
    }
}

impl Embed for String {
    fn embed(&self) -> Cow<'_, str> {
        self.as_str().embed()
    }
}

impl<T: Embed + ?Sized> Embed for &T {
    fn embed(&self) -> Cow<'_, str> {
        (**self).embed()
    }
}

impl<T: Embed> Embed for Option<T> {
    fn embed(&self) -> Cow<'_, str> {
        self.as_ref().map_or(Cow::Borrowed(""), T::embed)
    }
}

macro_rules! embed_numbers {
    ($($number:ty),*) => {$(
        impl Embed for $number {
            fn embed(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }
    )*};
}

embed_numbers!(u32, u64, usize, f64);

/// `format!` for HTML and SVG. Arguments are given by position or as `name = value`. Capturing variables in the text is
/// a compiler error (because of `concat!`), so that nothing bypasses [`Embed`].
#[macro_export]
macro_rules! html {
    ($format:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::Html::assembled(format_args!(concat!($format) $(, $name = $crate::Embed::embed(&$value))*))
    };
    ($format:literal $(, $value:expr)* $(,)?) => {
        $crate::Html::assembled(format_args!(concat!($format) $(, $crate::Embed::embed(&$value))*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_is_escaped_unless_it_is_markup() {
        let inner = html!("<b>{}</b>", "<i>&\"'\n\u{202e}");
        assert_eq!(inner.as_str(), "<b>&lt;i&gt;&amp;&quot;&#39; </b>");
        let list: Html = [inner.clone(), inner.clone()].into_iter().collect();
        let outer = html!(
            "<p title=\"{title}\">{list}{none}{n}</p>",
            title = "\">",
            list = list,
            none = None::<Html>,
            n = 3u64
        );
        assert_eq!(outer.as_str(), format!("<p title=\"&quot;&gt;\">{0}{0}3</p>", inner.as_str()));
    }
}
