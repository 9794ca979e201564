//! What the configuration says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_domain::access::credential::CredentialKind;
use rollcall_domain::access::handover::MachinePolicy;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::reevaluation::ReevaluationPolicy;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::access::separation::SeparationSpec;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::hours::BusinessHours;
use rollcall_domain::decision::access_rules::AccessSpec;
use rollcall_domain::governance::configuration::Settings;
use rollcall_domain::identity::authority::Authority;
use rollcall_domain::ids::InventoryName;
use rollcall_domain::{AppId, SourceName};
use rollcall_rows::Format;
use rollcall_scim::{Catalogue, Strictness};
use secrecy::SecretString;
use url::Url;

use crate::secret::{Needs, Token};
use crate::section::{ConfigError, Mistake};

/// The whole configuration.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Config {
    pub file: String,
    pub server: ServerConfig,
    pub nats: NatsConfig,
    pub scim: ScimConfig,
    pub telemetry: TelemetryConfig,
    pub sources: Vec<SourceConfig>,
    /// Whose word counts, where sources disagree.
    pub authority: Authority,
    pub api_tokens: Vec<ApiToken>,
    pub apps: Vec<AppConfig>,
    /// Named sets of entitlements.
    pub roles: Vec<RoleSpec>,
    /// Policies as code.
    pub policies: Vec<PolicySpec>,
    /// What nobody may hold together.
    pub separations: Vec<SeparationSpec>,
    pub audit: AuditConfig,
    /// What seals personal data.
    pub privacy: PrivacyConfig,
    /// What needs a second person.
    pub approvals: ApprovalConfig,
    /// What is said of machines.
    pub machines: MachinesConfig,
    /// For how many people at once a change that concerns many is decided.
    pub reevaluation: ReevaluationPolicy,
    /// The lists of credentials.
    pub inventories: Vec<InventoryConfig>,
    /// Who else knows the people who use the console.
    pub oidc: Option<OidcConfig>,
    pub alerting: AlertingConfig,
    pub alerts: Vec<AlertSink>,
    pub tasks: TasksConfig,
    /// What works, and should not stay so.
    pub warnings: Vec<String>,
    /// Every setting by its place, without secrets.
    pub settings: Settings,
}

/// The public address and its bounds.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address that clients know, for links; without it, the one they asked.
    pub public_url: Option<Url>,
    /// Where projections, and the private server's data, are kept.
    pub data_dir: PathBuf,
    /// Where a gateway that runs alone finds the projector, or each of several.
    pub projectors: Vec<Url>,
    /// The authority that is believed when a projector's address is https, as a PEM file; none: the public ones.
    pub projector_ca_file: Option<PathBuf>,
    /// The certificate and its key, as PEM files, when the address speaks TLS itself.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    /// The largest list of an inventory in bytes.
    pub max_inventory_bytes: usize,
    /// The largest page of a list.
    pub max_page: usize,
    /// The most requests that are worked on at once.
    pub max_requests_in_flight: usize,
    /// Of those to SCIM, the most of one source.
    pub max_requests_in_flight_per_source: usize,
    /// The most streams of a kind at once: exports, live timelines, and pages of the console.
    pub max_streams: usize,
    /// Of these, the most of one person.
    pub max_streams_per_person: usize,
    /// How long whoever reads an answer may take none of it.
    pub write_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long a read waits for its own writes.
    pub read_patience: Duration,
    /// The memory that each projection may cache, in bytes.
    pub cache_bytes: u64,
    /// Where health and metrics are, when they are not at `listen`.
    pub management_listen: Option<SocketAddr>,
    /// The networks of the proxies in front of it, which say truly whom they pass on.
    pub trusted_proxies: Vec<IpNet>,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most connections at once from one address.
    pub max_connections_per_address: usize,
    /// The most requests with a token that is nobody's that are answered so in a minute, by address; more are told to wait.
    pub max_refusals_per_minute: NonZeroU32,
    /// The most requests of one API token in a second.
    pub max_api_requests_per_second: NonZeroU32,
    /// The most attempts to sign in to the console that one address has in a minute.
    pub max_sign_ins_per_minute: NonZeroU32,
}

