//! Failures as clients read them: a status, and a body with one field, `message`.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use wharfd_api_types::ErrorMessage;

use crate::engine::error::{Error, Kind};

pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// An engine's error on its way out. Handlers return it through `?`.
#[derive(Debug)]
pub(crate) struct Refusal(Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self(Error::invalid(rejection.body_text()))
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self(Error::invalid(rejection.body_text()))
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self(Error::invalid(rejection.body_text()))
    }
}

const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotModified => StatusCode::NOT_MODIFIED,
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = status(self.0.kind());
        if status == StatusCode::NOT_MODIFIED {
            return status.into_response();
        }
        if status.is_server_error() {
            tracing::warn!(error = &self.0 as &dyn std::error::Error, "refused");
        }
        (status, Json(ErrorMessage { message: self.0.to_string() })).into_response()
    }
}
