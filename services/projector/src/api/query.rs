//! Query parameters: each is known, or refused by name.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;

use crate::error::ApiError;

/// What a path names, refused as a problem.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);

/// The parameters of one request.
#[derive(Debug)]
pub struct Query {
    values: BTreeMap<String, String>,
    max_page: usize,
}

const DEFAULT_PAGE: usize = 50;

impl Query {
    /// Reads the parameters that a path knows: those that its description names.
    pub fn read<P: IntoParams>(pairs: Vec<(String, String)>, max_page: usize) -> Result<Self, ApiError> {
        let described = P::into_params(|| None);
        let known: Vec<&str> = described.iter().map(|p| p.name.as_str()).collect();
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(ApiError::BadRequest(format!("query parameter '{name}' is not known here: {known} are")));
            }
            if values.insert(name.clone(), value).is_some() {
                return Err(ApiError::BadRequest(format!("query parameter '{name}' is there twice")));
            }
        }
        Ok(Self { values, max_page })
    }

    /// The text of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of a parameter.
    pub fn parsed<T: FromStr>(&self, name: &str, wanted: &str) -> Result<Option<T>, ApiError> {
        let wrong = |text: &str| ApiError::BadRequest(format!("query parameter '{name}': '{text}' is not {wanted}"));
        self.text(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// A time.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.parsed(name, "an RFC 3339 time, such as 2026-01-31T12:00:00Z")
    }

    /// The window from `from`, included, to `to`, excluded.
    pub fn window(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
        match (self.time("from")?, self.time("to")?) {
            (Some(from), Some(to)) if from >= to => {
                Err(ApiError::BadRequest("query parameter 'to' must be later than 'from'".into()))
            }
            window => Ok(window),
        }
    }

    /// How many to answer at most.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let wanted = format!("a number from 1 to {}", self.max_page);
        let limit = self.parsed("limit", &wanted)?.unwrap_or(DEFAULT_PAGE.min(self.max_page));
        if (1..=self.max_page).contains(&limit) {
            Ok(limit)
        } else {
            Err(ApiError::BadRequest(format!("query parameter 'limit': {limit} is not {wanted}")))
        }
    }

    /// Where the last page ended.
    pub fn cursor(&self) -> Option<&str> {
        self.text("cursor").filter(|c| !c.is_empty())
    }

    /// A parameter that is one of the words of an enum.
    pub fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        serde_json::from_value(Value::from(text))
            .map(Some)
            .map_err(|e| ApiError::BadRequest(format!("query parameter '{name}': {e}")))
    }
}
