//! Whoever `az login` signed in. The program is asked; its files are its own.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tokio::process::Command;
use wharf_driver::{Clock, Error, Kind, Result, Secret};

use super::token::Token;
use crate::discovery::{Cloud, Identity};

/// When `az` does not say: its tokens live for an hour at least.
const USUAL_LIFE: Duration = Duration::from_secs(1800);

pub(super) async fn token(
    program: &Path,
    cloud: &Cloud,
    tenant: Option<&str>,
    clock: &dyn Clock,
) -> Result<Token> {
    let mut command = Command::new(program);
    command.args(["account", "get-access-token", "--output", "json", "--resource", &cloud.audience]);
    if let Some(tenant) = tenant.filter(|_| cloud.identity == Identity::Entra) {
        command.args(["--tenant", tenant]);
    }
    let output = command.kill_on_drop(true).stdin(std::process::Stdio::null()).output().await;
    let output = output.map_err(|error| {
        Error::new(Kind::NotAllowed, format!("cannot run `{}`: {error}", program.display()))
            .hint("install the Azure CLI and `az login`, or set AZURE_CLIENT_ID and AZURE_CLIENT_SECRET")
            .caused_by(error)
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
        let message = format!("`az account get-access-token` failed: {}", said.trim_start_matches("ERROR: "));
        return Err(Error::new(Kind::NotAllowed, message)
            .hint("run `az login`; for a stamp, `az cloud set` to it before"));
    }
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let Some(secret) = answer["accessToken"].as_str() else {
        return Err(Error::new(Kind::NotAllowed, "`az account get-access-token` printed no token"));
    };
    // Seconds since 1970 in newer releases; the local time beside it is of no zone.
    let left = answer["expires_on"].as_u64().and_then(|end| {
        Duration::from_secs(end).checked_sub(clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default())
    });
    Ok(Token { secret: Secret::new(secret.to_owned()), until: clock.now() + left.unwrap_or(USUAL_LIFE) })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use wharf_driver::SystemClock;

    use super::*;

    fn cloud() -> Cloud {
        Cloud {
            endpoint: "https://management.azure.com".to_owned(),
            name: None,
            login: "https://login.microsoftonline.com".to_owned(),
            identity: Identity::Entra,
            audience: "https://management.core.windows.net/".to_owned(),
            tenant: None,
            location: None,
            suffix: "azure.com".to_owned(),
        }
    }

    /// A program that answers as `az` does.
    fn az(folder: &tempfile::TempDir, script: &str) -> PathBuf {
        let path = folder.path().join("az");
        wharf_testkit::script(&path, &format!("#!/bin/sh\n{script}\n")).unwrap();
        path
    }

    #[tokio::test]
    async fn the_program_is_asked_for_exactly_this_audience_and_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let script = r#"[ "$*" = "account get-access-token --output json --resource https://management.core.windows.net/ --tenant t1" ] || exit 9
echo '{"accessToken": "tok", "expires_on": 4102444800, "expiresOn": "2100-01-01 01:00:00.000000"}'"#;
        let clock = SystemClock::new();
        let token = token(&az(&folder, script), &cloud(), Some("t1"), &clock).await.unwrap();
        assert_eq!(token.secret.expose(), "tok");
        assert!(token.until > clock.now() + Duration::from_secs(86_400));
    }

    #[tokio::test]
    async fn not_being_signed_in_is_said_in_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let program = az(&folder, "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
        let error = token(&program, &cloud(), None, &SystemClock::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotAllowed);
        assert_eq!(
            error.to_string(),
            "`az account get-access-token` failed: Please run 'az login' to setup account."
        );
        let missing = token(Path::new("/nowhere/az"), &cloud(), None, &SystemClock::new()).await.unwrap_err();
        assert!(missing.to_string().starts_with("cannot run `/nowhere/az`"), "{missing}");
    }
}
