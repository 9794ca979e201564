//! A Rollcall with one faulty app, and what happens on it.

use std::process::Output;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rollcall::{SOURCE_TOKEN, command};
use crate::{App, Faulty, Rollcall, Script, until};

/// The schema of a user.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of a group.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// A Rollcall with one faulty app.
pub struct Stage {
    pub app: Faulty,
    pub rollcall: Rollcall,
}

/// Its name.
pub const APP: &str = "wiki";

impl Stage {
    /// One whose app does this wrong, with more settings of it.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn set(
        script: Script,
        deprovision: &'static str,
        keys: &'static str,
        tables: &'static str,
    ) -> anyhow::Result<Self> {
        let app = Faulty::start().await?;
        app.tell(APP, &script).await?;
        let apps = [App {
            id: APP,
            base_url: app.base_url(APP),
            assign: "active eq true",
            deprovision,
            leaver_sla: "10m",
            keys,
            tables,
        }];
        let operator = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n";
        let rollcall = Rollcall::new(&apps, operator)?;
        rollcall.start().await?;
        Ok(Self { app, rollcall })
    }

    /// One whose app does this wrong.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn simple(script: Script) -> anyhow::Result<Self> {
        Self::set(script, "deactivate", "", "").await
    }

    /// Someone joins; their id.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn join(&self, name: &str) -> anyhow::Result<String> {
        let user = json!({ "schemas": [USER], "userName": name, "title": "Dev" });
        let made = self.rollcall.scim(Method::POST, "/Users", &user).await?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    /// Someone is deleted.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn leave(&self, id: &str) -> anyhow::Result<()> {
        let path = format!("/scim/v2/Users/{id}");
        let (status, answer) = self.rollcall.raw(Method::DELETE, &path, SOURCE_TOKEN, None).await?;
        ensure!(status == 204, "{status} {answer}");
        Ok(())
    }

    /// More leave than the guard lets go: three are gone before it is too much, since what is not done yet when the hold
    /// comes waits, too.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn leave_until_held(&self, ids: &[String]) -> anyhow::Result<()> {
        let (gone, waiting) = ids.split_at(3);
        for id in gone {
            self.leave(id).await?;
            self.verified(id).await?;
        }
        for id in waiting {
            self.leave(id).await?;
        }
        Ok(())
    }

    /// Their account, as the API shows it.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn account(&self, id: &str) -> anyhow::Result<Value> {
        Ok(self.rollcall.api(&format!("/v1/identities/{id}")).await?["accounts"][0].clone())
    }

    /// Their departure, as the API shows it, however far it is.
    ///
    /// # Errors
    /// When there is none.
    pub async fn leaver(&self, id: &str) -> anyhow::Result<Value> {
        let mut found = Vec::new();
        for status in ["open", "overdue", "completed", "attested"] {
            found.extend(self.rollcall.items(&format!("/v1/leavers?status={status}")).await?);
        }
        found.into_iter().find(|leaver| leaver["identity"] == id).context("no such leaver")
    }

    /// The program in a terminal, by whoever has this API token; it has that of the source, too.
    ///
    /// # Errors
    /// When it can't be run.
    pub async fn terminal(&self, token: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut run = command();
        run.args(arguments).env("ROLLCALL_SERVER", self.rollcall.address()).env("ROLLCALL_API_TOKEN", token);
        Ok(run.env("ROLLCALL_SOURCE_TOKEN", SOURCE_TOKEN).output().await?)
    }

    /// Waits until it is verified.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn verified(&self, id: &str) -> anyhow::Result<()> {
        until("the account is verified", || async {
            Ok(self.account(id).await?["verified"].as_bool().filter(|v| *v).map(drop))
        })
        .await
    }

    /// The events of a kind, the newest first.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn events(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        self.rollcall.items(&format!("/v1/timeline?type={kind}")).await
    }

    /// Waits for one.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn seen(&self, kind: &str) -> anyhow::Result<Value> {
        until(kind, || async { Ok(self.events(kind).await?.into_iter().next()) }).await
    }

    /// Waits until nothing is owed: what an app shows is read back only after that.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn all_ended(&self) -> anyhow::Result<()> {
        until("every obligation has ended", || async {
            for status in ["open", "applied", "overdue"] {
                if !self.rollcall.items(&format!("/v1/obligations?status={status}")).await?.is_empty() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// One joins and leaves, and all of it comes true although the app is as it is.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn joins_and_leaves(&self, name: &str) -> anyhow::Result<()> {
        let id = self.join(name).await?;
        self.verified(&id).await?;
        let users = self.app.users(APP);
        ensure!(users.len() == 1 && users[0]["externalId"] == id.as_str(), "{users:?}");
        self.leave(&id).await?;
        self.verified(&id).await?;
        let users = self.app.users(APP);
        ensure!(users.iter().all(|u| u["active"] == false), "{users:?}");
        ensure!(self.app.creations(APP) == 1, "created {} times", self.app.creations(APP));
        ensure!(self.rollcall.items("/v1/leavers?status=completed").await?.len() == 1, "the leaver is not complete");
        self.all_ended().await
    }

    /// An operator decides.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn decide(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let (status, answer) = self.rollcall.raw(Method::POST, path, "ola-secret", Some(body.to_string())).await?;
        Ok((status.as_u16(), answer))
    }

    /// The app, as the API shows it.
    ///
    /// # Errors
    /// When something fails, or takes too long.
    pub async fn app_view(&self) -> anyhow::Result<Value> {
        self.rollcall.api(&format!("/v1/apps/{APP}")).await
    }
}
