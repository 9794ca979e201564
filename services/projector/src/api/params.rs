//! The query parameters of each path. A path takes those that are described here, and no others.

#![allow(dead_code, reason = "described for readers and for Query::read, which checks the values")]

use utoipa::IntoParams;

/// No parameters.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Nothing {}

/// A page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who is due to be erased.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Erasures {
    /// Until when; without it, 30 days from now.
    #[param(format = DateTime)]
    until: Option<String>,
    /// How many at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The state as of an instant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AsOfOnly {
    /// An RFC 3339 time: the state that the log made then. Without it: now.
    #[param(format = DateTime)]
    as_of: Option<String>,
}

/// A page of what there is, now or as of an instant, and by what it can be chosen.
macro_rules! list {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(IntoParams)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            $($(#[$field_doc])* $field: $type,)*
            /// An RFC 3339 time: the state that the log made then. Without it: now.
            #[param(format = DateTime)]
            as_of: Option<String>,
            /// How many at most.
            #[param(minimum = 1)]
            limit: Option<u64>,
            /// `next_cursor` of the page before.
            cursor: Option<String>,
        }
    };
}

list! {
    /// How each app did in its last drill.
    LastDrills {
        /// Only those that are so: none, wanted, running, passed, failed or stopped.
        state: Option<String>,
    }
}

list! {
    /// A page of identities.
    Identities {
        /// Only who has this user name, in any case.
        user_name: Option<String>,
        /// Only who has, for each word of this, a name, user name or address with a word that starts with it.
        name: Option<String>,
        /// Only who is in this state: staged, active, leaving or left.
        lifecycle: Option<String>,
        /// `true`: only whom a person has switched off.
        disabled: Option<bool>,
    }
}

list! {
    /// A page of departures.
    Leavers {
        /// open (overdue ones included), overdue, completed (every app was read back), attested (some of it is somebody's word) or superseded.
        status: Option<String>,
    }
}

list! {
    /// A page of obligations.
    Obligations {
        /// open, applied, overdue, waived, verified or superseded.
        status: Option<String>,
        /// Only in this app.
        app: Option<String>,
        /// joiner, mover, leaver or repair.
        change: Option<String>,
    }
}

list! {
    /// A page of apps.
    Apps {
    }
}

list! {
    /// A page of drift.
    Drift {
        /// Only in this app.
        app: Option<String>,
        /// orphan, zombie, attribute, membership, missing or duplicate.
        kind: Option<String>,
    }
}

list! {
    /// A page of grants, and of requests for them.
    Grants {
        /// requested (without it, and without `identity`), active or ended.
        status: Option<String>,
        /// Only whose identity this is.
        identity: Option<String>,
    }
}

list! {
    /// A page of what can be held.
    Entitlements {
        /// Only in this app.
        app: Option<String>,
    }
}

list! {
    /// A page of roles.
    Roles {
    }
}

list! {
    /// A page of who violates a separation of duties.
    Violations {
        /// Only of this separation.
        separation: Option<String>,
        /// open or accepted.
        status: Option<String>,
    }
}

list! {
    /// A page of machines.
    Machines {
        /// Only those for which this person answers, by id or user name.
        owner: Option<String>,
        /// Only those that are so: without_owner, handed_over (a hand-over is open) or ending (within 30 days).
        r#is: Option<String>,
    }
}

list! {
    /// A page of credentials: those that are listed.
    Credentials {
        /// Only those of this person or machine, by id or user name.
        holder: Option<String>,
        /// Only those that this inventory lists.
        inventory: Option<String>,
        /// Only those that are so: to_revoke, compromised, of_nobody, expired, over_age (`machines.max_credential_age`), unused (for 90 days) or gone.
        r#is: Option<String>,
    }
}

list! {
    /// A page of inventories.
    Inventories {
    }
}

list! {
    /// A page of hand-overs.
    Handovers {
        /// open, retiring, accepted, reassigned, retired or returned.
        status: Option<String>,
        /// Only of this person who leaves, by id or user name.
        owner: Option<String>,
    }
}

