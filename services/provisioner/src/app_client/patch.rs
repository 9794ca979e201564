//! Asking for a PATCH in the form that an app takes.

use reqwest::StatusCode;
use rollcall_domain::app::capability::Capabilities;

use crate::app_client::client::{Answer, Endpoint, Failure, ScimClient};
use crate::app_client::patch_form::{Operation, PatchForm};

/// Asks for some operations, in the form that the app takes; one that refuses all of them is asked in other forms until it has
/// taken one. The answer is the first that is no success, else the last.
///
/// # Errors
/// When the app can't be reached.
pub async fn send(
    client: &ScimClient,
    can: &Capabilities,
    kind: Endpoint,
    id: &str,
    operations: &[Operation],
) -> Result<Answer, Failure> {
    let usual = client.experience.form(can);
    let refused = send_as(client, kind, id, usual, operations).await?;
    if refused.status != StatusCode::BAD_REQUEST || !client.experience.may_try() {
        if refused.status.is_success() {
            client.experience.took(usual);
        }
        return Ok(refused);
    }
    for form in usual.others() {
        let answer = send_as(client, kind, id, form, operations).await?;
        if answer.status.is_success() {
            client.experience.took(form);
            return Ok(answer);
        }
        if answer.status != StatusCode::BAD_REQUEST {
            return Ok(answer);
        }
    }
    Ok(refused)
}

async fn send_as(
    client: &ScimClient,
    kind: Endpoint,
    id: &str,
    form: PatchForm,
    operations: &[Operation],
) -> Result<Answer, Failure> {
    let mut requests = form.requests(operations).into_iter();
    let first = requests.next().unwrap_or_default();
    let mut answer = client.patch(kind, id, &first).await?;
    for request in requests {
        if !answer.status.is_success() {
            break;
        }
        answer = client.patch(kind, id, &request).await?;
    }
    Ok(answer)
}
