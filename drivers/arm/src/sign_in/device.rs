//! A person at a terminal signs in with a browser somewhere else: we show a code and wait until it was typed in. What
//! comes with the token renews it for the next weeks, without anybody; it is remembered from one command to the next.

use std::time::Duration;

use serde_json::Value;
use wharf_driver::{Error, Kind, Result, Secret};

use super::token::{self, Token};
use super::{Identity, SignIn};
use crate::http::{Raw, send};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const USUAL_PAUSE: u64 = 5;
const USUAL_LIFE: u64 = 900;

pub(super) async fn token(sign_in: &SignIn, client: &str) -> Result<Token> {
    let name = format!("{} {}", sign_in.endpoint("token")?, client);
    let (memory, clock) = (sign_in.session.memory(), sign_in.clock());
    if let Some(renewal) = memory.recall(&name).await {
        let raw = renew(sign_in, client, &renewal).await?;
        match token::read(&raw, "what was signed in with before", clock) {
            Ok(token) => {
                remember(sign_in, &name, &raw).await;
                return Ok(token);
            }
            Err(error) if error.kind().retryable() => return Err(error),
            // It has ended, or was taken back.
            Err(error) => {
                tracing::debug!(%error, "the earlier sign-in is over");
                memory.keep(&name, None).await;
            }
        }
    }
    let raw = ask(sign_in, client).await?;
    let token = token::read(&raw, "device code", clock)?;
    remember(sign_in, &name, &raw).await;
    Ok(token)
}

/// A new token for what came with an earlier one.
async fn renew(sign_in: &SignIn, client: &str, renewal: &Secret<String>) -> Result<Raw> {
    let (name, wanted) = wanted(sign_in);
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("refresh_token", renewal.expose()),
        (name, &wanted),
    ];
    let request = sign_in.http.client.post(sign_in.endpoint("token")?).form(&form);
    send("renewing the sign-in", request).await
}

/// Remembers what renews this token; an answer without it leaves the earlier one good.
async fn remember(sign_in: &SignIn, name: &str, raw: &Raw) {
    if let Some(renewal) = raw.json()["refresh_token"].as_str() {
        sign_in.session.memory().keep(name, Some(&Secret::new(renewal.to_owned()))).await;
    }
}

/// What is asked for: a token for Resource Manager, and where it must be asked for, something that renews it.
fn wanted(sign_in: &SignIn) -> (&'static str, String) {
    let (name, audience) = sign_in.audience();
    match sign_in.cloud.identity {
        Identity::Entra => (name, format!("{audience} offline_access")),
        Identity::AdFs => (name, audience),
    }
}

/// Shows a code and waits for the answer that it leads to.
async fn ask(sign_in: &SignIn, client: &str) -> Result<Raw> {
    if !sign_in.session.has_person() {
        return Err(Error::new(
            Kind::NotAllowed,
            "nobody is there to sign in with a code: this is no terminal",
        )
        .hint("use `az login`, or set AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"));
    }
    let (name, wanted) = wanted(sign_in);
    let form = [("client_id", client), (name, &wanted)];
    let request = sign_in.http.client.post(sign_in.endpoint("devicecode")?).form(&form);
    let raw = send("asking for a code to sign in with", request).await?;
    let code = raw.json();
    let Some(device_code) = code["device_code"].as_str().filter(|_| raw.is_success()) else {
        return Ok(raw);
    };
    let told = code["message"].as_str().map_or_else(|| sentence(&code), str::to_owned);
    let _ = sign_in.session.tell(&told);
    wait(sign_in, client, device_code, &code).await
}

async fn wait(sign_in: &SignIn, client: &str, device_code: &str, code: &Value) -> Result<Raw> {
    let clock = sign_in.clock();
    let mut pause = Duration::from_secs(code["interval"].as_u64().unwrap_or(USUAL_PAUSE));
    let until = clock.now() + Duration::from_secs(code["expires_in"].as_u64().unwrap_or(USUAL_LIFE));
    let (_, audience) = sign_in.audience();
    loop {
        clock.sleep(pause).await;
        if clock.now() > until {
            return Err(Error::new(Kind::NotAllowed, "the code to sign in with was not typed in in time")
                .hint("run the command again for a new code"));
        }
        let mut form = vec![("grant_type", GRANT), ("client_id", client), ("device_code", device_code)];
        if sign_in.cloud.identity == Identity::AdFs {
            form.push(("resource", &audience));
        }
        let request = sign_in.http.client.post(sign_in.endpoint("token")?).form(&form);
        let raw = send("signing in by device code", request).await?;
        match waiting(&raw).as_deref() {
            Some("authorization_pending") => {}
            Some("slow_down") => pause += Duration::from_secs(5),
            _ => return Ok(raw),
        }
    }
}

fn waiting(raw: &Raw) -> Option<String> {
    raw.json()["error"].as_str().map(str::to_owned)
}

fn sentence(code: &Value) -> String {
    let part = |name: &str| code[name].as_str().unwrap_or_default().to_owned();
    let place = [part("verification_uri"), part("verification_url")].concat();
    format!("To sign in, open {place} in a browser and enter the code {}.", part("user_code"))
}