/// Tamper evidence, and who reads what is personal.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// How far ahead a waiver, an accepted finding or a rejected hold may reach by one person's decision.
    pub max_exception: Duration,
    /// How far ahead by that of two.
    pub max_approved_exception: Duration,
    /// The keys that sign checkpoints, the first one's name is that of the log; none: one is made at the first start.
    pub signing_keys: Vec<Token>,
    /// The name of the key that is made.
    pub log_name: String,
    /// How long an event may wait for a checkpoint.
    pub checkpoint_every: Duration,
    /// Where the newest checkpoint is written.
    pub publish_file: Option<PathBuf>,
    /// Where every checkpoint is posted.
    pub publish_url: Option<Url>,
    /// Whether it is an event when a person's data are read.
    pub reads: Reads,
}

/// Personal data are sealed on the log.
#[derive(Debug, Clone)]
pub struct PrivacyConfig {
    /// The installation's keys, the one that wraps first; none: one is made in the data directory for a private server, and on a
    /// shared one nothing is sealed.
    pub key: Option<Token>,
    /// When those who left are erased; none: when somebody says so.
    pub retention: Option<Retention>,
    /// The file in which every erasure is kept, apart from the log.
    pub register: Option<PathBuf>,
    /// The public keys that backups are encrypted to.
    pub backup_recipients: Vec<String>,
}

/// For how long those who left are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// After they left.
    pub erase_left_after: Duration,
    /// What allows it: it stays on the log.
    pub legal_basis: String,
}

impl Retention {
    /// How long after they left.
    #[must_use]
    pub fn after(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::try_from(self.erase_left_after).unwrap_or(jiff::SignedDuration::MAX)
    }
}

/// What is dangerous is asked for by one person and approved by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalConfig {
    /// Whether it is.
    pub two_people: TwoPeople,
    /// How long what was asked for can be approved.
    pub expires_after: Duration,
    /// The same for access that somebody has asked for.
    pub grant_expires_after: Duration,
}

/// What is said of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachinesConfig {
    /// What the services derive by.
    pub policy: MachinePolicy,
    /// What becomes of one that would begin without an owner.
    pub without_owner: WithoutOwner,
    /// How old the secret of a credential may be before it counts as over age.
    pub max_credential_age: Duration,
}

/// What becomes of a machine that would begin, and for which nobody answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WithoutOwner {
    /// It is known, and has no access until somebody does.
    #[default]
    Stage,
    /// It is refused.
    Refuse,
    /// It begins, and is listed as one without an owner.
    Allow,
}

/// The list of a vault, a cloud account or a code host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryConfig {
    /// Its name.
    pub name: InventoryName,
    /// Who sends it.
    pub source: SourceName,
    /// How it is written.
    pub shape: InventoryShape,
    /// What it lists, where it does not say so itself.
    pub kind: CredentialKind,
    /// The app that its credentials open.
    pub app: Option<AppId>,
    /// How it names whose a credential is.
    pub holder: HolderBy,
    /// So many of what was listed may be missing from the next list, in percent, before a person has to confirm it.
    pub max_missing_percent: u32,
}

/// How a list is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryShape {
    /// As a system that many have writes it.
    Preset(InventoryPreset),
    /// With names of its own for some of its fields.
    Columns(BTreeMap<InventoryField, String>),
}

/// A system whose lists are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InventoryPreset {
    /// The answers of HashiCorp Vault to `auth/token/lookup-accessor`.
    Vault,
    /// The credential report of AWS IAM.
    AwsCredentialReport,
    /// What GitHub lists at `/orgs/{org}/personal-access-tokens`.
    GithubTokens,
    /// What `kubectl get serviceaccounts -A -o json` writes.
    KubernetesServiceAccounts,
}

impl InventoryPreset {
    pub(crate) const ALL: [Self; 4] =
        [Self::Vault, Self::AwsCredentialReport, Self::GithubTokens, Self::KubernetesServiceAccounts];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::AwsCredentialReport => "aws-credential-report",
            Self::GithubTokens => "github-tokens",
            Self::KubernetesServiceAccounts => "kubernetes-service-accounts",
        }
    }

    pub(crate) const fn kind(self) -> CredentialKind {
        match self {
            Self::Vault | Self::KubernetesServiceAccounts => CredentialKind::Token,
            Self::AwsCredentialReport => CredentialKind::ApiKey,
            Self::GithubTokens => CredentialKind::PersonalAccessToken,
        }
    }
}

/// A field of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum InventoryField {
    Name,
    Holder,
    Kind,
    IssuedAt,
    ExpiresAt,
    RotatedAt,
    UsedAt,
    Active,
}

