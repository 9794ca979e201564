//! Opening services on one log, and what each brings to the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use jiff::Timestamp;
use rollcall_config::Config;
use rollcall_event_log::EventLog;
use rollcall_gateway::{Gateway, Proxy};
use rollcall_projection::Store;
use rollcall_projector::Projector;
use rollcall_provisioner::Provisioner;
use rollcall_sla_monitor::Monitor;
use tokio_util::sync::CancellationToken;

use crate::bodies::Bodies;
use crate::health::Condition;
use crate::service::Service;

type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A service that is ready to run.
pub struct Part {
    pub name: &'static str,
    pub store: Arc<Store>,
    /// What has to be true besides being up to date.
    pub condition: Option<Condition>,
    /// What it serves; each takes no place from another.
    pub fronts: Vec<Front>,
    pub run: Box<dyn FnOnce(CancellationToken) -> Running + Send>,
}

/// Something that is served.
pub struct Front {
    pub router: Router,
    pub bodies: Bodies,
    /// A path that answers nobody with what costs anything, and shows whether anyone is answered.
    pub probe: Option<&'static str>,
}

/// Opens a service; `services` are all that this process runs, `closing` ends what is streamed.
///
/// # Errors
/// When its folder is taken, or something it needs can't be had.
pub fn open(
    service: Service,
    services: &[Service],
    config: &Config,
    log: &EventLog,
    closing: &CancellationToken,
) -> anyhow::Result<Part> {
    let log = log.clone();
    Ok(match service {
        Service::Gateway => {
            let gateway = Gateway::open(config, log)?;
            let mut fronts = vec![Front {
                router: gateway.router(),
                bodies: Bodies::Known,
                probe: Some("/scim/v2/ServiceProviderConfig"),
            }];
            if !services.contains(&Service::Projector) {
                let Proxy { pages, forms } = rollcall_gateway::projector_proxy(
                    config.server.projectors.clone(),
                    config.server.projector_ca_file.as_deref(),
                    closing.clone(),
                )?;
                // That a projector answers is for its own readiness to say.
                let pages_of = Bodies::Claimed { most_bytes: rollcall_gateway::MAX_BODY };
                let forms_of = Bodies::Anyone { most_bytes: rollcall_gateway::MAX_FORM };
                let both = [(pages, pages_of), (forms, forms_of)];
                fronts.extend(both.map(|(router, bodies)| Front { router, bodies, probe: None }));
            }
            Part {
                name: rollcall_gateway::NAME,
                store: gateway.store(),
                condition: Some(Condition {
                    holds: gateway.registered(),
                    otherwise: "registering the configured apps",
                }),
                fronts,
                run: Box::new(|stop| Box::pin(async { Ok(gateway.run(stop).await?) })),
            }
        }
        Service::Projector => {
            let projector = Projector::open(config, log, closing.clone())?;
            Part {
                name: rollcall_projector::NAME,
                store: projector.store(),
                condition: None,
                fronts: vec![
                    Front { router: projector.api_router(), bodies: Bodies::Known, probe: Some("/v1/apps") },
                    Front {
                        router: projector.console_router(),
                        bodies: Bodies::Known,
                        probe: Some("/console/assets/icon.svg"),
                    },
                    Front {
                        router: projector.door_router(),
                        bodies: Bodies::Anyone { most_bytes: rollcall_projector::MAX_FORM },
                        probe: None,
                    },
                ],
                run: Box::new(|stop| Box::pin(async { Ok(projector.run(stop).await?) })),
            }
        }
        Service::Provisioner => {
            let provisioner = Provisioner::open(config, log)?;
            Part {
                name: rollcall_provisioner::NAME,
                store: provisioner.store(),
                condition: None,
                fronts: Vec::new(),
                run: Box::new(|stop| Box::pin(async { Ok(provisioner.run(stop).await?) })),
            }
        }
        Service::SlaMonitor => {
            let monitor = Monitor::open(config, log, Arc::new(Timestamp::now))?;
            Part {
                name: rollcall_sla_monitor::NAME,
                store: monitor.store(),
                condition: Some(Condition { holds: monitor.watched(), otherwise: "who watches is not known yet" }),
                fronts: Vec::new(),
                run: Box::new(|stop| Box::pin(async { Ok(monitor.run(stop).await?) })),
            }
        }
    })
}
