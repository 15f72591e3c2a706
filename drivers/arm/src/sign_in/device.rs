//! A person at a terminal signs in with a browser somewhere else: we show a code and wait until it was typed in.

use std::time::Duration;

use serde_json::Value;
use wharf_driver::{Error, Kind, Result};

use super::token::{self, Token};
use super::{Identity, SignIn};
use crate::http::{Raw, send};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const USUAL_PAUSE: u64 = 5;
const USUAL_LIFE: u64 = 900;

pub(super) async fn token(sign_in: &SignIn, client: &str) -> Result<Token> {
    if !sign_in.session.has_person() {
        return Err(Error::new(
            Kind::NotAllowed,
            "nobody is there to sign in with a code: this is no terminal",
        )
        .hint("use `az login`, or set AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"));
    }
    let (name, audience) = sign_in.audience();
    let form = [("client_id", client), (name, &audience)];
    let request = sign_in.http.client.post(sign_in.endpoint("devicecode")?).form(&form);
    let raw = send("asking for a code to sign in with", request).await?;
    let code = raw.json();
    let Some(device_code) = code["device_code"].as_str().filter(|_| raw.is_success()) else {
        return token::read(&raw, "a device code", sign_in.clock());
    };
    let told = code["message"].as_str().map_or_else(|| sentence(&code), str::to_owned);
    let _ = sign_in.session.tell(&told);
    wait(sign_in, client, device_code, &code).await
}

async fn wait(sign_in: &SignIn, client: &str, device_code: &str, code: &Value) -> Result<Token> {
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
            _ => return token::read(&raw, "device code", clock),
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
