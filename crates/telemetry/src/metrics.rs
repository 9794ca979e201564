//! The metrics, under the names that dashboards and alert rules rely on. No identity is ever a label.

use std::sync::OnceLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use opentelemetry::{KeyValue, global};

/// Up to a week: from a fast app to one that needs people.
pub const ACCESS_SECONDS: [f64; 16] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0, 172_800.0,
    345_600.0, 604_800.0,
];

const REQUEST_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Every instrument.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Metrics {
    pub change_to_access_seconds: Histogram<f64>,
    pub leaver_completion_seconds: Histogram<f64>,
    pub obligations_open: Gauge<u64>,
    pub obligations_overdue: Gauge<u64>,
    pub oldest_overdue_seconds: Gauge<f64>,
    pub leavers_overdue: Gauge<u64>,
    pub leavers_at_risk: Gauge<u64>,
    pub source_silent_seconds: Gauge<f64>,
    pub source_silent_limit_seconds: Gauge<f64>,
    pub clock_jumps: Counter<u64>,
    pub signin_failures: Counter<u64>,
    pub drift_items: Gauge<u64>,
    pub drift_debt_hours: Gauge<f64>,
    pub app_quarantined: Gauge<u64>,
    pub app_drill_score: Gauge<u64>,
    pub app_drill_keeps_access: Gauge<u64>,
    pub app_not_compared: Gauge<u64>,
    pub erasures_unfinished: Gauge<u64>,
    pub app_drill_age_seconds: Gauge<f64>,
    pub app_vanished: Gauge<u64>,
    pub holds_waiting: Gauge<u64>,
    pub reevaluations_running: Gauge<u64>,
    pub scheduled_stuck: Gauge<u64>,
    pub approvals_waiting: Gauge<u64>,
    pub grants_active: Gauge<u64>,
    pub grants_requested: Gauge<u64>,
    pub separation_violations: Gauge<u64>,
    pub machines_without_owner: Gauge<u64>,
    pub credentials_over_age: Gauge<u64>,
    pub handovers_open: Gauge<u64>,
    pub handovers_overdue: Gauge<u64>,
    pub tasks_open: Gauge<u64>,
    pub tasks_overdue: Gauge<u64>,
    pub revocations_open: Gauge<u64>,
    pub revocations_overdue: Gauge<u64>,
    pub projection_lag_events: Gauge<u64>,
    pub downstream_requests: Counter<u64>,
    pub alerts: Counter<u64>,
    pub events_appended: Counter<u64>,
    pub http_server_seconds: Histogram<f64>,
}

/// The instruments of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| Metrics::new(&global::meter("rollcall")))
}

/// A label.
pub fn label(name: &'static str, value: impl Into<String>) -> KeyValue {
    KeyValue::new(name, value.into())
}