list! {
    /// A page of who holds something.
    Holders {
    }
}

/// Whom and what it is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Explain {
    /// The identity.
    #[param(required)]
    identity: Option<String>,
    /// `APP` for an account there, `APP:group:NAME` for a group in it.
    #[param(required)]
    entitlement: Option<String>,
    /// An RFC 3339 time: the state that the log made then. Without it: now.
    #[param(format = DateTime)]
    as_of: Option<String>,
}

/// Two checkpoints.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Consistency {
    /// The size of the earlier one.
    from: u64,
    /// The size of the later one; without it: the newest.
    to: Option<u64>,
}

/// What would be sent; one of both is needed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Plan {
    /// For this identity.
    identity: Option<String>,
    /// In this app.
    app: Option<String>,
    /// How many at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// A page of what people have to do.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Tasks {
    /// In this app.
    app: Option<String>,
    /// In the apps that this owner answers for.
    owner: Option<String>,
    /// open, overdue, waits or attested.
    status: Option<String>,
    /// How many at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Latencies of a window.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Latency {
    /// app, change or source.
    group_by: Option<String>,
    /// Only in this app.
    app: Option<String>,
    /// joiner, mover, leaver or repair.
    change: Option<String>,
    /// Only what this source changed.
    source: Option<String>,
    /// Verified at or after this RFC 3339 time.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Verified before this RFC 3339 time.
    #[param(format = DateTime)]
    to: Option<String>,
}

/// Whether it gets better.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Trends {
    /// change_to_access, leaver_completion, drift, orphans, tasks, exceptions, drill_score or work_and_drift.
    metric: Option<String>,
    /// app, owner, source or department, where the metric has it; without it the figures are of everything.
    group_by: Option<String>,
    /// Only this group.
    group: Option<String>,
    /// joiner, mover, leaver or another kind of change; of change_to_access.
    change: Option<String>,
    /// day, week or month.
    every: Option<String>,
    /// The first period has this RFC 3339 time; without it, twelve weeks before `to`.
    #[param(format = DateTime)]
    from: Option<String>,
    /// The last period is before this RFC 3339 time; without it, now.
    #[param(format = DateTime)]
    to: Option<String>,
    /// How many groups at most.
    #[param(minimum = 1)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

macro_rules! trail {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(IntoParams)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            /// Recorded at or after this RFC 3339 time.
            #[param(format = DateTime)]
            from: Option<String>,
            /// Recorded before this RFC 3339 time.
            #[param(format = DateTime)]
            to: Option<String>,
            /// The type of event, such as `identity.left`.
            #[param(rename = "type")]
            type_: Option<String>,
            /// Only in this app.
            app: Option<String>,
            /// Only by this actor.
            actor: Option<String>,
            /// Only from this source.
            source: Option<String>,
            /// joiner, mover, leaver or repair.
            change: Option<String>,
            /// Everything that one request led to.
            correlation_id: Option<String>,
            /// What the event with this id led to.
            caused_by: Option<String>,
            /// Part of the summary, in any case.
            text: Option<String>,
            $($(#[$field_doc])* $field: $type,)*
        }
    };
}

trail! {
    /// A page of the timeline.
    Trail {
        /// newest or oldest first.
        order: Option<String>,
        /// How many at most.
        #[param(minimum = 1)]
        limit: Option<u64>,
        /// `next_cursor` of the page before.
        cursor: Option<String>,
    }
}

trail! {
    /// The timeline, live.
    Live {
        /// Only whose identity this is.
        identity: Option<String>,
        /// Starts after this event; the header Last-Event-ID goes before it. Without both: with what happens next.
        after: Option<String>,
    }
}

trail! {
    /// The timeline, streamed.
    Export {
        /// ndjson, csv or ocsf.
        format: Option<String>,
        /// Only whose identity this is.
        identity: Option<String>,
        /// Starts after this event: what a broken export had last.
        after: Option<String>,
    }
}