impl InventoryField {
    /// Every field.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Holder,
        Self::Kind,
        Self::IssuedAt,
        Self::ExpiresAt,
        Self::RotatedAt,
        Self::UsedAt,
        Self::Active,
    ];

    /// What it is called where a list has no name of its own for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Holder => "holder",
            Self::Kind => "kind",
            Self::IssuedAt => "issued_at",
            Self::ExpiresAt => "expires_at",
            Self::RotatedAt => "rotated_at",
            Self::UsedAt => "used_at",
            Self::Active => "active",
        }
    }
}

/// How a list names whose a credential is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HolderBy {
    /// By the name that they sign in with: a person's, a service account's, or an agent's.
    #[default]
    UserName,
    /// By the id that their source gave them.
    ExternalId,
    /// By Rollcall's own id.
    Id,
}

/// Whether what is dangerous needs a second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwoPeople {
    /// Where more than one may decide: more than one operator or admin among the API tokens of the configuration and the groups of the provider.
    WhenPossible,
    /// In any case.
    Always,
    /// In none.
    Never,
}

/// How many may decide what takes at least a role, by the tokens of the configuration; a group at the provider counts as two, since
/// nobody knows here how many are in it.
#[must_use]
pub fn deciders<'a>(
    tokens: impl IntoIterator<Item = &'a ApiToken>,
    of_groups: impl IntoIterator<Item = &'a Role>,
    least: Role,
) -> usize {
    let tokens = tokens.into_iter().filter(|token| token.role >= least).count();
    let groups = of_groups.into_iter().filter(|role| **role >= least).count();
    tokens.saturating_add(groups.saturating_mul(2))
}

impl TwoPeople {
    /// Whether a second person is needed where as many may decide.
    #[must_use]
    pub const fn applies(self, deciders: usize) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::WhenPossible => deciders > 1,
        }
    }
}

/// What becomes of the reading of a person's data. That it was refused is recorded in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Each is an event.
    Recorded,
    /// None is.
    Unrecorded,
}

/// An OpenID Connect provider that people sign in to the console with.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// What the button says.
    pub name: String,
    /// Where it is.
    pub issuer: Url,
    /// Who we are there.
    pub client_id: String,
    /// Our secret there; none: a public client.
    pub client_secret: Option<Token>,
    /// The claim that says who somebody is; none: their verified e-mail address, or what comes nearest.
    pub name_claim: Option<String>,
    /// The attribute of their identity that it is.
    pub identity_attribute: PersonAttribute,
    /// The claim that has someone's groups.
    pub roles_claim: String,
    /// The role of each group; someone in none of them is not let in.
    pub roles: BTreeMap<String, Role>,
}

/// By which attribute people who sign in are known as identities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PersonAttribute {
    /// `userName`, in any case.
    #[default]
    UserName,
    /// `externalId`, where one identity alone has it.
    ExternalId,
    /// Rollcall's own id of it, which is nobody else's ever.
    Id,
}

/// The SCIM door: what it serves, and its bounds.
#[derive(Debug, Clone)]
pub struct ScimConfig {
    /// The schemas and resource types, those in the `schemas` folder included.
    pub catalogue: Catalogue,
    /// The most operations in a bulk request.
    pub max_bulk_operations: usize,
    /// The longest filter.
    pub max_filter_bytes: usize,
    /// How many answers about many resources are made at once.
    pub max_heavy_reads: usize,
    /// The largest resource, as JSON.
    pub max_resource_bytes: usize,
    /// The most group members that one request names.
    pub max_members_per_request: usize,
    /// The most members that an answer to a change of a group shows; a larger group is answered 204.
    pub max_members_shown: usize,
    /// The attributes of people and agents that are indexed besides those that always are.
    pub indexed: Vec<String>,
    /// How long everybody may be looked at for one answer.
    pub max_scan_time: Duration,
}

/// The log.
#[derive(Debug, Clone)]
pub struct NatsConfig {
    /// Where it is.
    pub place: NatsPlace,
    /// How many servers keep each event.
    pub replicas: usize,
    /// What to do when it could lose events.
    pub durability: DurabilityChoice,
}

