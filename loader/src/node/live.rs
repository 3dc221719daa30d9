//! A node over http, https, ws or wss: batches, several at a time, with retries.
//!
//! A request is made again, after a wait that doubles and is drawn at random up to its bound, where another try may
//! help: no connection, no answer in time, HTTP 408, 425, 429 and 5xx, limits of rate by whatever code a provider has
//! for them, an answer that is cut off. Who is asked to wait by one answer waits with all requests. A batch that the
//! node refuses as a whole, or whose answer is too long, is halved.

use super::http::Http;
use super::ws::Patient;
use super::{Answer, Call, Node, Traffic};
use crate::error::{Error, Result};
use alloy_json_rpc::{ErrorPayload, RpcError};
use alloy_rpc_client::RpcClient;
use alloy_transport::{TransportError, TransportErrorKind};
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use url::Url;

/// Bounds on what a node may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Requests under way at a time.
    pub requests: usize,
    /// Calls of one request.
    pub calls: usize,
    /// Time for one request.
    pub timeout: Duration,
    /// Bytes of one answer, unpacked.
    pub answer_bytes: usize,
    /// Requests for one call, the first included.
    pub attempts: u32,
    /// The first wait before a request is made again.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 8,
            calls: 64,
            timeout: Duration::from_secs(60),
            answer_bytes: 256 << 20,
            attempts: 8,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// A node that is asked over a network.
pub struct LiveNode {
    name: String,
    secrets: Vec<String>,
    client: RpcClient,
    // After the client, whose tasks run on it.
    runtime: Runtime,
    limits: Limits,
    /// Whether something was answered; whoever connects anew takes it back.
    answered: Arc<AtomicBool>,
    /// Nobody asks before.
    pause_until: Mutex<Option<Instant>>,
    calls: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
}

impl std::fmt::Debug for LiveNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveNode").field("name", &self.name).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Calls that go in one request.
struct Batch {
    /// Places of the first call.
    first: usize,
    calls: Vec<Call>,
    attempt: u32,
}

/// What came of a request.
enum Outcome {
    /// An answer a call; `None` where it is to be asked again, and why.
    Answers(Vec<Result<Answer, String>>),
    /// Another try may help.
    Again { reason: String, after: Option<Duration> },
    /// The request is to be made in two halves.
    TooMuch(String),
    /// No try will help.
    Never(String),
}

