//! What each key of the configuration means: the words of docs/configuration.md.

/// Key, meaning, example as it is written in the file (empty: the default shows it).
pub(crate) const MEANINGS: &[(&str, &str, &str)] = &[
    ("server.listen", "The address and port that HTTP is served at; without it `127.0.0.1:8080`.", "\"0.0.0.0:8080\""),
    (
        "server.public_url",
        "The address that clients know, for links and for the sign-in by `[oidc]`, which needs it; without it none \
         is assumed.",
        "\"https://rollcall.example.com\"",
    ),
    (
        "server.data_dir",
        "The folder where projections and the data of the private nats-server are kept; without it `rollcall-data`.",
        "\"/var/lib/rollcall\"",
    ),
    (
        "server.projector",
        "Where a gateway that runs alone finds the projector, or each of several, separated by commas.",
        "\"https://projector-1:8080,https://projector-2:8080\"",
    ),
    (
        "server.projector_ca_file",
        "The PEM file of the authority that is believed when a projector's address is https; without it the public \
         ones are.",
        "\"/run/secrets/ca.pem\"",
    ),
    (
        "server.tls_cert_file",
        "The PEM file of the certificate with which this address speaks TLS itself; it goes together with \
         `tls_key_file`, and without both it speaks plain HTTP.",
        "\"/run/secrets/this-service.pem\"",
    ),
    (
        "server.tls_key_file",
        "The PEM file of the key of the certificate in `tls_cert_file`.",
        "\"/run/secrets/this-service.key\"",
    ),
    (
        "server.management_listen",
        "An address and port of their own for `/metrics`, `/healthz` and `/readyz`, without TLS; without it they are \
         at `listen`.",
        "\"127.0.0.1:9090\"",
    ),
    (
        "server.trusted_proxies",
        "The addresses or networks of the proxies in front, separated by commas, whose `X-Forwarded-For` is \
         believed; without it none is.",
        "\"10.0.0.0/8, 192.0.2.7\"",
    ),
    ("server.max_body_bytes", "The largest body of a request in bytes; a larger one is answered 413.", ""),
    (
        "server.max_inventory_bytes",
        "The largest list of an inventory in bytes; a larger one is answered 413. It is held in memory while it is compared.",
        "",
    ),
    ("server.max_page", "The most results on a page of SCIM or of the API; larger pages are cut.", ""),
    (
        "server.max_requests_in_flight",
        "The most requests at once to SCIM, and as many each to `/v1`, to the console and to its sign-in; more wait. In a gateway that runs alone, `/v1` and the console share theirs.",
        "",
    ),
    (
        "server.max_requests_in_flight_per_source",
        "Of the requests to SCIM at once, the most of one source; more are answered 429. Without it a quarter of \
         `max_requests_in_flight`.",
        "",
    ),
    (
        "server.max_streams",
        "The most live timelines, exports and pages of the console at once, of each kind; more are answered 503.",
        "",
    ),
    ("server.max_streams_per_person", "Of the streams in `max_streams`, the most of one person.", ""),
    (
        "server.write_timeout",
        "How long whoever reads an answer may take none of it before the connection is closed.",
        "",
    ),
    ("server.body_timeout", "How long the body of a request may take to arrive.", ""),
    ("server.read_patience", "How long an answer waits for the state to catch up with the log.", ""),
    ("server.cache_bytes", "The memory in bytes that each projection may use to cache its pages.", ""),
    ("server.max_connections", "The most connections at once; more are closed.", ""),
    ("server.max_connections_per_address", "The most connections at once from one address; more are closed.", ""),
    ("server.max_api_requests_per_second", "The most requests of one API token in a second.", ""),
    (
        "server.max_refusals_per_minute",
        "The most requests a minute from one address with a token that is nobody's, before they are answered 429.",
        "",
    ),
    (
        "server.max_sign_ins_per_minute",
        "The most failed attempts a minute from one address to sign in to the console, before they are answered 429.",
        "",
    ),
    (
        "nats.url",
        "The address of the nats-server, starting with `nats://` or `tls://`, or of all servers of a cluster, \
         separated by commas; without it a private server is started.",
        "\"nats://nats-1:4222,nats://nats-2:4222,nats://nats-3:4222\"",
    ),
    (
        "nats.monitoring_url",
        "The address of the server's monitoring port, or those of all servers, separated by commas, by which it is \
         checked that it syncs to disk.",
        "\"http://nats:8222\"",
    ),
    ("nats.user", "The user to sign in to the nats-server as; it goes together with a password.", "\"gateway\""),
    ("nats.password_env", "The environment variable that holds the password of `nats.user`.", "\"NATS_PASSWORD\""),
    ("nats.password_file", "The file that holds the password of `nats.user`.", "\"/run/secrets/nats-password\""),
    (
        "nats.password",
        "The password of `nats.user`, written in the configuration itself: it works with a warning, and is for tests \
         only.",
        "\"only-for-a-test\"",
    ),
    (
        "nats.tls_ca_file",
        "The PEM file of the authority that is believed when the nats-server speaks TLS; without it the public ones \
         are.",
        "\"/run/secrets/ca.pem\"",
    ),
    (
        "nats.tls_cert_file",
        "The PEM file of our certificate where the nats-server asks for one; it goes together with `tls_key_file`.",
        "\"/run/secrets/this-service.pem\"",
    ),
    (
        "nats.tls_key_file",
        "The PEM file of the key of the certificate in `tls_cert_file`.",
        "\"/run/secrets/this-service.key\"",
    ),
    ("nats.replicas", "How many servers of the cluster keep each event; more than 1 needs `url`.", ""),
    (
        "nats.durability",
        "`refuse` (the default) or `warn`: what to do at start when the log could lose acknowledged events.",
        "\"warn\"",
    ),
    (
        "scim.schemas",
        "The folder whose `.json` files add schemas and resource types; without it there are the built-in ones.",
        "\"/etc/rollcall/schemas\"",
    ),
    (
        "scim.effective_dates",
        "`true` or `false` (the default): whether Users and Agents have the Lifecycle extension, with `effectiveAt` \
         and `emergency`.",
        "true",
    ),
    ("scim.max_bulk_operations", "The most operations in a bulk request; more are answered 413.", ""),
    ("scim.max_filter_bytes", "The longest filter in bytes; a longer one is answered 400.", ""),
    ("scim.max_resource_bytes", "The largest resource in bytes, as JSON; a larger one is answered 413.", ""),
    ("scim.max_members_per_request", "The most group members that one request may name; more are answered 413.", ""),
    (
        "scim.max_heavy_reads",
        "How many answers about many resources, or about a group, are made at once; more wait.",
        "",
    ),
    (
        "scim.indexed",
        "The attributes by which people and agents are found and sorted without a look at everybody, besides `userName`, `externalId`, \
         `emails`, `displayName`, `active` and `meta.lastModified`; without it `name.familyName` and `title`. A new one is built while there \
         is nothing else to do.",
        "[\"title\", \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber\"]",
    ),
    (
        "scim.max_scan_time",
        "How long everybody may be looked at for one answer, where no index helps; then it is `400 tooMany`, and says what to index.",
        "",
    ),
    (
        "scim.max_members_shown",
        "The most members that the answer to a change of a group shows; a change of a larger group is answered 204.",
        "",
    ),
    (
        "telemetry.otlp_endpoint",
        "The base address of an OTLP/HTTP collector that telemetry is pushed to; without it none is.",
        "\"http://otel-collector:4318\"",
    ),
    (
        "sources.name",
        "The name of the source, by which other keys and events refer to it; it is required, and no two have the same.",
        "\"hr\"",
    ),
    (
        "sources.token_env",
        "The environment variable that holds the bearer token that the source sends.",
        "\"HR_TOKEN\"",
    ),
    ("sources.token_file", "The file that holds the bearer token that the source sends.", "\"/run/secrets/hr-token\""),
    (
        "sources.token",
        "The bearer token that the source sends, written in the configuration itself: it works with a warning, and \
         is for tests only.",
        "\"only-for-a-test\"",
    ),
    (
        "sources.strict",
        "`true` or `false` (the default): whether known deviations from the SCIM RFCs are refused.",
        "true",
    ),
    (
        "sources.external_id",
        "`shared` (the default) or `unique`: whether two resources of the source may have the same `externalId`, which is noted \
         on the event, or the second one is refused with 409.",
        "\"unique\"",
    ),
    (
        "sources.cursors",
        "`advertised` (the default) or `silent`: whether the ServiceProviderConfig has `pagination` (RFC 9865), which some clients \
         take for an error; paging by cursor works in any case.",
        "\"silent\"",
    ),
    (
        "sources.recreate",
        "`conflict` (the default) or `restore`: whether a creation of someone who is inactive, by the source that has created \
         them and with their `externalId`, is refused with 409, or brings them back.",
        "\"restore\"",
    ),
    (
        "sources.resources",
        "The names of the resource types that the source may see and change; without it every one.",
        "[\"User\", \"Group\"]",
    ),
    (
        "sources.sees",
        "`everything` (the default) or `own`: whether the source sees what other sources have created, too.",
        "\"own\"",
    ),
    ("sources.owner", "Who answers for the source; without it nobody is named.", "\"hr-it@example.com\""),
    (
        "sources.silent_after",
        "How long nothing may come from the source before there is an alert; without it there is none.",
        "\"24h\"",
    ),
    ("sources.max_requests_per_second", "The most requests of the source in a second; more are answered 429.", ""),
    (
        "sources.jwt.issuer",
        "The issuer of the JWT access tokens that the source may send; it is required in `[sources.jwt]`.",
        "\"https://login.example.com/\"",
    ),
    (
        "sources.jwt.audience",
        "The audience that the access tokens must be for; it is required in `[sources.jwt]`.",
        "\"rollcall\"",
    ),
    (
        "sources.jwt.subject",
        "The subject that the access tokens must have; without it any that the issuer gives for this audience.",
        "\"lab-sync\"",
    ),
    (
        "sources.jwt.jwks_url",
        "The address of the issuer's keys, a JWK set, with https except on this machine; give this or `jwks_file`.",
        "\"https://login.example.com/keys\"",
    ),
    (
        "sources.jwt.jwks_file",
        "The file with the issuer's keys, a JWK set; give this or `jwks_url`.",
        "\"/etc/rollcall/jwks.json\"",
    ),
    (
        "precedence.attributes",
        "The attributes of Users and Agents that the rule is about, an extension's with its URN; it is required.",
        "[\"title\", \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department\"]",
    ),
    (
        "precedence.sources",
        "The names of the sources that may set these attributes, from the one that counts most; others have no say; \
         it is required.",
        "[\"hr\", \"okta\"]",
    ),
    (
        "group_authority.names",
        "The names of the groups that the rule is about, in which `*` stands for any text; the first rule that \
         matches counts; it is required.",
        "[\"Engineering\", \"app-*\"]",
    ),
    (
        "group_authority.sources",
        "The names of the sources that may make, rename, fill and remove these groups; it is required.",
        "[\"hr\", \"okta\"]",
    ),
    ("api_tokens.name", "The name of whoever holds the token, which stands in events; it is required.", "\"oncall\""),
    (
        "api_tokens.role",
        "`viewer`, `auditor`, `operator` or `admin`: what the holder may do, each what those before it may, too; it \
         is required.",
        "\"auditor\"",
    ),
    (
        "api_tokens.identity",
        "The user name or the id of the person who holds it: by that they are their own manager's report, somebody's manager, an owner, where \
         access is asked for and approved. A user name that somebody had who has left opens nothing for whoever has it now: give the id. \
         Without it the token is no person's.",
        "\"ada@example.com\"",
    ),
    (
        "api_tokens.token_env",
        "The environment variable that holds the bearer token of the API and the console.",
        "\"ONCALL_TOKEN\"",
    ),
    (
        "api_tokens.token_file",
        "The file that holds the bearer token of the API and the console.",
        "\"/run/secrets/oncall-token\"",
    ),
    (
        "api_tokens.token",
        "The bearer token of the API and the console, written in the configuration itself: it works with a warning, \
         and is for tests only.",
        "\"only-for-a-test\"",
    ),
    (
        "audit.log_name",
        "The name of the log's signing key that is made when there are no `[[signing_keys]]`, without spaces and \
         plus signs; without it `rollcall.local/log`.",
        "\"rollcall.example.com/log\"",
    ),
    ("audit.checkpoint_every", "How long an event may wait for a signed checkpoint.", ""),
    (
        "audit.publish_file",
        "The file that the newest checkpoint is written to, for someone else to keep; without it none is written.",
        "\"/mnt/worm/checkpoint\"",
    ),
    (
        "audit.publish_url",
        "The address that the newest checkpoint is posted to; without it none is posted.",
        "\"https://witness.example.com/rollcall\"",
    ),
    (
        "audit.record_reads",
        "`true` or `false` (the default): whether every answer that shows people is an event, too, with what was \
         asked.",
        "true",
    ),
    (
        "audit.max_exception",
        "How far ahead a waiver, an accepted finding or a rejected hold may reach by one person's decision.",
        "",
    ),
    (
        "audit.max_approved_exception",
        "How far ahead a waiver, an accepted finding or a rejected hold may reach when a second person approves it.",
        "",
    ),
    (
        "approvals.two_people",
        "`when-possible` (the default: where `[[api_tokens]]` has more than one operator or admin, or `[oidc.roles]` lets a group be one), \
         `always` or `never`: whether what is dangerous needs a second person.",
        "\"always\"",
    ),
    ("approvals.grant_expires_after", "How long access that somebody has asked for can be approved.", ""),
    ("approvals.expires_after", "How long what was asked for can be approved.", ""),
    (
        "machines.handover_within",
        "How long whoever leaves, or somebody for them, has to hand over a machine that they answer for.",
        "",
    ),
    (
        "machines.revoke_within",
        "How long credentials of somebody who has left, who is switched off, or whose machine has ended may go on working.",
        "",
    ),
    ("machines.compromised_within", "How long credentials that somebody has reported may go on working.", ""),
    (
        "inventories.name",
        "The name of a list of credentials; it is part of the path that it is sent to. Required.",
        "\"vault\"",
    ),
    (
        "inventories.source",
        "The source that sends it, by a name of `[[sources]]`; no other may. Required.",
        "\"vault\"",
    ),
    (
        "inventories.preset",
        "How it is written: `vault`, `aws-credential-report`, `github-tokens` or `kubernetes-service-accounts`; without it, by \
         `columns`.",
        "\"vault\"",
    ),
    (
        "inventories.columns.name",
        "What the list calls the field with the id, accessor or fingerprint of a credential, never its secret.",
        "\"Key ID\"",
    ),
    ("inventories.columns.holder", "The same of whose it is.", "\"Owner\""),
    ("inventories.columns.kind", "The same of its kind.", "\"Type\""),
    ("inventories.columns.issued_at", "The same of when it was made.", "\"Created\""),
    ("inventories.columns.expires_at", "The same of when it stops working by itself.", "\"Expires\""),
    ("inventories.columns.rotated_at", "The same of when its secret was last another one.", "\"Rotated\""),
    ("inventories.columns.used_at", "The same of when it was last used.", "\"Last used\""),
    ("inventories.columns.active", "The same of whether it works: true or false.", "\"Active\""),
    (
        "inventories.kind",
        "What its credentials are, where it does not say: `api_key`, `client_secret`, `certificate`, `personal_access_token`, \
         `ssh_key`, `token` or `password`.",
        "\"api_key\"",
    ),
    ("inventories.app", "The app that they open, by an id of `[[apps]]`.", "\"crm\""),
    (
        "inventories.holder",
        "How it names whose a credential is: `userName` (the default), `externalId` or `id`.",
        "\"externalId\"",
    ),
    (
        "inventories.max_missing_percent",
        "So many of the credentials that were listed may be missing from the next list, in percent; a list that lacks more, and more \
         than five (of few, than half of them and than one), is refused until somebody confirms their number.",
        "",
    ),
    (
        "machines.max_credential_age",
        "How old the secret of a listed credential may be before it counts as over age: since it was another one last, or since it was \
         made, as its list says.",
        "",
    ),
    (
        "machines.without_owner",
        "What becomes of a service account or an agent that would begin and names no owner who is there: `stage` (the default: it is \
         known, and has no access until it names one), `refuse` or `allow`.",
        "\"refuse\"",
    ),
    (
        "reevaluation.people_at_once",
        "A change that concerns more people than this, such as another rule of an app, is decided for as many at once, with other events \
         between; those who lose an account come first, and removals wait until all of them are counted.",
        "",
    ),
    (
        "oidc.name",
        "The name of the identity provider on the sign-in button; without it `your identity provider`.",
        "\"Okta\"",
    ),
    (
        "oidc.issuer",
        "The address of the OpenID Connect provider that people sign in to the console with; it is required in \
         `[oidc]`.",
        "\"https://example.okta.com\"",
    ),
    ("oidc.client_id", "The client id of Rollcall at the provider; it is required in `[oidc]`.", "\"rollcall\""),
    (
        "oidc.client_secret_env",
        "The environment variable that holds the client secret of Rollcall at the provider; without one it is a \
         public client.",
        "\"OIDC_SECRET\"",
    ),
    (
        "oidc.client_secret_file",
        "The file that holds the client secret of Rollcall at the provider; without one it is a public client.",
        "\"/run/secrets/oidc-secret\"",
    ),
    (
        "oidc.name_claim",
        "The claim of the ID token that says who somebody is; without it the verified e-mail address, else `preferred_username`, else `sub`.",
        "\"upn\"",
    ),
    (
        "oidc.identity_attribute",
        "`userName` (the default) or `externalId`: the attribute of somebody's identity that is the same as that claim. By it the console \
         knows whose manager they are, and what is theirs.",
        "\"externalId\"",
    ),
    ("oidc.roles_claim", "The claim of the ID token that has someone's groups; without it `groups`.", "\"roles\""),
    (
        "oidc.roles.*",
        "`viewer`, `auditor`, `operator` or `admin`: the role of whoever is in the group that the key names; someone \
         in none of them is not let in.",
        "\"auditor\"",
    ),
    (
        "privacy.key_env",
        "The environment variable that holds the installation's key, with which the keys of people are wrapped; see \
         `key_file`.",
        "\"INSTALLATION_KEY\"",
    ),
    (
        "privacy.key_file",
        "The file that holds the installation's key, the same for every service: what is personal on the log is sealed with keys that \
         it wraps. Of several, one a line, the first wraps and all open. Without it, one is made in the data directory when the \
         server is private; with a server of your own nothing is sealed.",
        "\"/run/secrets/installation-key\"",
    ),
    (
        "privacy.backup_recipients",
        "The public keys that `rollcall backup` encrypts to, as `rollcall keys backup` or `age-keygen` makes them: whoever has one of the \
         private keys can read the backup. Without any, a backup is not encrypted.",
        "[\"age1…\"]",
    ),
    (
        "privacy.erasure_register",
        "A file in which the projector keeps every erasure, before the keys are destroyed; it names nobody. Keep a copy apart from the \
         backups: `rollcall restore --erasures FILE` erases again by it.",
        "\"/var/lib/rollcall/erasures.ndjson\"",
    ),
    (
        "privacy.erase_left_after",
        "How long after they left people are erased, once they are verified gone everywhere: a year counts 365 days and a month 30. \
         Accounts that apps keep, inactive, are deleted first; `GET /v1/erasures` and `rollcall erase --list` say who is due. Without \
         it, nobody is erased unless somebody says so.",
        "\"2y\"",
    ),
    (
        "privacy.legal_basis",
        "What allows that, as it stays on the log; without it `GDPR Art. 5(1)(e)`.",
        "\"GDPR Art. 5(1)(e)\"",
    ),
    (
        "signing_keys.key_env",
        "The environment variable that holds a key that signs checkpoints; the first one's name is that of the log.",
        "\"LOG_KEY\"",
    ),
    (
        "signing_keys.key_file",
        "The file that holds a key that signs checkpoints; the first one's name is that of the log.",
        "\"/run/secrets/log-key\"",
    ),
    ("tiers.*", "A service level with a name of its own, as a table, for the `tier` of apps.", ""),
    (
        "tiers.*.joiner",
        "How soon a joiner's or rehire's account of an app of the tier must be verified; without it 4 hours.",
        "\"1h\"",
    ),
    (
        "tiers.*.mover",
        "How soon a mover's change of an account of an app of the tier must be verified; without it 4 hours.",
        "\"2h\"",
    ),
    (
        "tiers.*.leaver",
        "How soon it must be verified that a leaver's access to an app of the tier is gone; without it 15 minutes.",
        "\"5m\"",
    ),
    (
        "tiers.*.disable",
        "The same for someone whom a person has switched off; without it 5 minutes, or `leaver` where that is shorter.",
        "\"2m\"",
    ),
    ("tiers.*.grant", "How soon what is granted for a time must be verified, and how soon its end.", ""),
    (
        "tiers.*.emergency",
        "The same for a leaver whose source calls it an emergency, at most `leaver`; without it 5 minutes, or \
         `leaver` when that is shorter.",
        "\"1m\"",
    ),
    (
        "tiers.*.at_risk_percent",
        "The share of the time allowed, in percent, after which someone is told; without it 75.",
        "75",
    ),
    (
        "tiers.*.business_hours",
        "The days, hours and time zone in which the clock of joiners and movers runs, never that of leavers; without \
         it always.",
        "\"Mon-Fri 09:00-17:00 Europe/Berlin\"",
    ),
    (
        "apps.id",
        "The id of the app, 1 to 64 of `a-z`, `0-9`, `-` and `_`, which stands in events and should stay; it is \
         required.",
        "\"github\"",
    ),
    ("apps.name", "The name of the app for people; without it the `id`.", "\"GitHub\""),
    (
        "apps.kind",
        "`scim` (the default: Rollcall changes the app and reads it back), `manual` (people change it, what is to be done are tasks of \
         theirs, and what they say is shown as their word) or `list` (the same, and a list of its accounts verifies what they say).",
        "\"manual\"",
    ),
    (
        "apps.list.file",
        "The file with the list of the accounts of an app of kind `list`, as the provisioner sees it: written beside, and renamed when it \
         is whole. When it was written last is when it was taken.",
        "\"/var/lib/lists/legacy.csv\"",
    ),
    (
        "apps.list.url",
        "The address that answers with it, with the app's token where it has one; its `Last-Modified` is when it was taken, without one \
         when it was asked.",
        "\"https://legacy.example.com/export.csv\"",
    ),
    ("apps.list.format", "`csv`, `ndjson` or `json`; without it by the end of its name.", "\"csv\""),
    (
        "apps.list.columns.*",
        "What the list calls what is in the key: `userName` (required), `id` (without it the user name), `active` (without it whoever is \
         listed has access), `groups`, `externalId`, or an attribute that the accounts show. What has no column is not compared.",
        "\"Login\"",
    ),
    (
        "apps.list.inactive",
        "The words in the column `active` that say that an account can't be used: every other word says that it can. Without it `false`, \
         `no`, `0`, `inactive`, `disabled` and `locked` say so, `true`, `yes`, `1`, `active` and `enabled` the opposite, and a list with \
         another word is refused.",
        "[\"suspended\"]",
    ),
    ("apps.list.separator", "What stands between two groups in a column; without it `;`.", "\"|\""),
    (
        "apps.list.max_age",
        "An older list proves nothing, and the app is left alone, with an alert, until there is a newer one.",
        "",
    ),
    (
        "apps.list.written_after",
        "How long after it was taken the list is written, or copied, at most: it proves nothing of what was done since; without it at once.",
        "\"1h\"",
    ),
    (
        "apps.list.max_missing_percent",
        "So many of the accounts of the list before may be missing, in percent; a list that lacks more, and more than one, is refused until \
         somebody syncs the app, and so says that they are gone.",
        "",
    ),
    ("apps.list.max_bytes", "A longer list is refused.", ""),
    (
        "apps.instructions",
        "How people do what is to be done in the app, such as the address of a runbook: tasks show it.",
        "\"https://wiki.example.com/runbooks/wiki-accounts\"",
    ),
    (
        "apps.base_url",
        "The address of the app's SCIM service, up to and without `/Users`; it is required for an app of kind `scim`.",
        "\"https://api.example.com/scim/v2\"",
    ),
    ("apps.owner", "Who answers for the app; alerts name them; it is required.", "\"dev-platform@example.com\""),
    (
        "apps.assign",
        "Who has an account: a SCIM filter over active identities; without it only whoever has a role, or a grant, that gives one.",
        "'active eq true and userType eq \"Employee\"'",
    ),
    (
        "apps.identities",
        "The kinds of identity that may have an account, of `user`, `agent` and `service_account`; without it users.",
        "[\"user\", \"agent\"]",
    ),
    (
        "apps.deprovision",
        "`deactivate` (the default) or `delete`: what happens to the account of a leaver.",
        "\"delete\"",
    ),
    (
        "apps.token_env",
        "The environment variable that holds the bearer token that is sent to the app.",
        "\"GITHUB_SCIM_TOKEN\"",
    ),
    (
        "apps.token_file",
        "The file that holds the bearer token that is sent to the app.",
        "\"/run/secrets/github-scim-token\"",
    ),
    (
        "apps.token",
        "The bearer token that is sent to the app, written in the configuration itself: it works with a warning, and \
         is for tests only.",
        "\"only-for-a-test\"",
    ),
    (
        "apps.tier",
        "The name of the tier of `[tiers]` whose service level the app has; without it the usual service level.",
        "\"critical\"",
    ),
    ("apps.reconcile_every", "How often the whole app is compared.", ""),
    ("apps.max_requests_per_second", "The most requests to the app in a second.", ""),
    ("apps.max_in_flight", "The most requests to the app at once.", ""),
    ("apps.request_timeout", "How long one request to the app may take.", ""),
    (
        "apps.carried_out_within",
        "How long the app may still carry out a change that it has not answered, counted from when it was sent: so long after such a \
         change, or after a restart in the middle of one, nobody is called gone. Without it twice `request_timeout`, and at least 30 \
         seconds.",
        "\"60s\"",
    ),
    ("apps.retry_min", "The shortest pause between tries, from which it grows.", ""),
    ("apps.retry_max", "The longest pause between tries, up to which it grows; tries never end.", ""),
    ("apps.max_scan", "The most accounts that are read one by one when a filter of the app can't be trusted.", ""),
    ("apps.quarantine_after", "How many failures in a row there may be before the app is left alone.", ""),
    ("apps.probe_every", "How often an app that is left alone is asked whether it answers again.", ""),
    ("apps.drill.every", "How often the app is drilled; without it only when a person asks.", "\"7d\""),
    (
        "apps.drill.user_name",
        "The user name of the account that goes through the app in a drill: `{id}` stands for another word each time. Nobody may have \
         such a name; without it `rollcall-drill-{id}@example.com`.",
        "\"rollcall-drill-{id}@example.com\"",
    ),
    (
        "apps.drill.group",
        "The managed group that it enters and leaves; without it the first of `[[apps.entitlements]]` that is not of high or critical risk.",
        "\"Sales EMEA\"",
    ),
    (
        "apps.drill.hours",
        "The days, hours and time zone in which the app is drilled by itself; without it at any time.",
        "\"Mon-Fri 09:00-17:00 Europe/Berlin\"",
    ),
    ("apps.drill.patience", "How long a change may take to show in the app.", ""),
    (
        "apps.adopt",
        "`never`, `own_name` (the default: by the identity's own user name) or `unlinked` (by whatever user name the \
         mapping gives): whether an account that Rollcall has not made is taken over.",
        "\"never\"",
    ),
    (
        "apps.protected",
        "The user names or ids of accounts that are never changed, adopted or reported; without it none.",
        "[\"admin@example.com\"]",
    ),
    (
        "apps.preset",
        "The name of an app that is known from its public documentation (`rollcall apps presets` lists them): settings that hold where \
         this table says nothing.",
        "\"slack\"",
    ),
    (
        "apps.essential",
        "The app's attributes in which a difference keeps an obligation open, as it does in user name, liveness and \
         groups; without it a difference in any other attribute is drift, and no more.",
        "[\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department\"]",
    ),
    (
        "apps.groups_from",
        "The names of the sources whose groups count in `assign` and in `[[apps.groups]]`; without it those of each.",
        "[\"hr\"]",
    ),
    (
        "apps.allow_private_addresses",
        "`true` or `false` (the default): whether the app's host name may stand for an address that is not public.",
        "true",
    ),
    (
        "apps.entitlements.group",
        "The group of the app that it is, as the app names it: Rollcall manages it from then on. Without it, it is the account itself.",
        "\"Admins\"",
    ),
    (
        "apps.entitlements.name",
        "Its name for people; without it the name of the group, or of the app.",
        "\"CRM administrators\"",
    ),
    ("apps.entitlements.owner", "Who answers for it; without it the owner of the app.", "\"sales-ops@example.com\""),
    (
        "apps.entitlements.risk",
        "`low` (the default), `medium`, `high` or `critical`: how much harm it can do in the wrong hands.",
        "\"high\"",
    ),
    ("apps.entitlements.requestable", "`true` or `false` (the default): whether it can be asked for.", "true"),
    (
        "apps.entitlements.max_duration",
        "For how long it can be asked for at most, such as `30d` or `6mo`; without it also without an end.",
        "\"30d\"",
    ),
    (
        "apps.entitlements.approvers",
        "Who may approve it: `manager` (theirs, by the enterprise extension), `owner` (the default) and `group:NAME` (whoever is in \
         that group). Nobody approves what they have asked for, or what they would get.",
        "[\"manager\", \"group:Security\"]",
    ),
    ("apps.entitlements.approvals", "How many different people have to approve it.", ""),
    (
        "policies.folder",
        "The folder whose `.cedar` files are the policies as code; without it there are none.",
        "\"policies\"",
    ),
    ("roles.id", "The id of the role: 1 to 64 of a-z, 0-9, - and _.", "\"sales\""),
    ("roles.name", "Its name for people; without it the id.", "\"Sales\""),
    (
        "roles.members",
        "A SCIM filter over active identities: who has it. Without it only whoever is granted it.",
        "'department eq \"Sales\"'",
    ),
    (
        "roles.groups_from",
        "The names of the sources whose groups count in `members`; without it those of each.",
        "[\"hr\"]",
    ),
    (
        "roles.entitlements",
        "What whoever has it holds: `APP` is an account there, `APP:group:NAME` a group in it, which the app must manage.",
        "[\"crm\", \"crm:group:Sales EMEA\"]",
    ),
    ("roles.owner", "Who answers for it.", "\"sales-ops@example.com\""),
    (
        "roles.risk",
        "`low` (the default), `medium`, `high` or `critical`: how much harm it can do in the wrong hands.",
        "\"high\"",
    ),
    ("roles.requestable", "`true` or `false` (the default): whether it can be asked for.", "true"),
    (
        "roles.max_duration",
        "For how long it can be asked for at most, such as `30d` or `6mo`; without it also without an end.",
        "\"30d\"",
    ),
    (
        "roles.approvers",
        "Who may approve it: `manager` (theirs, by the enterprise extension), `owner` (the default) and `group:NAME` (whoever is in \
         that group). Nobody approves what they have asked for, or what they would get.",
        "[\"manager\", \"group:Security\"]",
    ),
    ("roles.approvals", "How many different people have to approve it.", ""),
    ("separations.id", "The id of the separation of duties: 1 to 64 of a-z, 0-9, - and _.", "\"payments\""),
    ("separations.name", "Its name for people; without it the id.", "\"Paying and signing\""),
    ("separations.owner", "Who answers for it, and for those who violate it.", "\"cfo@example.com\""),
    ("separations.reason", "Why it is there, for people.", "\"nobody pays what they have signed\""),
    (
        "separations.entitlements",
        "The one side: whoever holds something of it must hold nothing of `never_with`.",
        "[\"erp:group:Payers\"]",
    ),
    ("separations.never_with", "The other side.", "[\"erp:group:Signers\"]"),
    (
        "apps.sla.joiner",
        "How soon a joiner's or rehire's account of the app must be verified; without it that of the app's tier, or, \
         without a tier, 4 hours.",
        "\"1h\"",
    ),
    (
        "apps.sla.mover",
        "How soon a mover's change of an account of the app must be verified; without it that of the app's tier, or, \
         without a tier, 4 hours.",
        "\"2h\"",
    ),
    (
        "apps.sla.leaver",
        "How soon it must be verified that a leaver's access to the app is gone; without it that of the app's tier, \
         or, without a tier, 15 minutes.",
        "\"5m\"",
    ),
    (
        "apps.sla.disable",
        "The same for someone whom a person has switched off; without it that of the tier, or `leaver` where that is shorter.",
        "\"2m\"",
    ),
    ("apps.sla.grant", "How soon what is granted for a time must be verified, and how soon its end.", ""),
    (
        "apps.sla.emergency",
        "The same for a leaver whose source calls it an emergency, at most `leaver`; without it that of the tier, or \
         5 minutes, and never more than `leaver`.",
        "\"1m\"",
    ),
    (
        "apps.sla.at_risk_percent",
        "The share of the time allowed, in percent, after which someone is told; without it that of the app's tier, \
         or, without a tier, 75.",
        "75",
    ),
    (
        "apps.sla.business_hours",
        "The days, hours and time zone in which the clock of joiners and movers runs, never that of leavers; without \
         it those of the tier, or always.",
        "\"Mon-Fri 09:00-17:00 Europe/Berlin\"",
    ),
    (
        "apps.attributes.*",
        "The source attribute whose value the app's attribute in the key gets, of several values the primary one; \
         without the table `userName`, `displayName`, `title`, `name` and `emails` are the same as here.",
        "\"emails\"",
    ),
    (
        "apps.attributes.*.attribute",
        "The same, as a key of a table; give one of `attribute`, `constant` and `template`.",
        "\"title\"",
    ),
    (
        "apps.attributes.*.constant",
        "A text, a whole number or a truth value that the app's attribute has for everyone.",
        "\"staff\"",
    ),
    (
        "apps.attributes.*.template",
        "A text in which `{path}` stands for the value of the source attribute at that path.",
        "\"{name.givenName} {name.familyName}\"",
    ),
    (
        "apps.attributes.*.when_empty",
        "`clear` (the default) or `leave`: whether the app's attribute is cleared when there is no value, or may be \
         what the app likes.",
        "\"leave\"",
    ),
    (
        "apps.groups.from",
        "The name of a group here, in any case, whose members are in the app's group `to`; it is required in \
         `[[apps.groups]]`.",
        "\"Engineering\"",
    ),
    (
        "apps.groups.to",
        "The name of the app's group, which Rollcall manages then; it is required in `[[apps.groups]]`.",
        "\"eng\"",
    ),
    (
        "apps.drift.orphan",
        "`report` (the default), `repair` or `adopt`: what is done about a live account that belongs to nobody here.",
        "\"adopt\"",
    ),
    (
        "apps.drift.zombie",
        "`report` or `repair` (the default): what is done about a live account of someone who should have none.",
        "\"report\"",
    ),
    (
        "apps.drift.attribute",
        "`report` or `repair` (the default): what is done about an account that shows other attributes than it should.",
        "\"report\"",
    ),
    (
        "apps.drift.membership",
        "`report` or `repair` (the default): what is done about an account that is in other groups than it should be.",
        "\"report\"",
    ),
    (
        "apps.drift.missing",
        "`report` or `repair` (the default): what is done about an account that should be there and is not.",
        "\"report\"",
    ),
    (
        "apps.drift.duplicate",
        "`report` (the default) or `repair`: what is done about further accounts of someone who should have one.",
        "\"repair\"",
    ),
    (
        "apps.drift.residue",
        "`report` or `repair` (the default): what is done about what is left of an account that nobody can sign in \
         with any more.",
        "\"report\"",
    ),
    ("apps.guard.max_removals", "The most removals by one source in a window; more wait for a person.", ""),
    (
        "apps.guard.max_percent",
        "The most removals by one source in a window, in percent of the app's accounts, which counts above 20 \
         removals; more wait for a person.",
        "",
    ),
    ("apps.guard.window", "The time in which removals are counted together.", ""),
    (
        "apps.capabilities.patch",
        "`true` or `false`: whether the app can PATCH, else PUT is used; without it what the app says.",
        "false",
    ),
    (
        "apps.capabilities.filter",
        "`true` or `false`: whether the app can search by filter, else accounts are read one after the other; \
         without it what the app says.",
        "false",
    ),
    (
        "apps.capabilities.groups",
        "`true` or `false`: whether the app has groups; without it what the app says.",
        "false",
    ),
    (
        "apps.capabilities.deactivate",
        "`true` or `false`: whether accounts have `active`, and with `false` those of leavers are deleted; without \
         it what the app says, which alone deletes nothing.",
        "false",
    ),
    (
        "apps.capabilities.cursor",
        "`true` or `false`: whether the app pages by cursor (RFC 9865), else by index; without it what the app says.",
        "true",
    ),
    (
        "apps.capabilities.page_size",
        "The most resources on a page that is asked for, of which more than 1000 are never asked for; without it \
         what the app says, or 100.",
        "50",
    ),
    (
        "apps.capabilities.patch_capitalized",
        "`true` or `false`: whether the operations of a PATCH must be named `Add`, `Replace` and `Remove`; without it what \
         the app was seen to take.",
        "true",
    ),
    (
        "apps.capabilities.patch_paths",
        "`true` or `false`: whether an operation of a PATCH may name a path, else its value is an object of attributes; \
         without it what the app was seen to take.",
        "false",
    ),
    (
        "apps.capabilities.patch_many",
        "`true` or `false`: whether a PATCH may have more than one operation; without it what the app was seen to take.",
        "false",
    ),
    (
        "apps.capabilities.members_shown",
        "`true` or `false`: whether a group shows its members, else it is asked by filter who is in it \
         (`id eq \"…\" and members eq \"…\"`); without it what the app was seen to do.",
        "false",
    ),
    (
        "apps.capabilities.removal_by_value",
        "`true` or `false`: whether members are removed by a list in `value` and not by a path, which an app that keeps to RFC 7644 \
         takes as the removal of everybody. Without it that is tried only where every other way was confirmed without effect, and \
         who must stay is put back where it was wrong; `false` never tries it.",
        "true",
    ),
    (
        "apps.capabilities.invites",
        "`true` or `false` (the default): whether the app invites people, and shows a new account inactive until they accept: its joiner is \
         done and stands as `invited`, and its leaver is gone only when the invitation was withdrawn, by DELETE.",
        "true",
    ),
    (
        "apps.capabilities.members_per_request",
        "The most group members that one request to the app names: those who must stay in a group are sent in so many at once.",
        "100",
    ),
    (
        "apps.capabilities.required",
        "The attributes without which the app creates no account; without it what the app says.",
        "[\"emails\"]",
    ),
    (
        "apps.capabilities.keeps.*",
        "What the app makes of the attribute in the key: `as sent`, `not in its schema`, `not kept`, `trimmed`, \
         `cut at N`, `other case`, `other format` or `own value`; what it shows in that way is no drift. Without it what the \
         app was seen to do. Of what gives access only `userName` can be named: the app makes user names of its own, or of ours.",
        "\"not kept\"",
    ),
    (
        "apps.capabilities.consistency_delay",
        "How long a change may take until the app shows it; without it about two seconds are allowed for.",
        "\"30s\"",
    ),
    (
        "alerting.escalate_after",
        "How long something is overdue when it is said again, with more weight each time, in growing order; without \
         it after 1, 4 and 24 hours.",
        "[\"1h\", \"4h\", \"1d\"]",
    ),
    (
        "alerting.patience",
        "How long the log may be away, the monitor may lag, or a sink may fail, before someone is told.",
        "",
    ),
    (
        "alerting.remind_before",
        "How long before a grant ends people are reminded; one that is shorter than ten times that, at the last tenth of it. `0s`: never.",
        "",
    ),
    ("alerting.far_ahead", "How far ahead a change may be dated before someone is told.", ""),
    (
        "alerting.max_lag_events",
        "How many events the monitor may lag behind the log before that counts as lagging.",
        "",
    ),
    (
        "alerts.kind",
        "`webhook` (CloudEvents 1.0 in JSON), `alertmanager` (API v2), `pagerduty` (Events API v2), `slack` or `mail`: \
         how the receiver is spoken to; it is required.",
        "\"webhook\"",
    ),
    (
        "alerts.name",
        "The name of the receiver, by which it is known what it was told; without it its kind and its place in the list, counted from 0, such as \
         `slack-0`: where there are several, name each, or another before it takes what it was told for its own.",
        "\"oncall\"",
    ),
    (
        "alerts.url",
        "The address of the receiver; without it, for `pagerduty`, that of PagerDuty itself, and for others \
         `url_env` or `url_file` is needed. For `mail`, the server: `smtps://mail.example.com`, or `smtp://` with STARTTLS.",
        "\"http://alertmanager:9093\"",
    ),
    (
        "alerts.url_env",
        "The environment variable that holds the address of the receiver, where that is a secret.",
        "\"SLACK_WEBHOOK\"",
    ),
    (
        "alerts.url_file",
        "The file that holds the address of the receiver, where that is a secret.",
        "\"/run/secrets/slack-webhook\"",
    ),
    (
        "alerts.token_env",
        "The environment variable that holds the bearer token for a `webhook` or `alertmanager`, or the routing key \
         that `pagerduty` needs.",
        "\"PAGERDUTY_KEY\"",
    ),
    (
        "alerts.token_file",
        "The file that holds the bearer token for a `webhook` or `alertmanager`, or the routing key that `pagerduty` \
         needs.",
        "\"/run/secrets/pagerduty-key\"",
    ),
    (
        "alerts.token",
        "The bearer token for a `webhook` or `alertmanager`, or the routing key that `pagerduty` needs, written in \
         the configuration itself: it works with a warning, and is for tests only.",
        "\"only-for-a-test\"",
    ),
    (
        "alerts.signing_secret_env",
        "The environment variable that holds the secret that messages to a `webhook` are signed with.",
        "\"HOOK_SECRET\"",
    ),
    (
        "alerts.signing_secret_file",
        "The file that holds the secret that messages to a `webhook` are signed with.",
        "\"/run/secrets/hook-secret\"",
    ),
    (
        "alerts.signing_secret",
        "The secret that messages to a `webhook` are signed with, written in the configuration itself: it works with \
         a warning, and is for tests only.",
        "\"only-for-a-test\"",
    ),
    (
        "alerts.tells",
        "What it is told: `alerts`, what is wrong (the default); `tasks`, what people have to do in apps that Rollcall does not \
         change itself, one by one.",
        "[\"tasks\"]",
    ),
    (
        "alerts.encryption",
        "For `mail`: `tls` (the default of smtps://), `starttls` (that of smtp://; without it nothing is sent), or `none`, with a warning.",
        "\"starttls\"",
    ),
    ("alerts.user", "For `mail`: who signs in at the server, where it asks for that.", "\"rollcall\""),
    ("alerts.password_env", "The environment variable that holds the password of `user`.", "\"MAIL_PASSWORD\""),
    ("alerts.password_file", "The file that holds the password of `user`.", "\"/run/secrets/mail-password\""),
    (
        "alerts.password",
        "The password of `user`, written in the configuration itself: it works with a warning, and is for tests only.",
        "\"only-for-a-test\"",
    ),
    (
        "alerts.from",
        "For `mail`, and required there: the address that it comes from.",
        "\"Rollcall <rollcall@example.com>\"",
    ),
    (
        "alerts.to",
        "For `mail`, and required there: who gets it. A task goes to who answers for the app, and here only where no address of \
         theirs is known.",
        "[\"iam@example.com\"]",
    ),
    (
        "tasks.link_key_env",
        "The environment variable that holds what links are signed with by which a task is said to be done without signing in, 32 \
         characters at least; without it there are no such links.",
        "\"TASK_LINK_KEY\"",
    ),
    ("tasks.link_key_file", "The file that holds what such links are signed with.", "\"/run/secrets/task-link-key\""),
    (
        "tasks.link_key",
        "What such links are signed with, written in the configuration itself: it works with a warning, and is for tests only.",
        "\"only-for-a-test-only-for-a-test!\"",
    ),
    ("tasks.links_last", "How long such a link can be used.", ""),
];
