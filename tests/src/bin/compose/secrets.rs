//! Whoever takes over one service has its secrets alone.

use anyhow::ensure;

use crate::deployment::{Deployment, say};
use crate::mistakes::complaint_of;

/// A service, and what only it is let in with, or lets in with.
const OWN: [(&str, &str); 3] = [("gateway", "source-token"), ("projector", "api-token"), ("provisioner", "app-token")];

/// Each container can read what its service needs, and nothing of the others; the operator's has the log's backup.
pub async fn each_has_its_own(deployment: &Deployment) -> anyhow::Result<()> {
    let check =
        |service: &'static str| ["check", "--offline", "--config", "/etc/rollcall/rollcall.toml", "--service", service];
    for service in ["gateway", "projector", "provisioner", "sla-monitor"] {
        let container = deployment.first(service)?;
        let run = [&["run", "--rm", "--no-deps", "-T", container][..], &check(service)].concat();
        deployment.compose(&run).await?;
        for (other, secret) in OWN.iter().filter(|(other, _)| *other != service) {
            let said = complaint_of(deployment, container, &[], &check(other)).await?;
            ensure!(said.contains(secret) && said.contains("can't be read"), "{container} has {secret}: {said}");
        }
        let as_another = ["-e", "ROLLCALL_NATS_PASSWORD_FILE=/run/rollcall/secrets/nats-backup"];
        let said = complaint_of(deployment, container, &as_another, &check(service)).await?;
        ensure!(said.contains("nats-backup"), "{container} has the account of the operator: {said}");
    }
    let backup = ["run", "--rm", "--no-deps", "-T", "operator", "backup", "/tmp/log.backup"];
    let backup = [&backup[..], &["--config", "/run/rollcall/rollcall.toml"]].concat();
    deployment.compose(&backup).await?;
    say("each container has the secrets of its service alone, and the operator's can save the log");
    Ok(())
}
