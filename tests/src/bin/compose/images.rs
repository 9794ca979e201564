//! The images, made without any that has to be pulled: a base of a few libraries, the binary that was built, the nats-server
//! that the tests use, and Debian's haproxy.

use std::path::Path;

use anyhow::Context as _;

use crate::deployment::{root, run, say};

/// The images, made without any that has to be pulled.
pub async fn images(folder: &Path) -> anyhow::Result<()> {
    let binary = std::env::var("ROLLCALL_BINARY").context("ROLLCALL_BINARY: ./dev test-compose sets it")?;
    let nats = std::env::var("ROLLCALL_NATS_SERVER").context("ROLLCALL_NATS_SERVER: ./dev test-compose sets it")?;
    let base = folder.join("base");
    std::fs::create_dir_all(base.join("lib/x86_64-linux-gnu"))?;
    std::fs::create_dir_all(base.join("lib64"))?;
    for library in ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"] {
        std::fs::copy(
            Path::new("/lib/x86_64-linux-gnu").join(library),
            base.join("lib/x86_64-linux-gnu").join(library),
        )?;
    }
    std::fs::copy("/lib64/ld-linux-x86-64.so.2", base.join("lib64/ld-linux-x86-64.so.2"))?;
    std::fs::create_dir_all(base.join("etc/ssl/certs"))?;
    std::fs::create_dir_all(base.join("tmp"))?;
    std::fs::copy("/etc/ssl/certs/ca-certificates.crt", base.join("etc/ssl/certs/ca-certificates.crt"))?;
    std::fs::write(base.join("Dockerfile"), "FROM scratch\nCOPY lib /lib\nCOPY lib64 /lib64\nCOPY etc /etc\n")?;
    let empty: [(String, String); 0] = [];
    run("docker", &["build", "-q", "-t", "rollcall-test/base", "."], &base, &empty).await?;
    let prebuilt = folder.join("binary");
    std::fs::create_dir_all(&prebuilt)?;
    std::fs::copy(binary, prebuilt.join("rollcall"))?;
    std::fs::write(prebuilt.join("Dockerfile"), "FROM scratch\nCOPY rollcall /rollcall\n")?;
    run("docker", &["build", "-q", "-t", "rollcall-test/binary", "."], &prebuilt, &empty).await?;
    let buildkit = [("DOCKER_BUILDKIT".to_owned(), "1".to_owned())];
    let arguments = [
        "build",
        "-q",
        "-f",
        "deploy/Dockerfile",
        "-t",
        "rollcall:test",
        "--build-arg",
        "RUNTIME_IMAGE=rollcall-test/base",
        "--build-arg",
        "BINARY_IMAGE=rollcall-test/binary",
        ".",
    ];
    // A client that can't use BuildKit by itself needs a plug-in; Debian's own can.
    let plugin = run("docker", &["buildx", "version"], &root(), &empty).await.is_ok();
    let client = if !plugin && Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
    run(client, &arguments, &root(), &buildkit).await?;
    let server = folder.join("nats");
    std::fs::create_dir_all(&server)?;
    std::fs::copy(nats, server.join("nats-server"))?;
    std::fs::copy("/bin/busybox", server.join("busybox")).context("busybox: install busybox-static")?;
    std::fs::write(
        server.join("Dockerfile"),
        "FROM scratch\nCOPY nats-server /nats-server\nCOPY busybox /bin/wget\nENV PATH=/bin\nENTRYPOINT [\"/nats-server\"]\n",
    )?;
    run("docker", &["build", "-q", "-t", "rollcall-test/nats", "."], &server, &empty).await?;
    balancer(folder).await?;
    demo_app(folder).await?;
    let size = run("docker", &["image", "inspect", "-f", "{{.Size}}", "rollcall:test"], &root(), &empty).await?;
    let megabytes = size.trim().parse::<f64>()? / 1e6;
    say(&format!("image: {megabytes:.0} MB"));
    Ok(())
}

/// Debian's haproxy.
async fn balancer(folder: &Path) -> anyhow::Result<()> {
    let program = Path::new("/usr/sbin/haproxy");
    let start = ["/usr/sbin/haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"];
    let image = packaged(&folder.join("haproxy"), "rollcall-test/haproxy", program, &start, &[]).await;
    image.context("haproxy: install it")
}

