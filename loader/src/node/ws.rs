//! WebSockets with bounds: an answer has a greatest length, and a peer that hangs up again and again without an answer is
//! called back less and less often.

use alloy_pubsub::{ConnectionHandle, PubSubConnect};
use alloy_rpc_client::WsConnect;
use alloy_transport::TransportResult;
use alloy_transport_ws::WebSocketConfig;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// Connects, and connects again after a wait.
pub(super) struct Patient {
    connect: WsConnect,
    waits: (Duration, Duration),
    /// Whether something was answered since the connection was made.
    answered: Arc<AtomicBool>,
    /// How many connections in a row were of no use.
    useless: Mutex<u32>,
}

impl Patient {
    /// `waits`: the first and the longest. `answered` is set by whoever gets an answer.
    pub fn new(
        url: Url,
        attempts: u32,
        waits: (Duration, Duration),
        answer_bytes_max: usize,
        answered: Arc<AtomicBool>,
    ) -> Self {
        let config =
            WebSocketConfig::default().max_message_size(Some(answer_bytes_max)).max_frame_size(Some(answer_bytes_max));
        let connect = WsConnect::new(url).with_max_retries(attempts).with_retry_interval(waits.0).with_config(config);
        Self { connect, waits, answered, useless: Mutex::new(0) }
    }

    /// The wait before the next connection: none after one that was of use, else twice the last.
    fn wait(&self) -> Duration {
        let (first, longest) = self.waits;
        let mut useless = self.useless.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *useless = if self.answered.swap(false, Relaxed) { 0 } else { useless.saturating_add(1) };
        match *useless {
            0 => Duration::ZERO,
            count => first.saturating_mul(1 << (count - 1).min(16)).min(longest),
        }
    }
}

impl PubSubConnect for Patient {
    fn is_local(&self) -> bool {
        self.connect.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        self.connect.connect().await
    }

    async fn try_reconnect(&self) -> TransportResult<ConnectionHandle> {
        tokio::time::sleep(self.wait()).await;
        self.connect.connect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_hangs_up_is_called_less_and_less_often() {
        let url = Url::parse("ws://127.0.0.1:9").expect("a URL");
        let answered = Arc::new(AtomicBool::new(true));
        let waits = (Duration::from_millis(250), Duration::from_secs(2));
        let patient = Patient::new(url, 3, waits, 1 << 20, answered.clone());
        let waits: Vec<u128> = (0..6).map(|_| patient.wait().as_millis()).collect();
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 2000]);
        answered.store(true, Relaxed);
        assert_eq!(patient.wait(), Duration::ZERO);
        assert_eq!(patient.wait(), Duration::from_millis(250));
    }
}