/// Where the log is.
#[derive(Debug, Clone)]
pub enum NatsPlace {
    /// In the data directory, with a server of our own.
    Private,
    /// On a server that someone else runs.
    Server {
        /// Its address.
        url: String,
        /// Its monitoring address, where its sync setting can be read.
        monitoring_urls: Vec<Url>,
        /// User and password.
        credentials: Option<(String, Token)>,
        /// Who is believed to be the server, and who we are to it.
        tls: NatsTls,
    },
}

/// Certificates for the way to the log's server, as PEM files; without any, the public authorities are believed.
#[derive(Debug, Clone, Default)]
pub struct NatsTls {
    /// An authority of one's own.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, where the server asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What to do when the log could lose acknowledged events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DurabilityChoice {
    Refuse,
    Warn,
}

/// Where telemetry goes besides `/metrics` and the log.
#[derive(Debug, Clone, Default)]
pub struct TelemetryConfig {
    /// The base address of an OTLP/HTTP collector.
    pub otlp_endpoint: Option<Url>,
}

/// A system of record that pushes changes in.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct SourceConfig {
    pub name: SourceName,
    /// An opaque bearer token.
    pub token: Option<Token>,
    /// Access tokens that an authorization server issues.
    pub jwt: Option<JwtConfig>,
    /// Whether known deviations from the RFCs are accepted.
    pub strictness: Strictness,
    /// The most requests in a second.
    pub max_requests_per_second: NonZeroU32,
    /// The names of the resource types that it may see and change; `None`: every one.
    pub resources: Option<BTreeSet<String>>,
    /// Which resources of those it sees.
    pub sight: Sight,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How long nothing may come from it before someone is told; `None`: for ever.
    pub silent_after: Option<Duration>,
    /// Whether two of its resources may have the same `externalId`.
    pub external_ids: ExternalIds,
    /// What becomes of a creation of someone whom it has switched off.
    pub recreate: Recreate,
    /// Whether it is told of paging by cursor.
    pub cursors: Cursors,
}

/// Whether a source is told of paging by cursor (RFC 9865), which is served in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursors {
    /// `pagination` stands in the ServiceProviderConfig.
    Advertised,
    /// It is left out: some clients take no attribute there that RFC 7643 does not have.
    Silent,
}

/// Whether two resources of a source may have the same `externalId`. RFC 7643 §3.1 leaves that to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalIds {
    /// They may; it is noted on the event.
    Shared,
    /// The second one is refused.
    Unique,
}

/// What becomes of a creation of someone who is inactive, by the source that has created them and with their `externalId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreate {
    /// Their name is taken.
    Conflict,
    /// They are back, with what was sent.
    Restore,
}

/// Which resources a source sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Those of other sources, too.
    Everything,
    /// Those that it has created.
    Own,
}

impl SourceConfig {
    /// Whether it may see and change resources of this type.
    #[must_use]
    pub fn may_use(&self, resource_type: &str) -> bool {
        self.resources.as_ref().is_none_or(|names| names.contains(resource_type))
    }
}

/// OAuth 2.0 access tokens in the form of JWTs (RFC 9068).
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// Who issues them.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// Whom they are about; `None`: anyone the issuer gives one for this audience.
    pub subject: Option<String>,
    /// Where the issuer's keys are.
    pub keys: KeyPlace,
}

/// Where a JWK set is.
#[derive(Debug, Clone)]
pub enum KeyPlace {
    /// At an address; read again when a key is not in it.
    Url(Url),
    /// In a file.
    File(PathBuf),
}

/// What a holder of an API token may do; each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Role {
    Viewer,
    Auditor,
    Operator,
    Admin,
}

impl Role {
    /// The role with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Auditor, Self::Operator, Self::Admin].into_iter().find(|role| role.name() == name)
    }

    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Someone who may use the API.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct ApiToken {
    pub name: String,
    pub role: Role,
    pub token: Token,
    /// The user name of the identity that holds it; none: it is no person's.
    pub identity: Option<String>,
}

/// An app and how to reach it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct AppConfig {
    pub spec: AppSpec,
    pub reach: Reach,
    pub token: Option<Token>,
    /// How long one request to the app may take.
    pub request_timeout: Duration,
    /// How long the app may still carry out a change that it has not answered: until then nobody is called gone after one.
    pub carried_out_within: Duration,
    /// The shortest and longest pause between tries.
    pub retry_min: Duration,
    pub retry_max: Duration,
    /// The most accounts that are read when a filter of the app can't be trusted.
    pub max_scan: usize,
    /// How often it may fail in a row before it is left alone.
    pub quarantine_after: u32,
    /// How often it is asked then whether it answers again.
    pub probe_every: Duration,
    /// Whether its name may stand for an address of a private network.
    pub private_addresses: PrivateAddresses,
    /// When it is drilled, and as whom.
    pub drill: DrillSettings,
}