impl LiveNode {
    /// Of http and https nothing is asked yet; ws and wss connect. Errors: an address of another kind; no connection.
    pub fn connect(address: &str, limits: Limits) -> Result<Self> {
        let refuse = |name: &str, reason: String, is_input| Error::Node {
            node: name.into(),
            call: "connect".into(),
            reason,
            is_input,
        };
        // The text of the address may hold secrets, so that it's not told.
        let url = Url::parse(address).map_err(|e| refuse("the node's address", format!("is no URL: {e}"), true))?;
        let name = name_of(&url);
        let secrets = secrets_of(address, &url);
        // Another provider may have been installed by whoever uses this library; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("node")
            .enable_all()
            .build()
            .map_err(|e| refuse(&name, format!("threads cannot be started: {e}"), false))?;
        let answered = Arc::new(AtomicBool::new(false));
        let client = match url.scheme() {
            "http" | "https" => {
                let transport =
                    Http::new(url, limits.timeout, limits.answer_bytes).map_err(|e| refuse(&name, e, false))?;
                RpcClient::new(transport, false)
            }
            "ws" | "wss" => {
                let waits = (limits.first_wait, limits.longest_wait);
                let connect = Patient::new(url, limits.attempts, waits, limits.answer_bytes, answered.clone());
                let connected = runtime
                    .block_on(async { tokio::time::timeout(limits.timeout, RpcClient::connect_pubsub(connect)).await });
                match connected {
                    Ok(Ok(client)) => client,
                    Ok(Err(e)) => return Err(refuse(&name, scrub(&e.to_string(), &secrets), false)),
                    Err(_) => return Err(refuse(&name, format!("no connection in {:?}", limits.timeout), false)),
                }
            }
            other => {
                // Where the scheme is left out the host's name is taken for one, and is none of the secrets.
                let reason = format!(
                    "got an address of kind {other}, expected one that begins with http://, https://, ws:// or wss://"
                );
                return Err(refuse(&name, reason, true));
            }
        };
        Ok(Self {
            name,
            secrets,
            client,
            runtime,
            limits,
            answered,
            pause_until: Mutex::new(None),
            calls: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    fn pause(&self) -> Duration {
        let until = *self.pause_until.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    fn pause_for(&self, time: Duration) {
        let mut until = self.pause_until.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let then = Instant::now() + time.min(self.limits.longest_wait);
        *until = Some(until.map_or(then, |until| until.max(then)));
    }

    /// The wait before a request is made for the `attempt`th time: up to a bound that doubles, drawn at random so that
    /// requests that failed together do not come back together.
    fn wait(&self, attempt: u32) -> Duration {
        let bound = self.limits.first_wait.saturating_mul(1 << (attempt - 1).min(16)).min(self.limits.longest_wait);
        let drawn = RandomState::new().hash_one(attempt) >> 32;
        bound / 2 + bound.mul_f64(drawn as f64 / f64::from(u32::MAX)) / 2
    }

    fn failed(&self, call: &Call, attempts: u32, reason: &str, is_input: bool) -> Error {
        let times = if attempts > 1 { format!(", after {attempts} tries") } else { String::new() };
        let reason = format!("{}{times}", scrub(reason, &self.secrets));
        Error::Node { node: self.name.clone(), call: call.to_string(), reason, is_input }
    }

    /// Asks batches, a bounded number at a time, until each call has its answer or one will never have it.
    async fn ask_all(&self, calls: &[Call]) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
        let most = self.limits.calls.max(1);
        let mut waiting: VecDeque<Batch> = (0..calls.len())
            .step_by(most)
            .map(|first| Batch { first, calls: calls[first..calls.len().min(first + most)].to_vec(), attempt: 1 })
            .collect();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < self.limits.requests.max(1) {
                let Some(batch) = waiting.pop_front() else { break };
                let delay = self.pause().max(if batch.attempt > 1 { self.wait(batch.attempt) } else { Duration::ZERO });
                let client = self.client.clone();
                self.requests.fetch_add(1, Relaxed);
                if batch.attempt > 1 {
                    self.retries.fetch_add(1, Relaxed);
                }
                let timeout = self.limits.timeout;
                under_way.spawn(async move {
                    tokio::time::sleep(delay).await;
                    let outcome = tokio::time::timeout(timeout, request(&client, &batch.calls)).await;
                    let late = || Outcome::Again { reason: format!("no answer in {timeout:?}"), after: None };
                    (batch, outcome.unwrap_or_else(|_| late()))
                });
            }
            let Some(joined) = under_way.join_next().await else { break };
            let (batch, outcome) = joined.map_err(|e| self.failed(&calls[0], 1, &e.to_string(), false))?;
            match outcome {
                Outcome::Answers(list) => {
                    self.answered.store(true, Relaxed);
                    for (i, (answer, call)) in list.into_iter().zip(&batch.calls).enumerate() {
                        match answer {
                            Ok(answer) => answers[batch.first + i] = Some(answer),
                            Err(reason) => {
                                // One of many: the rest of the batch has its answers.
                                self.again(batch.first + i, vec![call.clone()], batch.attempt, &reason, &mut waiting)?;
                            }
                        }
                    }
                }
                Outcome::Again { reason, after } => {
                    if let Some(after) = after {
                        self.pause_for(after);
                    }
                    self.again(batch.first, batch.calls, batch.attempt, &reason, &mut waiting)?;
                }
                Outcome::TooMuch(reason) if batch.calls.len() == 1 => {
                    return Err(self.failed(&batch.calls[0], batch.attempt, &reason, true));
                }
                Outcome::TooMuch(_) => {
                    let mut calls = batch.calls;
                    let half = calls.len() / 2;
                    let second = calls.split_off(half);
                    waiting.push_back(Batch { first: batch.first, calls, attempt: batch.attempt });
                    waiting.push_back(Batch { first: batch.first + half, calls: second, attempt: batch.attempt });
                }
                Outcome::Never(reason) => {
                    return Err(self.failed(&batch.calls[0], batch.attempt, &reason, true));
                }
            }
        }
        let answered =
            |(answer, call): (Option<Answer>, &Call)| answer.ok_or_else(|| self.failed(call, 1, "got no answer", true));
        answers.into_iter().zip(calls).map(answered).collect()
    }

    fn again(
        &self,
        first: usize,
        calls: Vec<Call>,
        attempt: u32,
        reason: &str,
        waiting: &mut VecDeque<Batch>,
    ) -> Result<()> {
        if attempt >= self.limits.attempts {
            return Err(self.failed(&calls[0], attempt, reason, false));
        }
        waiting.push_back(Batch { first, calls, attempt: attempt + 1 });
        Ok(())
    }
}

impl Node for LiveNode {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask(&self, calls: &[Call]) -> Result<Vec<Answer>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.runtime.block_on(self.ask_all(calls))?;
        self.calls.fetch_add(answers.len() as u64, Relaxed);
        let bytes = answers.iter().map(|answer| match answer {
            Answer::Result(json) => json.get().len() as u64,
            Answer::Refused { .. } => 0,
        });
        self.bytes.fetch_add(bytes.sum(), Relaxed);
        Ok(answers)
    }

    fn scrubbed(&self, words: String) -> String {
        scrub(&words, &self.secrets)
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            calls: self.calls.load(Relaxed),
            requests: self.requests.load(Relaxed),
            retries: self.retries.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }
}

/// One request: a single call as such, several as a batch.
async fn request(client: &RpcClient, calls: &[Call]) -> Outcome {
    if let [call] = calls {
        let answer = client.request::<_, Box<RawValue>>(call.method, call.params.clone()).await;
        return match answer_of(answer) {
            Ok(answer) => Outcome::Answers(vec![answer]),
            Err(outcome) => outcome,
        };
    }
    let mut batch = client.new_batch();
    let mut waiters = Vec::with_capacity(calls.len());
    for call in calls {
        match batch.add_call::<_, Box<RawValue>>(call.method, &call.params) {
            Ok(waiter) => waiters.push(waiter),
            Err(e) => return Outcome::Never(e.to_string()),
        }
    }
    if let Err(error) = batch.send().await {
        // Some nodes take no batches, or none that long, and answer with one error for all.
        return match of_transport(error) {
            Outcome::Never(reason) => Outcome::TooMuch(reason),
            other => other,
        };
    }
    let mut answers = Vec::with_capacity(calls.len());
    for waiter in waiters {
        answers.push(match answer_of(waiter.await) {
            Ok(answer) => answer,
            Err(Outcome::Again { reason, .. } | Outcome::TooMuch(reason) | Outcome::Never(reason)) => Err(reason),
            Err(Outcome::Answers(_)) => Err("got no answer".into()),
        });
    }
    Outcome::Answers(answers)
}

/// The answer to a call: `Ok(Err)` where the node asks to come back.
fn answer_of(result: Result<Box<RawValue>, TransportError>) -> Result<Result<Answer, String>, Outcome> {
    match result {
        Ok(json) => Ok(Ok(Answer::Result(json))),
        Err(RpcError::ErrorResp(payload)) if is_limit(&payload) => {
            Ok(Err(format!("the node limits its rate: {} (code {})", payload.message, payload.code)))
        }
        Err(RpcError::ErrorResp(ErrorPayload { code, message, .. })) => {
            Ok(Ok(Answer::Refused { code, message: message.into_owned() }))
        }
        // `null` is a result: there is no such block, no such transaction.
        Err(RpcError::NullResp) => Ok(Ok(null())),
        Err(other) => Err(of_transport(other)),
    }
}

fn null() -> Answer {
    Answer::Result(RawValue::NULL.to_owned())
}

/// Limits of rate only: "header not found" and its like are answers, since what is asked for lies far behind the head.
fn is_limit(payload: &ErrorPayload) -> bool {
    payload.is_retry_err() && !payload.message.contains("header not found")
}

fn of_transport(error: TransportError) -> Outcome {
    let reason = error.to_string();
    let again = |after| Outcome::Again { reason: reason.clone(), after };
    match error {
        RpcError::ErrorResp(payload) if is_limit(&payload) => again(None),
        RpcError::Transport(kind) => match kind {
            TransportErrorKind::NonRetryable(_) => Outcome::TooMuch(reason),
            TransportErrorKind::HttpError(_) | TransportErrorKind::HttpErrorWithRetryAfter { .. } => {
                let status = kind.as_http_error().map_or(0, |e| e.status);
                match status {
                    413 => Outcome::TooMuch(reason),
                    408 | 425 | 429 | 500.. => again(kind.retry_after()),
                    _ => Outcome::Never(reason),
                }
            }
            TransportErrorKind::PubsubUnavailable => Outcome::Never(reason),
            _ => again(None),
        },
        // Cut off, or no JSON-RPC at all: a proxy's page, say, which may be gone next time.
        // Its beginning is not told: who knows what it repeats.
        RpcError::DeserError { err, .. } => {
            Outcome::Again { reason: format!("the answer is not JSON-RPC: {err}"), after: None }
        }
        RpcError::NullResp => again(None),
        _ => Outcome::Never(reason),
    }
}

/// Scheme, host and port: all of an address that is told.
fn name_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("no host");
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// What of an address must not be told: providers keep keys in the path, the query, the user, the password. As they are
/// written there, and with what `%` stands for.
fn secrets_of(address: &str, url: &Url) -> Vec<String> {
    let path = url.path().trim_matches('/');
    let mut secrets: Vec<String> = [address, url.as_str(), path, url.query().unwrap_or(""), url.username()]
        .into_iter()
        .chain(url.password())
        .chain(url.fragment())
        .chain(path.split('/'))
        .flat_map(|text| [text.to_string(), unescaped(text)])
        .filter(|text| text.len() > 2)
        .collect();
    secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()).filter(|text| text.len() > 2));
    // The longest first: parts of it are secrets of their own.
    secrets.sort_by_key(|text| std::cmp::Reverse(text.len()));
    secrets.dedup();
    secrets
}

