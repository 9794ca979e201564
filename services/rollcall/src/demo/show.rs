//! What there is to see afterwards.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use super::play::Person;
use super::rollcall::Rollcall;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The timeline of one person, oldest first.
pub async fn timeline(rollcall: &Rollcall, person: &Person) -> anyhow::Result<()> {
    println!("\nThe audit timeline of {}:", person.user_name);
    let mut items = rollcall.items(&format!("/v1/identities/{}/timeline", person.id)).await?;
    items.reverse();
    for item in &items {
        let at = text(item, "recorded_at").get(11..23).unwrap_or_default();
        let sequence = item.get("sequence").and_then(Value::as_u64).unwrap_or_default();
        println!("  {sequence:>4}  {at}  {:<19} {}", text(item, "type"), text(item, "summary"));
    }
    Ok(())
}

/// Change-to-access latency by app and kind of change, from the obligations themselves.
pub async fn latencies(rollcall: &Rollcall) -> anyhow::Result<()> {
    let mut measured: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for obligation in rollcall.items("/v1/obligations?status=verified").await? {
        let time = |name: &str| text(&obligation, name).parse::<Timestamp>().ok();
        // What is in no app, such as a hand-over, takes as long as people do.
        let is_access = obligation.get("app").is_some_and(Value::is_string);
        if let (Some(opened), Some(verified), true) = (time("opened_at"), time("verified_at"), is_access) {
            let key = (text(&obligation, "app").to_owned(), text(&obligation, "change").to_owned());
            measured.entry(key).or_default().push(verified.duration_since(opened).as_secs_f64());
        }
    }
    println!("\nFrom change to verified access, in seconds:");
    println!("  {:<6} {:<7} {:>5} {:>9} {:>9}", "app", "change", "count", "median", "slowest");
    for ((app, change), mut seconds) in measured {
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
        let slowest = seconds.last().copied().unwrap_or_default();
        println!("  {app:<6} {change:<7} {:>5} {median:>9.3} {slowest:>9.3}", seconds.len());
    }
    Ok(())
}

/// Addresses to try by hand.
pub fn where_to_look(rollcall: &Rollcall, person: &Person, folder: &Path) {
    println!("\nLook yourself:");
    println!("  token={}", rollcall.api_token);
    addresses(&rollcall.address, person);
    println!("  logs: {}", folder.display());
}

/// The same of a deployment; its token is a secret of whoever runs it, and this is in a log.
pub fn where_to_look_from_outside(person: &Person) {
    println!("\nLook yourself, from where you started it:");
    println!("  token=$(docker compose run --rm setup setup --dir=/run/rollcall --show=api-token)");
    addresses("http://127.0.0.1:8080", person);
    println!(
        "And see what happens when an app is down: docker compose pause crm; let someone in Sales leave over SCIM; wait a"
    );
    println!("minute: /v1/leavers?status=overdue; docker compose unpause crm: verified gone.");
}

fn addresses(address: &str, person: &Person) {
    println!("  curl -H \"Authorization: Bearer $token\" {address}/v1/identities/{}", person.id);
    println!("  curl -H \"Authorization: Bearer $token\" {address}/v1/leavers");
    println!("  {address}/console/identities/{}   the console: sign in with that token", person.id);
    println!("  {address}/docs   every path of the API");
    println!("  curl {address}/metrics");
}
