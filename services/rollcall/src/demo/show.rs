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
        if let (Some(opened), Some(verified)) = (time("opened_at"), time("verified_at")) {
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
    println!("  curl -H \"Authorization: Bearer $token\" {}/v1/identities/{}", rollcall.address, person.id);
    println!("  curl -H \"Authorization: Bearer $token\" {}/v1/leavers", rollcall.address);
    println!("  {}/console/identities/{}   the console: sign in with that token", rollcall.address, person.id);
    println!("  {}/docs   every path of the API", rollcall.address);
    println!("  curl {}/metrics", rollcall.address);
    println!("  logs: {}", folder.display());
}
