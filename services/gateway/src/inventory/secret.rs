//! What looks like the secret of a credential, and must never be stored.

/// The beginnings of secrets that their makers have given such a beginning so that they are found where they must not be, each with what
/// begins so.
const BEGINNINGS: &[(&str, &str)] = &[
    ("-----BEGIN", "a private key"),
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghu_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("ghr_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("hvs.", "a Vault token"),
    ("hvb.", "a Vault token"),
    ("hvr.", "a Vault token"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("xoxa-", "a Slack token"),
    ("xapp-", "a Slack token"),
    ("sk_live_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("npm_", "an npm token"),
    ("pypi-", "a PyPI token"),
    ("AIza", "a Google API key"),
    ("ya29.", "a Google token"),
    ("eyJ", "a JSON Web Token"),
    ("Bearer ", "a bearer token"),
    ("AGE-SECRET-KEY-", "an age key"),
];

/// From which length on a text without a word in it is taken for a secret.
const LONG: usize = 40;

/// What a text looks like when it looks like a secret. Ids, accessors and fingerprints don't: those are short, hexadecimal, or say
/// themselves what they are (`SHA256:…`).
pub fn looks_like(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let is_long = |rest: &str| rest.len() >= 6 && !rest.chars().any(char::is_whitespace);
    let has_digits = |rest: &str| rest.chars().any(|c| c.is_ascii_digit());
    let begins = |(begins, _): &&(&str, &str)| {
        let is_plain = begins.ends_with(' ') || begins.starts_with('-');
        text.strip_prefix(begins).is_some_and(|rest| is_plain || (is_long(rest) && has_digits(rest)))
    };
    if let Some((_, what)) = BEGINNINGS.iter().find(begins) {
        return Some(what);
    }
    // Vault's tokens of before 1.10.
    if text.strip_prefix("s.").is_some_and(|rest| rest.len() == 24 && rest.chars().all(|c| c.is_ascii_alphanumeric())) {
        return Some("a Vault token");
    }
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let has = |such: fn(&char) -> bool| text.chars().any(|c| such(&c));
    let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
    (text.len() >= LONG && text.chars().all(base64) && is_mixed).then_some("a secret of no known kind")
}

#[cfg(test)]
mod tests {
    use super::looks_like;

    #[test]
    fn secrets_are_told_from_ids() {
        let secret = [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "hvs.CAESIJlWh5Q",
            "s.iyNUhq8Ov4hIAx6snw5mB2nL",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ];
        let id = [
            "AKIAIOSFODNN7EXAMPLE",
            "8609694a-cdbc-db9b-d345-e782dbb562ed",
            "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
            "arn:aws:iam::123456789012:user/ada/access_key_1",
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "svc-reports",
            "npm_publish",
            "pypi-uploader",
            "deploy token of the website, 2026",
        ];
        assert!(secret.iter().all(|text| looks_like(text).is_some()), "{secret:?}");
        let taken: Vec<_> = id.iter().filter(|text| looks_like(text).is_some()).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }
}
