//! One parameter of AWS Systems Manager: where publishers of images say which one is current. One call of one service,
//! signed here: the service's SDK would add a minute to every build.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use wharf_driver::{Error, Kind, Result};

use crate::client::Connection;
use crate::errors::{Fault, SIGN_IN};

const SERVICE: &str = "ssm";
const API: &str = "GetParameter";

/// The value of the parameter `name`; `None` when there is none.
pub(crate) async fn parameter(connection: &Connection, name: &str) -> Result<Option<String>> {
    let request = signed(connection, &json!({ "Name": name }).to_string()).await?;
    let answer = connection.connector.call(request).await.map_err(|error| {
        Error::new(Kind::Unreachable, format!("ssm cannot be reached for {API}: {error}"))
            .hint("check the region or --aws-endpoint-url; --aws-ami ID needs no such call")
            .caused_by(error)
    })?;
    let status = answer.status().as_u16();
    let request = answer.headers().get("x-amzn-requestid").map(str::to_owned);
    let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body()).collect().await;
    let body = body.map_err(|error| Error::new(Kind::Transient, format!("{API} was cut off: {error}")))?;
    let body: Value = serde_json::from_slice(&body.into_bytes()).unwrap_or(Value::Null);
    if status == 200 {
        return Ok(body["Parameter"]["Value"].as_str().map(str::to_owned));
    }
    let code = body["__type"].as_str().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    if code == "ParameterNotFound" {
        return Ok(None);
    }
    let said = body["message"].as_str().or_else(|| body["Message"].as_str());
    let message = said.unwrap_or("it does not say why").to_owned();
    Err(Fault { api: API, service: SERVICE, status, code, message, request }.into_error())
}

async fn signed(connection: &Connection, body: &str) -> Result<HttpRequest> {
    let failed =
        |error: &dyn std::fmt::Display| Error::new(Kind::Failed, format!("cannot sign {API}: {error}"));
    let credentials = connection.credentials.provide_credentials().await.map_err(|error| {
        Error::new(Kind::NotAllowed, format!("no credentials for AWS: {error}"))
            .hint(SIGN_IN)
            .caused_by(error)
    })?;
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&connection.region)
        .name(SERVICE)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let url = url(connection);
    let headers =
        [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")];
    let signable =
        SignableRequest::new("POST", url.as_str(), headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
            .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
    let mut request = http::Request::builder().method("POST").uri(&url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(SdkBody::from(body)).map_err(|error| failed(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    HttpRequest::try_from(request).map_err(|error| failed(&error))
}

/// Where the service answers.
fn url(connection: &Connection) -> String {
    if let Some(endpoint) = &connection.endpoint {
        return format!("{}/", endpoint.trim_end_matches('/'));
    }
    let suffix = match connection.partition.as_str() {
        "aws-cn" => "amazonaws.com.cn",
        "aws-iso" => "c2s.ic.gov",
        "aws-iso-b" => "sc2s.sgov.gov",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("https://ssm.{}.{suffix}/", connection.region)
}
