//! The description of the API (OpenAPI 3.1), made from the code, and a page to browse it.

use axum::Router;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::api::router;

const TOKEN: &str = "api_token";

/// The description of every path under `/v1`.
#[must_use]
pub fn document() -> OpenApi {
    let (_, mut document) = router::described().split_for_parts();
    document.info = InfoBuilder::new()
        .title("Rollcall")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("State, audit timeline and proofs. Times are RFC 3339 in UTC; problems are RFC 9457."))
        .license(Some(utoipa::openapi::LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let mut components = components;
    components.add_security_scheme(TOKEN, scheme);
    document.components = Some(components);
    document.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    document
}

/// `/openapi.json` and `/docs`; whoever asks may see them: they say nothing about anyone.
pub fn router() -> Router {
    let page = SwaggerUi::new("/docs").url("/openapi.json", document()).config(Config::default().validator_url("none"));
    Router::from(page)
}
