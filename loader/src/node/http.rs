//! HTTP with bounds: an answer has a greatest length, whatever it is packed in, and no redirect is followed.

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;
use url::Url;

/// Bytes of a failure's body that are kept for the message.
const FAILURE_BYTES: usize = 1 << 10;

/// A transport over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    url: Url,
    answer_bytes_max: usize,
}

impl Http {
    /// Opens no connection yet. Errors: no roots of trust, or another fault of this machine.
    pub fn new(url: Url, timeout: Duration, answer_bytes_max: usize) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(20)))
            .timeout(timeout)
            .build()
            .map_err(|e| reason(e.without_url()))?;
        Ok(Self { client, url, answer_bytes_max })
    }

    async fn send(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let request = self.client.post(self.url).header(CONTENT_TYPE, "application/json").body(body);
        let failed = |e: reqwest::Error| TransportErrorKind::custom_str(&reason(e.without_url()));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let most = if status.is_success() { self.answer_bytes_max } else { FAILURE_BYTES };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > most {
                if status.is_success() {
                    return Err(TransportErrorKind::non_retryable_str(&format!("got more than {most} bytes")));
                }
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&bytes);
        if status.is_redirection() {
            return Err(TransportErrorKind::non_retryable_str(&format!(
                "got HTTP {status}, a redirect: name the address that it leads to"
            )));
        }
        if !status.is_success() {
            let after = retry_after.map(Duration::from_secs);
            return Err(TransportErrorKind::http_error_with_retry_after(status.as_u16(), text.into_owned(), after));
        }
        serde_json::from_slice(&bytes).map_err(|e| TransportError::deser_err(e, text))
    }
}

/// An error with what lies below it, which says more than its own words do.
fn reason(error: reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(below) = next {
        let text = below.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        next = below.source();
    }
    words
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Nothing is held back here: whoever asks bounds what is under way.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}
