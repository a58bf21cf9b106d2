//! A source file as the paths that its code names. Comments, texts and tests are left out.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A path, segment by segment, as it is written. A glob ends with `*`. A keyword such as `async` is a path too, and so
/// is a method or field: `.commit`.
pub(crate) type Path = Vec<String>;

/// See the module.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) paths: Vec<Path>,
    /// The paths that `use` brings into the file, by their names in it.
    pub(crate) uses: BTreeMap<String, Path>,
    /// Modules with a file of their own.
    pub(crate) modules: Vec<String>,
    /// Modules within this file.
    pub(crate) inline: Vec<String>,
}

impl Source {
    /// Reads a file.
    pub(crate) fn parse(file: &str, text: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file} is not Rust: {error}"));
        let mut source = Self::default();
        source.walk(tokens, 0);
        source
    }

    /// Returns a path with its first segment replaced by what `use` says that it stands for.
    pub(crate) fn in_full(&self, path: &[String]) -> Path {
        match path.split_first() {
            Some((first, rest)) => match self.uses.get(first) {
                Some(used) => [used, rest].concat(),
                None => path.to_vec(),
            },
            None => Path::new(),
        }
    }

    /// Collects what `tokens` name. `depth` is the number of modules of this file around them.
    fn walk(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.step(&tokens, at, depth);
        }
    }

    /// Takes the item, path or token at `at`, and returns where the next one begins.
    fn step(&mut self, tokens: &[TokenTree], at: usize, depth: usize) -> usize {
        match &tokens[at] {
            TokenTree::Punct(punct) if punct.as_char() == '#' => match attribute(tokens, at) {
                Some((content, next)) if is_test(content.clone()) => end_of_item(tokens, next),
                Some((_, next)) => next,
                None => at + 1,
            },
            // The name of a lifetime.
            TokenTree::Punct(punct) if punct.as_char() == '\'' => at + 2,
            TokenTree::Ident(word) if word == "use" && !is_punct(tokens.get(at + 1), '<') => {
                let end = (at..tokens.len()).find(|end| is_punct(tokens.get(*end), ';')).unwrap_or(tokens.len());
                self.take_use(&tokens[at + 1..end], &Path::new(), depth);
                end + 1
            }
            TokenTree::Ident(word) if word == "mod" => match (tokens.get(at + 1), tokens.get(at + 2)) {
                (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) => {
                    self.inline.push(name.to_string());
                    self.walk(body.stream(), depth + 1);
                    at + 3
                }
                (Some(TokenTree::Ident(name)), Some(_)) => {
                    self.modules.push(name.to_string());
                    at + 3
                }
                _ => at + 1,
            },
            TokenTree::Ident(name) if is_member(tokens, at) => {
                self.paths.push(vec![format!(".{name}")]);
                at + 1
            }
            TokenTree::Ident(_) => {
                let (path, next) = path(tokens, at);
                self.paths.push(seen_from_file(path, depth));
                next
            }
            TokenTree::Group(group) => {
                self.walk(group.stream(), depth);
                at + 1
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
        }
    }

    /// Takes the tree after `use`, below `before`.
    fn take_use(&mut self, tree: &[TokenTree], before: &Path, depth: usize) {
        for branch in tree.split(|token| is_punct(Some(token), ',')) {
            let mut path = before.clone();
            let mut name = None;
            let mut tokens = branch.iter();
            while let Some(token) = tokens.next() {
                match token {
                    TokenTree::Ident(word) if word == "as" => name = tokens.next().map(ToString::to_string),
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".to_owned()),
                    TokenTree::Group(group) => {
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.take_use(&inner, &path, depth);
                        path.clear();
                    }
                    _ => {}
                }
            }
            // `use a::b::{self}` names `a::b`.
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            if let Some(last) = path.last().cloned() {
                let path = seen_from_file(path, depth);
                self.uses.insert(name.unwrap_or(last), path.clone());
                self.paths.push(path);
            }
        }
    }
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// Returns whether `::` is at `at`.
fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint)
        && is_punct(tokens.get(at + 1), ':')
}

/// Returns whether the identifier at `at` belongs to what is before it: a field, a method, the rest of a path.
fn is_member(tokens: &[TokenTree], at: usize) -> bool {
    let after_dot = at > 0 && is_punct(tokens.get(at - 1), '.') && !(at > 1 && is_punct(tokens.get(at - 2), '.'));
    let after_path = at > 2 && is_separator(tokens, at - 2) && is_punct(tokens.get(at - 3), '>');
    after_dot || after_path
}

/// Returns the path that begins at `at`, and where it ends.
fn path(tokens: &[TokenTree], at: usize) -> (Path, usize) {
    let mut path = vec![tokens[at].to_string()];
    let mut next = at + 1;
    while is_separator(tokens, next) {
        let Some(TokenTree::Ident(word)) = tokens.get(next + 2) else { break };
        path.push(word.to_string());
        next += 3;
    }
    (path, next)
}

/// Returns the content of the attribute at `at`, and where it ends.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(TokenStream, usize)> {
    let group = if is_punct(tokens.get(at + 1), '!') { at + 2 } else { at + 1 };
    match tokens.get(group) {
        Some(TokenTree::Group(content)) if content.delimiter() == Delimiter::Bracket => {
            Some((content.stream(), group + 1))
        }
        _ => None,
    }
}

/// Returns whether an attribute leaves its item out of the product: `cfg(test)`.
fn is_test(attribute: TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

/// Returns where the item at `at` ends: after its `;` or its braces.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    (at..tokens.len()).find(|end| ends(&tokens[*end])).map_or(tokens.len(), |end| end + 1)
}

/// Returns a path of a module within the file as the file itself would write it.
fn seen_from_file(mut path: Path, depth: usize) -> Path {
    let up = path.iter().take_while(|segment| *segment == "super").count().min(depth);
    if up == depth && depth > 0 && path.first().is_some_and(|first| first == "super") {
        path.splice(..up, ["self".to_owned()]);
    }
    path
}
