//! Paths as clients write them: with a slash at the end, or in another case.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::response::Response;
use tower::ServiceExt as _;

/// A path that was not quite as it should be: it is taken as the one that was meant, and noted.
#[derive(Debug, Clone)]
pub struct PathForm {
    sent: String,
    meant: String,
}

impl PathForm {
    /// What is wrong with it.
    pub fn detail(&self) -> String {
        format!("there is nothing at '{}': write '{}'", self.sent, self.meant)
    }
}

/// Answers a path below `/scim/v2` that is nobody's as the one that was meant, by what answers those.
pub async fn answer(mut request: Request, names: Arc<[String]>, scim: Router) -> Response {
    request = as_meant(request, &names);
    // What the router found in the path as it was sent is not in the one that was meant.
    let from = request.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
    let form = request.extensions_mut().remove::<PathForm>();
    request.extensions_mut().clear();
    from.map(|from| request.extensions_mut().insert(from));
    form.map(|form| request.extensions_mut().insert(form));
    match scim.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Takes a path as the one that was meant, where its first part is one of `names` in another case, or a slash is at its end.
fn as_meant(mut request: Request, names: &[String]) -> Request {
    let sent = request.uri().path().to_owned();
    if let Some(meant) = meant(&sent, names)
        && let Some(uri) = with_path(request.uri(), &meant)
    {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(PathForm { sent, meant });
    }
    request
}

fn meant(path: &str, names: &[String]) -> Option<String> {
    let trimmed = path.trim_end_matches('/');
    let (first, rest) = trimmed.strip_prefix('/')?.split_once('/').map_or((&trimmed[1..], None), |(f, r)| (f, Some(r)));
    // As a reference client of a large vendor calls it.
    let first = if first.eq_ignore_ascii_case("serviceConfiguration") { "ServiceProviderConfig" } else { first };
    let name = names.iter().find(|name| name.eq_ignore_ascii_case(first))?;
    let meant = rest.map_or_else(|| format!("/{name}"), |rest| format!("/{name}/{rest}"));
    (meant != path).then_some(meant)
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_the_one_that_was_meant_and_ids_are_left_alone() {
        let names = ["Users".to_owned(), "Bulk".to_owned()];
        let table = [
            ("/Users", None),
            ("/Users/", Some("/Users")),
            ("/users", Some("/Users")),
            ("/USERS/Ab-C/", Some("/Users/Ab-C")),
            ("/bulk", Some("/Bulk")),
            ("/users/.search", Some("/Users/.search")),
            ("/nothing", None),
            ("/", None),
            ("", None),
        ];
        for (path, want) in table {
            assert_eq!(meant(path, &names).as_deref(), want, "{path}");
        }
        let uri = with_path(&Uri::from_static("/users/?count=1"), "/Users");
        assert_eq!(uri, Some(Uri::from_static("/Users?count=1")));
    }
}