/// A part of an address with bytes instead of `%` and their digits.
fn unescaped(text: &str) -> String {
    // As the value of a form, but that a plus sign is one.
    let escaped = text.replace('+', "%2B").replace('&', "%26");
    url::form_urlencoded::parse(format!("={escaped}").as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// Words without secrets, on one line: a node may say anything, and is not to speak for us.
fn scrub(words: &str, secrets: &[String]) -> String {
    let words = secrets.iter().fold(words.to_string(), |words, secret| words.replace(secret.as_str(), "…"));
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    words.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_secrets() {
        let address = "https://user:pass-word@node.example:8545/v3/0123abcd/a%2Fb+c%21?key=opensesame&x=1#part";
        let url = Url::parse(address).expect("a URL");
        assert_eq!(name_of(&url), "https://node.example:8545");
        let secrets = secrets_of(address, &url);
        let words = format!("cannot reach {address} ({url}): user:pass-word, 0123abcd, opensesame, part, a/b+c!");
        let scrubbed = scrub(&words, &secrets);
        for secret in ["user", "pass-word", "0123abcd", "opensesame", "#part", "a/b+c!", "a%2Fb"] {
            assert!(!scrubbed.contains(secret), "{secret}: {scrubbed}");
        }
        assert!(scrubbed.starts_with("cannot reach "));
    }

    #[test]
    fn what_a_node_says_stays_on_its_line() {
        assert_eq!(scrub("denied \r\nall is well\u{1b}[2J", &[]), "denied \\r\\nall is well\\u{1b}[2J");
    }

    #[test]
    fn addresses_of_other_kinds_are_refused_without_being_told() {
        for (address, words) in [
            ("file:///etc/secret-place", "kind file"),
            ("secret-place", "is no URL"),
            ("localhost:8545", "begins with http://"),
        ] {
            let error = LiveNode::connect(address, Limits::default()).expect_err("no node").to_string();
            assert!(error.contains(words) && !error.contains("secret-place"), "{error}");
        }
    }
}