/// How an app is reached; [`AppSpec::kind`] says the same without where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// By SCIM, at this address, up to and without `/Users`.
    Scim(Url),
    /// People change it, and nothing can be read.
    People,
    /// People change it, and a list of its accounts can be read.
    List(AccountListConfig),
}

/// Where the list of the accounts of an app is, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountListConfig {
    pub place: AccountListPlace,
    pub format: Format,
    /// What the list calls what an account shows, by its path; `userName` is among them.
    pub columns: BTreeMap<String, String>,
    /// The words, in lower case, that say of an account that it can't be used; `None`: the usual ones.
    pub inactive: Option<BTreeSet<String>>,
    /// What stands between two groups.
    pub separator: String,
    /// An older list proves nothing, and somebody is told.
    pub max_age: Duration,
    /// How long before it was written it was taken.
    pub written_after: Duration,
    /// So many of the accounts of the list before may be missing.
    pub max_missing_percent: u32,
    /// The most that is read.
    pub max_bytes: usize,
}

/// Where a list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountListPlace {
    /// A file, as seen by the provisioner.
    File(PathBuf),
    /// An address that answers with it.
    Url(Url),
}

impl Reach {
    /// Whether all that tells accounts from each other are their user names.
    #[must_use]
    pub fn ids_are_names(&self) -> bool {
        matches!(self, Self::List(list) if !list.columns.contains_key("id"))
    }

    /// Where its SCIM service is; `None`: it has none.
    #[must_use]
    pub const fn base_url(&self) -> Option<&Url> {
        match self {
            Self::Scim(url) => Some(url),
            Self::People | Self::List(_) => None,
        }
    }
}

/// When an app is drilled, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillSettings {
    /// How often; `None`: only when a person asks.
    pub every: Option<Duration>,
    /// The user name of the account that goes through it; `{id}` is another word each time.
    pub user_name: String,
    /// The managed group that it enters and leaves; `None`: the first that is not of high risk.
    pub group: Option<String>,
    /// When it may be drilled by itself; `None`: at any time.
    pub hours: Option<BusinessHours>,
    /// How long a change may take to show.
    pub patience: Duration,
}

impl Default for DrillSettings {
    fn default() -> Self {
        Self {
            every: None,
            user_name: "rollcall-drill-{id}@example.com".to_owned(),
            group: None,
            hours: None,
            patience: Duration::from_secs(30),
        }
    }
}

/// Whether an app's host name may resolve to an address that is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// Such an address is not asked.
    Refused,
    /// It may; also where the address itself is configured.
    Allowed,
}

/// Who is told when something is wrong.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct AlertSink {
    pub name: String,
    pub reach: SinkReach,
    /// What it is told.
    pub tells: BTreeSet<News>,
}

/// What a sink can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// What is wrong.
    Alerts,
    /// What people have to do in apps that Rollcall does not change itself.
    Tasks,
}

impl News {
    /// Each.
    pub const ALL: [Self; 2] = [Self::Alerts, Self::Tasks];

    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Tasks => "tasks",
        }
    }
}

/// How a sink is reached.
#[derive(Debug, Clone)]
pub enum SinkReach {
    /// By requests over HTTP.
    Http(HttpSink),
    /// By mail.
    Mail(MailSink),
}

/// A sink that is spoken to over HTTP.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct HttpSink {
    pub kind: SinkKind,
    pub url: SinkUrl,
    /// A bearer token, or PagerDuty's routing key.
    pub token: Option<Token>,
    /// What webhooks are signed with.
    pub signing: Option<Token>,
}

/// A sink that gets mail (RFC 5321).
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct MailSink {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// Who signs in at the server, where it asks for that.
    pub login: Option<(String, Token)>,
    pub from: MailAddress,
    /// Who gets it; of tasks only where nobody answers for the app whose address is known.
    pub to: Vec<MailAddress>,
}

/// An address of mail, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MailAddress {
    pub name: Option<String>,
    pub address: String,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the start (RFC 8314).
    Tls,
    /// TLS after a first word (STARTTLS, RFC 3207), or not at all.
    StartTls,
    /// None.
    None,
}

