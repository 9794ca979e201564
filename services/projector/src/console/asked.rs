//! What the address of a page asks for: filters, columns, and where its list goes on.

use url::form_urlencoded;

use crate::console::ui::Field;
use crate::error::ApiError;

/// The most pairs of an address that are read.
const MOST: usize = 200;

/// The query of a page, in its order.
#[derive(Debug, Clone, Default)]
pub struct Asked(pub Vec<(String, String)>);

impl Asked {
    /// Reads it; what is blank is not there.
    pub fn read(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).take(MOST);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.trim().to_owned()))
                .filter(|(_, v)| !v.is_empty())
                .collect(),
        )
    }

    /// The first value of a name; empty: there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// Where a list goes on; none: from its beginning.
    pub fn cursor(&self) -> Option<&str> {
        Some(self.get("cursor")).filter(|cursor| !cursor.is_empty())
    }

    /// A field of a filter, with what it is asked for now.
    pub fn field(&self, name: &'static str, label: &'static str, hint: &'static str) -> Field {
        Field { name, label, value: self.get(name).to_owned(), hint, options: Vec::new() }
    }

    /// All of them.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A value that is one of these.
    ///
    /// # Errors
    /// When it is another one.
    pub fn one_of<'a>(&'a self, name: &str, known: &[&'a str]) -> Result<Option<&'a str>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            value if known.contains(&value) => Ok(Some(value)),
            value => Err(ApiError::BadRequest(format!("'{name}' is '{value}': there are {}", known.join(", ")))),
        }
    }

    /// A value that can be read.
    ///
    /// # Errors
    /// When it can't.
    pub fn parsed<T: std::str::FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            value => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(ApiError::BadRequest(format!("'{name}' is '{value}', which is no {what}"))),
            },
        }
    }

    /// Its pairs without these names.
    pub fn without(&self, names: &[&str]) -> Vec<(String, String)> {
        self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect()
    }

    /// The address of the same page with another value of a name; none: without it.
    pub fn with(&self, path: &str, name: &str, value: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.without(&[name]));
        if let Some(value) = value {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// An address of our own, from what a form says: nowhere else is anyone sent.
pub fn local(back: &str) -> &str {
    let is_local =
        back.starts_with('/') && !back.starts_with("//") && !back.contains('\\') && !back.chars().any(char::is_control);
    if is_local { back } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_asked_and_how_to_ask_for_more() {
        let asked = Asked::read(Some("status=open&app=&q=%C3%A9+x&col=a&col=b&cursor=k"));
        assert_eq!((asked.get("status"), asked.get("app"), asked.get("q")), ("open", "", "é x"));
        assert_eq!(asked.all("col"), ["a", "b"]);
        assert_eq!(asked.with("/p", "cursor", None), "/p?status=open&q=%C3%A9+x&col=a&col=b");
        assert_eq!(Asked::default().with("/p", "cursor", Some("x y")), "/p?cursor=x+y");
        assert!(asked.one_of("status", &["closed"]).is_err_and(|e| e.to_string().contains("closed")));
        assert!(asked.parsed::<u64>("q", "number").is_err());
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (back, to) in [
            ("/console/drift?app=a", "/console/drift?app=a"),
            ("//evil", "/"),
            ("https://evil", "/"),
            ("/\\evil", "/"),
            ("/\t/evil", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(back), to);
        }
    }
}
