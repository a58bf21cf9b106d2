//! HTML that is always escaped: [`html!`] escapes every argument that is not HTML itself.

use std::borrow::Cow;

use pretext_shared::text;

/// A piece of HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Returns markup that another part of this program made and escaped: a chart, or the output of [`html!`].
    pub(super) fn made(markup: String) -> Self {
        Self(markup)
    }

    /// Returns the markup.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the markup is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// A value that can be put into HTML: markup unchanged, everything else escaped and on one line.
pub(super) trait Embed {
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

embed_numbers!(u32, u64, usize);

/// `format!` for HTML. Arguments are given by position or as `name = value`. Capturing variables in the text is a
/// compiler error (because of `concat!`), so that nothing bypasses [`Embed`].
macro_rules! html {
    ($format:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::http::html::Html::made(format!(
            concat!($format) $(, $name = $crate::http::html::Embed::embed(&$value))*
        ))
    };
    ($format:literal $(, $value:expr)* $(,)?) => {
        $crate::http::html::Html::made(format!(concat!($format) $(, $crate::http::html::Embed::embed(&$value))*))
    };
}

pub(super) use html;

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
