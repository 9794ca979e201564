//! TLS between the services, with an authority of one's own: to the log's server, which asks for certificates, and from the
//! gateway to the projector.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::Client;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN, command};
use rollcall_tests::{NatsServer, free_port};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// An authority, and what it has issued, as files.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), issuer.pem())?;
        Ok(Self { folder, issuer })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for this machine, and its key.
    fn issue(&self, name: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        let (to, key_to) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        std::fs::write(&to, certificate.pem())?;
        std::fs::write(&key_to, key.serialize_pem())?;
        Ok((to, key_to))
    }
}

struct Stage {
    authority: Authority,
    nats: NatsServer,
    folder: TempDir,
    config: PathBuf,
    projector: u16,
}

impl Stage {
    async fn set() -> anyhow::Result<Self> {
        let (authority, folder) = (Authority::new()?, tempfile::tempdir()?);
        let (certificate, key) = authority.issue("nats")?;
        let ca = authority.file("ca.pem");
        let tls = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {ca:?}, verify: true }}\n");
        let mut nats = NatsServer::at(folder.path().join("nats.conf"), &folder.path().join("store"), &tls)?;
        nats.run().await?;
        let (own, own_key) = authority.issue("service")?;
        let (projector, config) = (free_port(), folder.path().join("rollcall.toml"));
        let text = format!(
            "[server]\nprojector = \"https://localhost:{projector}\"\nprojector_ca_file = {ca:?}\n\
             [nats]\nurl = {:?}\nmonitoring_url = {:?}\ntls_ca_file = {ca:?}\ntls_cert_file = {own:?}\ntls_key_file = {own_key:?}\n\
             [[sources]]\nname = \"hr\"\ntoken_env = \"TEST_SOURCE\"\n\
             [[api_tokens]]\nname = \"auditor\"\nrole = \"auditor\"\ntoken_env = \"TEST_API\"\n",
            nats.url.replace("nats://", "tls://"),
            nats.monitoring_url
        );
        std::fs::write(&config, text)?;
        Ok(Self { authority, nats, folder, config, projector })
    }

    fn service(&self, name: &str, port: u16, config: &Path) -> Command {
        let mut command = command();
        command.args(["run", name, "--listen", &format!("127.0.0.1:{port}"), "--config"]).arg(config);
        command.arg("--data-dir").arg(self.folder.path().join("data"));
        command.env("TEST_SOURCE", SOURCE_TOKEN).env("TEST_API", API_TOKEN).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Starts it; what it prints when it is ready.
async fn ready(command: &mut Command) -> anyhow::Result<(Child, String)> {
    let mut child = command.stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    match lines.next_line().await? {
        Some(line) => Ok((child, line)),
        None => bail!("it ended: {}", child.wait().await?),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_between_the_services_is_encrypted_and_who_is_not_believed_is_not_talked_to() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let (certificate, key) = stage.authority.issue("projector")?;
    let mut projector = stage.service("projector", stage.projector, &stage.config);
    projector.env("ROLLCALL_SERVER_TLS_CERT_FILE", &certificate).env("ROLLCALL_SERVER_TLS_KEY_FILE", &key);
    let (_projector, line) = ready(&mut projector).await?;
    ensure!(line == format!("ready https://127.0.0.1:{}", stage.projector), "{line}");
    let port = free_port();
    let (mut gateway, _) = ready(&mut stage.service("gateway", port, &stage.config)).await?;
    let ask = |port: u16| async move {
        let request = Client::new().get(format!("http://127.0.0.1:{port}/v1/identities")).bearer_auth(API_TOKEN);
        anyhow::Ok(request.send().await?.status().as_u16())
    };
    ensure!(ask(port).await? == 200, "the gateway does not reach the projector");

    let healthy = |authority: PathBuf| {
        let address = format!("https://localhost:{}", stage.projector);
        async move {
            let output =
                command().args(["ready", "--address", &address]).arg("--ca-file").arg(authority).output().await?;
            anyhow::Ok(output.status.success())
        }
    };
    let stranger = Authority::new()?;
    ensure!(healthy(stage.authority.file("ca.pem")).await?, "not ready");
    ensure!(!healthy(stranger.file("ca.pem")).await?, "a projector that is not believed was asked");
    let text = std::fs::read_to_string(&stage.config)?;
    let (own, other) = (stage.authority.file("ca.pem"), stranger.file("ca.pem"));
    let misled = stage.folder.path().join("misled.toml");
    let believed = format!("projector_ca_file = {own:?}");
    std::fs::write(&misled, text.replace(&believed, &format!("projector_ca_file = {other:?}")))?;
    ensure!(text.contains(&believed), "{text}");
    gateway.kill().await?;
    let second = free_port();
    let (_gateway, _) = ready(&mut stage.service("gateway", second, &misled)).await?;
    ensure!(ask(second).await? == 502, "a projector that is not believed was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_server_that_is_not_believed_and_one_that_believes_nobody_are_named_in_one_line() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let text = std::fs::read_to_string(&stage.config)?;
    let (own, other) = (stage.authority.file("ca.pem"), Authority::new()?);
    let stranger =
        text.replace(&format!("tls_ca_file = {own:?}"), &format!("tls_ca_file = {:?}", other.file("ca.pem")));
    let nobody: String = text
        .lines()
        .filter(|l| !l.starts_with("tls_cert") && !l.starts_with("tls_key"))
        .fold(String::new(), |text, line| text + line + "\n");
    // Each is tried for as long as a server is waited for at start.
    let refused = |name: &'static str, text: String, word: &'static str| {
        let stage = &stage;
        async move {
            let config = stage.folder.path().join(format!("{name}.toml"));
            std::fs::write(&config, text)?;
            let output = stage.service("gateway", free_port(), &config).output().await?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = said.lines().last().unwrap_or_default();
            let named = last.contains(&stage.nats.url.replace("nats://", "tls://")) && last.contains(word);
            ensure!(!output.status.success() && named, "{name}: {said}");
            anyhow::Ok(())
        }
    };
    tokio::try_join!(refused("stranger", stranger, "certificate"), refused("nobody", nobody, ""))?;
    let mistaken = text.replace("tls://", "nats://");
    let config = stage.folder.path().join("mistaken.toml");
    std::fs::write(&config, mistaken)?;
    let output = stage.service("gateway", free_port(), &config).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains("must start with tls://"), "{said}");
    Ok(())
}
