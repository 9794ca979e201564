//! What there is to see afterwards.

use std::collections::BTreeMap;
use std::path::Path;

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

/// Whether it gets better: the figures of this week, by app.
pub async fn trends(rollcall: &Rollcall) -> anyhow::Result<()> {
    println!("\nWhether it gets better: this week, by app (rollcall trends --by app):");
    println!(
        "  {:<6} {:>8} {:>11} {:>12} {:>8} {:>6} {:>6}",
        "app", "verified", "half within", "nine of ten", "in time", "tasks", "drift"
    );
    let last = |metric: &'static str| async move {
        let groups = rollcall.items(&format!("/v1/trends?metric={metric}&group_by=app")).await?;
        let point =
            |group: &Value| Some((text(group, "group").to_owned(), group.get("points")?.as_array()?.last()?.clone()));
        anyhow::Ok(groups.iter().filter_map(point).collect::<BTreeMap<String, Value>>())
    };
    let (access, beside) = (last("change_to_access").await?, last("work_and_drift").await?);
    for (app, point) in &access {
        let number = |point: &Value, name: &str| point.get(name).and_then(Value::as_f64);
        let seconds = |name: &str| number(point, name).map_or_else(|| "-".to_owned(), |value| format!("{value:.3} s"));
        let share =
            number(point, "within_service_level").map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
        let count =
            |point: Option<&Value>, name: &str| point.and_then(|point| point.get(name)?.as_u64()).unwrap_or_default();
        let others = beside.get(app);
        println!(
            "  {app:<6} {:>8} {:>11} {:>12} {share:>8} {:>6} {:>6}",
            count(Some(point), "count"),
            seconds("p50_seconds"),
            seconds("p90_seconds"),
            count(others, "count"),
            count(others, "open")
        );
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
    println!("  {address}/console/trends   whether it gets better, with pictures");
    println!("  {address}/docs   every path of the API");
    println!("  curl {address}/metrics");
}