/// What people have to do, and how they say that it is done.
#[derive(Debug, Clone)]
pub struct TasksConfig {
    /// What links are signed with by which a task is done without signing in; `None`: there are none.
    pub link_key: Option<Token>,
    /// How long a link can be used.
    pub links_last: Duration,
}

/// How a sink is spoken to over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkKind {
    /// CloudEvents 1.0 as JSON, signed.
    Webhook,
    /// Alertmanager's API v2.
    Alertmanager,
    /// PagerDuty's Events API v2.
    PagerDuty,
    /// Slack's incoming webhooks.
    Slack,
}

impl SinkKind {
    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
            Self::PagerDuty => "pagerduty",
            Self::Slack => "slack",
        }
    }
}

/// Where a sink is; that can be a secret itself.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum SinkUrl {
    Plain(Url),
    Secret(Token),
}

/// When people are told, and told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertingConfig {
    /// How long something is overdue when it is said again, with more weight each time.
    pub escalate_after: Vec<Duration>,
    /// How long the log may be away, the monitor may lag, or a sink may fail, before someone is told.
    pub patience: Duration,
    /// How far ahead a change may be said to take effect before someone is told.
    pub far_ahead: Duration,
    /// How long before a grant ends people are reminded.
    pub remind_before: Duration,
    /// How many events the monitor may lag behind.
    pub max_lag_events: u64,
}

impl ServerConfig {
    /// Whether whoever reaches `listen` is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}

impl Config {
    /// What it says of who holds what.
    #[must_use]
    pub fn access_spec(&self) -> AccessSpec {
        AccessSpec {
            apps: self.apps.iter().map(|app| app.spec.clone()).collect(),
            roles: self.roles.clone(),
            policies: self.policies.clone(),
            separations: self.separations.clone(),
        }
    }

    /// The app with this id.
    #[must_use]
    pub fn app(&self, id: &AppId) -> Option<&AppConfig> {
        self.apps.iter().find(|app| app.spec.id == *id)
    }

    /// Checks that the secrets are there that a service can't do without.
    ///
    /// # Errors
    /// Every one that is missing.
    pub fn require(&self, needs: &[Needs]) -> Result<(), ConfigError> {
        let all = needs.contains(&Needs::Everything);
        let wanted = |need: Needs| all || needs.contains(&need);
        let mut tokens: Vec<&Token> = Vec::new();
        if wanted(Needs::Sources) {
            tokens.extend(self.sources.iter().filter_map(|s| s.token.as_ref()));
        }
        if wanted(Needs::ApiTokens) {
            tokens.extend(self.audit.signing_keys.iter());
            tokens.extend(self.oidc.iter().filter_map(|oidc| oidc.client_secret.as_ref()));
            tokens.extend(self.api_tokens.iter().map(|t| &t.token));
        }
        if wanted(Needs::Apps) {
            tokens.extend(self.apps.iter().filter_map(|a| a.token.as_ref()));
        }
        if wanted(Needs::Alerts) {
            for sink in &self.alerts {
                match &sink.reach {
                    SinkReach::Http(http) => {
                        tokens.extend(http.token.iter().chain(&http.signing));
                        if let SinkUrl::Secret(url) = &http.url {
                            tokens.push(url);
                        }
                    }
                    SinkReach::Mail(mail) => tokens.extend(mail.login.iter().map(|(_, password)| password)),
                }
            }
        }
        if wanted(Needs::Alerts) || wanted(Needs::ApiTokens) {
            tokens.extend(&self.tasks.link_key);
        }
        tokens.extend(&self.privacy.key);
        if let NatsPlace::Server { credentials: Some((_, password)), .. } = &self.nats.place {
            tokens.push(password);
        }
        let mut mistakes: Vec<Mistake> = tokens.into_iter().filter_map(Token::mistake).cloned().collect();
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort_by_key(|m| m.line);
        Err(ConfigError::Mistakes { file: self.file.clone(), mistakes })
    }
}

impl NatsPlace {
    /// User and password as the log takes them.
    #[must_use]
    pub fn credentials(&self) -> Option<(String, SecretString)> {
        let Self::Server { credentials: Some((user, password)), .. } = self else { return None };
        password.secret().map(|secret| (user.clone(), secret.clone()))
    }
}
