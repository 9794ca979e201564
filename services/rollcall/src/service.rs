//! The services that one process can run.

use clap::ValueEnum;
use rollcall_config::Needs;

/// One of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Service {
    Gateway,
    Projector,
    Provisioner,
    SlaMonitor,
}

impl Service {
    pub const ALL: [Self; 4] = [Self::Gateway, Self::Projector, Self::Provisioner, Self::SlaMonitor];

    /// The secrets it can't do without.
    pub const fn needs(self) -> Needs {
        match self {
            Self::Gateway => Needs::Sources,
            Self::Projector => Needs::ApiTokens,
            Self::Provisioner => Needs::Apps,
            Self::SlaMonitor => Needs::Alerts,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => rollcall_gateway::NAME,
            Self::Projector => rollcall_projector::NAME,
            Self::Provisioner => rollcall_provisioner::NAME,
            Self::SlaMonitor => rollcall_sla_monitor::NAME,
        }
    }
}
