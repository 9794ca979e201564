//! A browser without scripts: it has a cookie, and sends forms.

use anyhow::{Context as _, ensure};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode, header};

use crate::Rollcall;

/// A browser without scripts, signed in with a token.
pub struct Browser {
    pub http: Client,
    pub address: String,
    pub cookie: String,
}

/// A form as browsers send it.
fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

impl Browser {
    /// One that has signed in.
    ///
    /// # Errors
    /// When it can't.
    pub async fn signed_in(rollcall: &Rollcall, token: &str) -> anyhow::Result<Self> {
        let http = Client::builder().redirect(Policy::none()).build()?;
        let address = rollcall.address();
        let asked = http.post(format!("{address}/console/sign-in"));
        let answer = form(asked, &[("token", token)]).send().await?;
        ensure!(answer.status() == StatusCode::SEE_OTHER, "{}", answer.status());
        let cookie = answer.headers().get(header::SET_COOKIE).context("no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { http, address, cookie })
    }

    /// A page, and how it was answered.
    ///
    /// # Errors
    /// When it can't be had.
    pub async fn page(&self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let asked = self.http.get(format!("{}{path}", self.address)).header(header::COOKIE, &self.cookie);
        let answer = asked.send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Sends the form of an act; where it leads, and what it says.
    ///
    /// # Errors
    /// When it can't be sent.
    pub async fn act(&self, sent: &[(&str, &str)]) -> anyhow::Result<(StatusCode, String, String)> {
        self.send("/console/act", sent).await
    }

    /// Sends a form to a page; where it leads, and what it says.
    ///
    /// # Errors
    /// When it can't be sent.
    pub async fn send(&self, path: &str, sent: &[(&str, &str)]) -> anyhow::Result<(StatusCode, String, String)> {
        let asked = self.http.post(format!("{}{path}", self.address)).header(header::COOKIE, &self.cookie);
        let answer = form(asked, sent).send().await?;
        let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
        Ok((answer.status(), to, answer.text().await?))
    }
}
