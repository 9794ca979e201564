//! Reading an answer that comes from outside.

/// The body of an answer, at most `most` bytes of it.
///
/// # Errors
/// When it breaks off, or is larger.
pub async fn bounded(mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| e.to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            return Err(format!("{} answered more than {most} bytes", answer.url()));
        }
    }
    Ok(body)
}