/// Debian's Prometheus and Alertmanager, where they can be had; whether they can.
pub async fn watchers(folder: &Path) -> anyhow::Result<bool> {
    let Some(at) = std::env::var_os("ROLLCALL_PROMETHEUS_BIN").map(std::path::PathBuf::from) else { return Ok(false) };
    for name in ["prometheus", "prometheus-alertmanager"] {
        let start = format!("/usr/bin/{name}");
        let (image, shared) = (format!("rollcall-test/{name}"), [Path::new("/usr/share/prometheus")]);
        packaged(&folder.join(name), &image, &at.join(name), &[&start], &shared).await?;
    }
    Ok(true)
}

/// An image of one program with the libraries that it asks for, where it asks for them, and those of the `shared` folders
/// that there are.
async fn packaged(context: &Path, image: &str, program: &Path, start: &[&str], shared: &[&Path]) -> anyhow::Result<()> {
    let (empty, path) = ([] as [(String, String); 0], program.display().to_string());
    let needs = run("ldd", &[&path], &root(), &empty).await?;
    for file in needs.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
        copy(file, &context.join(file.strip_prefix("/")?))?;
    }
    copy(program, &context.join(start.first().context("no program")?.trim_start_matches('/')))?;
    for folder in ["lib", "lib64", "usr/lib"] {
        std::fs::create_dir_all(context.join(folder))?;
    }
    for folder in shared.iter().filter(|folder| folder.exists()) {
        let to = context.join(folder.strip_prefix("/")?);
        let to = to.parent().context("a folder without a place")?;
        std::fs::create_dir_all(to)?;
        let (from, to) = (folder.display().to_string(), to.display().to_string());
        run("cp", &["-rL", &from, &to], &root(), &empty).await?;
    }
    let entry = serde_json::to_string(start)?;
    let text = format!("FROM scratch\nCOPY lib /lib\nCOPY lib64 /lib64\nCOPY usr /usr\nENTRYPOINT {entry}\n");
    std::fs::write(context.join("Dockerfile"), text)?;
    run("docker", &["build", "-q", "-t", image, "."], context, &empty).await?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    std::fs::copy(from, to)?;
    Ok(())
}

/// The app of the demo, from the list that its own Dockerfile installs, on this machine's Python.
async fn demo_app(folder: &Path) -> anyhow::Result<()> {
    let context = folder.join("demo");
    let packages = context.join("app");
    std::fs::create_dir_all(&packages)?;
    let (target, empty) = (packages.display().to_string(), [] as [(String, String); 0]);
    let tools = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON: ./dev test-compose sets it")?;
    let (pip, python) = (format!("{tools}/pip"), format!("{tools}/python3"));
    let install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--target"];
    let install = [&install[..], &[&target, "-r", "deploy/demo/requirements.txt"]].concat();
    run(&pip, &install, &root(), &empty).await?;
    let mut command = vec!["tests/apps/image.py".to_owned()];
    for file in std::fs::read_dir(packages.join("pydantic_core"))? {
        let path = file?.path();
        command.extend(path.extension().filter(|e| *e == "so").map(|_| path.display().to_string()));
    }
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let list = run(&python, &command, &root(), &empty).await?;
    let interpreter = list.lines().next().context("no interpreter")?;
    let (files, archive) = (context.join("files"), context.join("image.tar").display().to_string());
    std::fs::write(&files, &list)?;
    let files = files.display().to_string();
    let tar = ["-C", "/", "-chf", &archive, "--transform", "s,^/,,", "-P", "-T", &files];
    run("tar", &tar, &context, &empty).await?;
    run("tar", &["-rf", &archive, "app"], &context, &empty).await?;
    let entry =
        format!("ENTRYPOINT [\"{interpreter}\", \"-c\", \"from scim2_server.testserver.cli import main; main()\"]");
    let import = ["import", "-c", "ENV PYTHONPATH=/app", "-c", &entry, &archive, "rollcall-test/demo-app"];
    run("docker", &import, &root(), &empty).await?;
    Ok(())
}