impl Metrics {
    fn new(meter: &Meter) -> Self {
        let histogram = |name: &'static str, help: &'static str, buckets: &[f64]| {
            meter.f64_histogram(name).with_description(help).with_boundaries(buckets.to_vec()).build()
        };
        let gauge = |name: &'static str, help: &'static str| meter.u64_gauge(name).with_description(help).build();
        let seconds = |name: &'static str, help: &'static str| meter.f64_gauge(name).with_description(help).build();
        let counter = |name: &'static str, help: &'static str| meter.u64_counter(name).with_description(help).build();
        Self {
            change_to_access_seconds: histogram(
                "rollcall_change_to_access_seconds",
                "From a change to its state in an app, as applied and as verified",
                &ACCESS_SECONDS,
            ),
            leaver_completion_seconds: histogram(
                "rollcall_leaver_completion_seconds",
                "From a departure to the last of its accounts verified gone",
                &ACCESS_SECONDS,
            ),
            obligations_open: gauge("rollcall_obligations_open", "Obligations that have not ended"),
            obligations_overdue: gauge("rollcall_obligations_overdue", "Open obligations past their deadline"),
            oldest_overdue_seconds: seconds(
                "rollcall_oldest_overdue_seconds",
                "How long the obligation that is overdue longest has been so; 0 when none is",
            ),
            leavers_overdue: gauge("rollcall_leavers_overdue", "Leavers who still have access past a deadline"),
            leavers_at_risk: gauge("rollcall_leavers_at_risk", "Leavers who are soon overdue"),
            source_silent_seconds: seconds("rollcall_source_silent_seconds", "Since nothing came from a source"),
            source_silent_limit_seconds: seconds(
                "rollcall_source_silent_limit_seconds",
                "How long nothing may come from a source",
            ),
            signin_failures: counter(
                "rollcall_signin_failures_total",
                "Sign-ins and tokens that were refused, by door: console, api, scim",
            ),
            clock_jumps: counter("rollcall_clock_jumps_total", "Times that the monitor's clock jumped"),
            drift_items: gauge("rollcall_drift_items", "Accounts that differ from what is desired"),
            drift_debt_hours: seconds("rollcall_drift_debt_hours", "How long open drift has been open, summed"),
            scheduled_stuck: gauge(
                "rollcall_scheduled_stuck",
                "Changes whose time has come and that can't take effect",
            ),
            approvals_waiting: gauge("rollcall_approvals_waiting", "What waits for a second person"),
            grants_active: gauge("rollcall_grants_active", "What is granted to somebody for a time, now"),
            separation_violations: gauge(
                "rollcall_separation_violations",
                "Who holds together what a separation of duties forbids, open or accepted by two people for a time",
            ),
            machines_without_owner: gauge(
                "rollcall_machines_without_owner",
                "Service accounts and agents with access for which nobody answers who is there",
            ),
            credentials_over_age: gauge(
                "rollcall_credentials_over_age",
                "Listed credentials whose secret has been the same for longer than machines.max_credential_age",
            ),
            handovers_open: gauge("rollcall_handovers_open", "Machines that are to be handed over"),
            tasks_open: gauge("rollcall_tasks_open", "What is owed in an app that people change"),
            tasks_overdue: gauge("rollcall_tasks_overdue", "Of these, what is past its deadline"),
            revocations_open: gauge("rollcall_revocations_open", "Credentials that are to be revoked"),
            revocations_overdue: gauge(
                "rollcall_revocations_overdue",
                "Credentials that were not revoked in time, those of departures included",
            ),
            handovers_overdue: gauge(
                "rollcall_handovers_overdue",
                "Machines that nobody has taken over, past the deadline",
            ),
            grants_requested: gauge("rollcall_grants_requested", "What somebody has asked for that waits for approval"),
            app_vanished: gauge("rollcall_app_vanished", "1 while everything known to be in an app is missing at once"),
            app_drill_score: gauge(
                "rollcall_drill_score",
                "How many of a hundred tried steps of its last drill an app did",
            ),
            app_drill_keeps_access: gauge(
                "rollcall_app_drill_keeps_access",
                "1 while an app keeps access that should end, as a drill has shown, or the account of a drill",
            ),
            erasures_unfinished: gauge(
                "rollcall_erasures_unfinished",
                "How many are erased whose keys, or entry in the register, could not be dealt with at the last try",
            ),
            app_not_compared: gauge(
                "rollcall_app_not_compared",
                "1 while an app could not be compared as a whole for too long",
            ),
            app_drill_age_seconds: seconds(
                "rollcall_app_drill_age_seconds",
                "Since an app was drilled to the end last",
            ),
            app_quarantined: gauge("rollcall_app_quarantined", "1 while an app is left alone because it fails"),
            holds_waiting: gauge("rollcall_holds_waiting", "Holds whose removals wait for a decision"),
            reevaluations_running: gauge(
                "rollcall_reevaluations_running",
                "Changes that concern many and are not decided for everybody yet",
            ),
            projection_lag_events: gauge(
                "rollcall_projection_lag_events",
                "Events in the log that a service has not applied yet",
            ),
            downstream_requests: counter("rollcall_downstream_requests_total", "Requests to apps"),
            alerts: counter("rollcall_alerts_total", "Deliveries to alert sinks"),
            events_appended: counter("rollcall_events_appended_total", "Events appended to the log"),
            http_server_seconds: histogram(
                "http_server_request_duration_seconds",
                "Requests served, by route and status",
                &REQUEST_SECONDS,
            ),
        }
    }
}
