//! Answers that were saved: what `curl` or `cast rpc` wrote, in a folder, asked like a node.
//!
//! Three forms of files, recognised by name and content:
//! * `METHOD-PARAM-PARAM.json`, as in `eth_getBalance-0x00…01-0x12c.json` or `debug_traceBlockByNumber-0x12c.json` (by the
//!   prestate tracer, if no other is named): the answer, whole (`{"jsonrpc", "result"}`,
//!   as `curl` saves it) or its result alone (as `cast rpc` prints it). Parameters are those that are texts, in order;
//!   flags and objects are left out.
//! * other `*.json` with `{"request": …, "response": …}`, or a list of such pairs;
//! * `*.io`: lines `>> request` and `<< response`.
//!
//! Numbers, addresses and slots are the same with and without leading zeros. Where one of several answers was to exactly the
//! call, it is taken, else one that differs in flags and lists alone. A call that was not saved is answered as a node answers
//! a method that it does not know.

use super::{Answer, Call, METHOD_NOT_FOUND, Node, PRESTATE_TRACER, Traffic};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Beginnings of the methods that are looked for in names of files.
const NAMESPACES: [&str; 3] = ["eth_", "debug_", "web3_"];

/// Folders are walked to this depth, enough for what a person lays out; links may make a tree endless.
const DEPTH_MAX: usize = 8;

/// What a call was: method, and parameters that are texts.
type Key = (String, Vec<String>);

/// An answer, and what else is known of it.
#[derive(Debug)]
struct Saved {
    /// All parameters of the call, each in its one form; `None` where a file's name leaves out some.
    params: Option<Vec<Value>>,
    /// Where it was saved, for errors.
    origin: String,
    place: Place,
}

/// Where an answer lies.
#[derive(Debug)]
enum Place {
    /// A file of its own, read when it is asked for.
    File(PathBuf),
    /// Read with others.
    Memory(Answer),
}

impl Place {
    fn read(&self) -> Result<Answer> {
        match self {
            Self::Memory(answer) => Ok(answer.clone()),
            Self::File(path) => {
                let text = read_text(path)?;
                answer_in(&text).map_err(|e| Error::malformed(path, "answer", e))
            }
        }
    }
}

/// Saved answers of a node.
#[derive(Debug)]
pub struct SavedAnswers {
    name: String,
    answers: HashMap<Key, Vec<Saved>>,
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// Bytes at the beginning of a file that are looked at to tell what it is.
const HEAD: u64 = 4096;

impl SavedAnswers {
    /// Whether a path leads to saved answers: the first of a folder's files that is of one of the three forms says so.
    pub fn are_in(path: &Path) -> bool {
        fn is_answer(path: &Path) -> bool {
            let is_pair = || {
                let mut head = Vec::new();
                let read = std::fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
                let text = String::from_utf8_lossy(&head);
                read.is_ok() && ["\"request\"", "\"method\""].iter().all(|word| text.contains(word))
            };
            match path.extension().and_then(|e| e.to_str()) {
                Some("io") => true,
                Some("json") => key_of_name(path).is_some() || is_pair(),
                _ => false,
            }
        }
        fn any(path: &Path, depth: usize) -> bool {
            if !path.is_dir() {
                return path.is_file() && is_answer(path);
            }
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            depth < DEPTH_MAX && entries.map(|entry| entry.path()).any(|path| any(&path, depth + 1))
        }
        any(path, 0)
    }

    /// Whether a file's name says that it holds answers.
    pub fn is_named(path: &Path) -> bool {
        key_of_name(path).is_some() || path.extension().is_some_and(|extension| extension == "io")
    }

    /// Reads a folder, or one file. Errors: JSON that is malformed where it is read; two answers to one call that differ.
    pub fn open(path: &Path) -> Result<Self> {
        let mut saved = Self {
            name: path.display().to_string(),
            answers: HashMap::new(),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        };
        saved.add(path, 0)?;
        if saved.answers.is_empty() {
            return Err(Error::malformed(path, "folder", "holds no saved answers of a node"));
        }
        Ok(saved)
    }

    /// Numbers of the blocks that were saved whole.
    pub fn blocks(&self) -> BTreeSet<u64> {
        let of_block = |(method, params): &Key| {
            let is_block = matches!(method.as_str(), "eth_getBlockByNumber" | "debug_getRawBlock");
            let number = params.first().filter(|_| is_block)?.strip_prefix("0x")?;
            u64::from_str_radix(number, 16).ok()
        };
        self.answers.keys().filter_map(of_block).collect()
    }

    fn add(&mut self, path: &Path, depth: usize) -> Result<()> {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
            let mut paths: Vec<_> = entries.map_err(Error::io(path))?.into_iter().map(|entry| entry.path()).collect();
            paths.sort();
            return if depth < DEPTH_MAX {
                paths.iter().try_for_each(|path| self.add(path, depth + 1))
            } else {
                Ok(())
            };
        }
        if let Some(key) = key_of_name(path) {
            let origin = path.display().to_string();
            let saved = Saved { params: None, origin, place: Place::File(path.to_path_buf()) };
            return self.insert(path, "answer", key, saved);
        }
        match path.extension().and_then(|e| e.to_str()) {
            Some("io") => self.add_lines(path),
            Some("json") => self.add_pairs(path),
            _ => Ok(()),
        }
    }

    /// `>> request` and `<< response`, line by line.
    fn add_lines(&mut self, path: &Path) -> Result<()> {
        let text = read_text(path)?;
        let mut request = None;
        for (number, line) in text.lines().enumerate() {
            let place = || format!("line {}", number + 1);
            let parse = |json: &str| {
                serde_json::from_str::<Box<RawValue>>(json).map_err(|e| Error::malformed(path, place(), e.to_string()))
            };
            if let Some(json) = line.strip_prefix(">>") {
                request = Some(parse(json)?);
            } else if let Some(json) = line.strip_prefix("<<")
                && let Some(request) = request.take()
            {
                self.add_pair(path, &place(), &request, &parse(json)?)?;
            }
        }
        Ok(())
    }

    /// One pair, or a list of pairs; any other JSON is nothing. Errors: no JSON.
    fn add_pairs(&mut self, path: &Path) -> Result<()> {
        #[derive(Deserialize)]
        struct Pair {
            request: Box<RawValue>,
            response: Box<RawValue>,
        }
        let text = read_text(path)?;
        if let Err(e) = serde_json::from_str::<IgnoredAny>(&text) {
            return Err(Error::malformed(path, "JSON", e.to_string()));
        }
        let pairs = match serde_json::from_str::<Vec<Pair>>(&text) {
            Ok(pairs) => pairs,
            Err(_) => serde_json::from_str::<Pair>(&text).into_iter().collect(),
        };
        for (i, pair) in pairs.iter().enumerate() {
            self.add_pair(path, &format!("pair {i}"), &pair.request, &pair.response)?;
        }
        Ok(())
    }

    fn add_pair(&mut self, path: &Path, place: &str, request: &RawValue, response: &RawValue) -> Result<()> {
        #[derive(Deserialize)]
        struct Request {
            method: String,
            #[serde(default)]
            params: Vec<Value>,
        }
        #[derive(Deserialize)]
        struct WithId {
            #[serde(default)]
            id: Value,
        }
        if let (Ok(requests), Ok(responses)) = (
            serde_json::from_str::<Vec<Box<RawValue>>>(request.get()),
            serde_json::from_str::<Vec<Box<RawValue>>>(response.get()),
        ) {
            // A batch, whose answers may come in any order.
            let id = |json: &RawValue| serde_json::from_str::<WithId>(json.get()).map_or(Value::Null, |with| with.id);
            let responses: Vec<_> = responses.iter().map(|response| (id(response), response)).collect();
            return requests.iter().try_for_each(|request| {
                let own = id(request);
                let found = responses.iter().find(|(id, _)| *id == own && !id.is_null());
                found.map_or(Ok(()), |(_, response)| self.add_pair(path, place, request, response))
            });
        }
        // Something else than a call.
        let Ok(Request { method, params }) = serde_json::from_str(request.get()) else { return Ok(()) };
        let answer = answer_in(response.get()).map_err(|e| Error::malformed(path, place, e))?;
        let origin = format!("{}, {place}", path.display());
        let key = (method, texts(&params));
        let saved = Saved { params: Some(params.iter().map(one_form).collect()), origin, place: Place::Memory(answer) };
        self.insert(path, place, key, saved)
    }

    /// Keeps an answer. One call may be answered more than once, if it is always the same.
    fn insert(&mut self, path: &Path, place: &str, key: Key, saved: Saved) -> Result<()> {
        let method = key.0.clone();
        let answers = self.answers.entry(key).or_default();
        match answers.iter().find(|before| before.params == saved.params) {
            Some(before) if !is_same(&before.place.read()?, &saved.place.read()?) => {
                let reason = format!("another answer to the same call of {method} than in {}", before.origin);
                Err(Error::malformed(path, place, reason))
            }
            Some(_) => Ok(()),
            None => {
                answers.push(saved);
                Ok(())
            }
        }
    }

    fn answer(&self, call: &Call) -> Result<Answer> {
        let answers = self.answers.get(&(call.method.to_string(), texts(&call.params)));
        let exact: Vec<Value> = call.params.iter().map(one_form).collect();
        let found = answers.and_then(|answers| {
            let is_exact = |saved: &&Saved| saved.params.as_ref() == Some(&exact);
            answers.iter().find(is_exact).or_else(|| answers.iter().find(|s| s.params.is_none())).or(answers.first())
        });
        match found {
            Some(saved) => saved.place.read(),
            None => Ok(Answer::Refused { code: METHOD_NOT_FOUND, message: "no such answer was saved".into() }),
        }
    }
}

impl Node for SavedAnswers {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_live(&self) -> bool {
        false
    }

    fn ask(&self, calls: &[Call]) -> Result<Vec<Answer>> {
        let answers = calls.iter().map(|call| self.answer(call)).collect::<Result<Vec<_>>>()?;
        self.calls.fetch_add(answers.len() as u64, Relaxed);
        for answer in &answers {
            if let Answer::Result(json) = answer {
                self.bytes.fetch_add(json.get().len() as u64, Relaxed);
            }
        }
        Ok(answers)
    }

    fn traffic(&self) -> Traffic {
        let calls = self.calls.load(Relaxed);
        Traffic { calls, requests: calls, retries: 0, bytes: self.bytes.load(Relaxed) }
    }
}

fn read_text(path: &Path) -> Result<String> {
    if !std::fs::metadata(path).map_err(Error::io(path))?.is_file() {
        return Err(Error::malformed(path, "file", "is not a regular file"));
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    String::from_utf8(bytes)
        .map_err(|e| Error::malformed(path, format!("byte {}", e.utf8_error().valid_up_to()), "is no UTF-8"))
}

/// Method and parameters from a name such as `eth_getBalance-0x01-0x12c.json`.
fn key_of_name(path: &Path) -> Option<Key> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
    if !NAMESPACES.iter().any(|namespace| stem.starts_with(namespace)) {
        return None;
    }
    let mut parts = stem.split(['-', ' ', ',']).filter(|part| !part.is_empty());
    let method = parts.next()?.to_string();
    let mut params: Vec<String> = parts.map(plain).collect();
    if method.starts_with("debug_trace") && !params.iter().any(|param| param.ends_with("Tracer")) {
        params.push(PRESTATE_TRACER.into());
    }
    Some((method, params))
}

/// The parameters that are texts, each in the one form that it is looked up by; of a trace also who makes it.
fn texts(params: &[Value]) -> Vec<String> {
    let mut texts = Vec::with_capacity(params.len());
    for param in params {
        match param {
            Value::String(text) => texts.push(plain(text)),
            Value::Object(options) => {
                texts.extend(options.get("tracer").and_then(Value::as_str).map(str::to_string));
                if options.get("tracerConfig").and_then(|config| config.get("diffMode")) == Some(&Value::Bool(true)) {
                    texts.push("diff".into());
                }
            }
            _ => {}
        }
    }
    texts
}

/// A parameter with all its texts in the one form.
fn one_form(param: &Value) -> Value {
    match param {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(list) => list.iter().map(one_form).collect(),
        other => other.clone(),
    }
}

/// Hex in small letters without leading zeros; anything else as it is.
fn plain(text: &str) -> String {
    match text.strip_prefix("0x") {
        Some(digits) => match digits.trim_start_matches('0') {
            "" => "0x0".into(),
            rest => format!("0x{}", rest.to_ascii_lowercase()),
        },
        None => text.to_string(),
    }
}

/// The answer in a response, or the result that stands alone.
fn answer_in(json: &str) -> Result<Answer, String> {
    #[derive(Deserialize)]
    struct Failure {
        code: i64,
        message: String,
    }
    #[derive(Deserialize)]
    struct Response {
        jsonrpc: Option<String>,
        id: Option<Value>,
        result: Option<Box<RawValue>>,
        error: Option<Failure>,
    }
    let raw: Box<RawValue> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    match serde_json::from_str::<Response>(json) {
        Ok(Response { error: Some(Failure { code, message }), .. }) => Ok(Answer::Refused { code, message }),
        Ok(Response { jsonrpc, id, result, .. }) if jsonrpc.is_some() || id.is_some() => {
            Ok(Answer::Result(result.unwrap_or_else(|| RawValue::NULL.to_owned())))
        }
        _ => Ok(Answer::Result(raw)),
    }
}

fn is_same(a: &Answer, b: &Answer) -> bool {
    match (a, b) {
        (Answer::Result(a), Answer::Result(b)) => {
            // By value: spaces and the order of keys say nothing.
            matches!((serde_json::from_str::<Value>(a.get()), serde_json::from_str::<Value>(b.get())), (Ok(a), Ok(b)) if a == b)
        }
        (Answer::Refused { code: a, .. }, Answer::Refused { code: b, .. }) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(saved: &SavedAnswers, method: &'static str, params: Value) -> Answer {
        let params = params.as_array().expect("a list").clone();
        saved.answer(&Call { method, params }).expect("readable")
    }

    fn result(answer: Answer) -> Value {
        match answer {
            Answer::Result(json) => serde_json::from_str(json.get()).expect("JSON"),
            Answer::Refused { code, message } => json!([code, message]),
        }
    }

    #[test]
    fn three_forms_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("eth_getBalance-0x00Ab-0x012c.json", r#""0x7""#);
        write("eth_getCode-0xab-0x12c.json", r#"{"jsonrpc":"2.0","id":1,"result":"0x6001"}"#);
        write("pair.json", r#"{"request":{"method":"eth_chainId","params":[]},"response":{"id":1,"result":"0x9"}}"#);
        write(
            "some.io",
            "// a comment\n>> {\"method\":\"eth_getBlockByNumber\",\"params\":[\"0x5\",true]}\n<< {\"jsonrpc\":\"2.0\",\"result\":null}\n",
        );
        write("other.json", r#"{"no": "pair"}"#);
        let saved = SavedAnswers::open(folder.path()).expect("readable");
        assert_eq!(result(ask(&saved, "eth_getBalance", json!(["0xab", "0x12c"]))), json!("0x7"));
        assert_eq!(result(ask(&saved, "eth_getCode", json!(["0x00ab", "0x12c"]))), json!("0x6001"));
        assert_eq!(result(ask(&saved, "eth_getBlockByNumber", json!(["0x5", true]))), json!(null));
        assert!(ask(&saved, "eth_getCode", json!(["0xab", "0x12d"])).is_unknown_method());
        assert_eq!(saved.blocks(), BTreeSet::from([5]));
    }

    #[test]
    fn two_answers_that_differ_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = |result: &str| {
            format!(r#"{{"request":{{"method":"eth_chainId"}},"response":{{"jsonrpc":"2.0","result":{result}}}}}"#)
        };
        std::fs::write(folder.path().join("list.json"), format!("[{},{}]", pair("\"0x1\""), pair(" \"0x1\"")))
            .expect("written");
        assert!(SavedAnswers::open(folder.path()).is_ok());
        std::fs::write(folder.path().join("list.json"), format!("[{},{}]", pair("\"0x1\""), pair("\"0x2\"")))
            .expect("written");
        let error = SavedAnswers::open(folder.path()).expect_err("they differ").to_string();
        assert!(error.contains("pair 1: another answer to the same call of eth_chainId"), "{error}");
        // The same number in two forms, in two files.
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("eth_getBalance-0xab-0x01.json", "\"0x7\"");
        write("eth_getBalance-0xab-0x1.json", r#"{"jsonrpc":"2.0","result":"0x7"}"#);
        assert!(SavedAnswers::open(folder.path()).is_ok());
        write("eth_getBalance-0xab-0x1.json", "\"0x8\"");
        let error = SavedAnswers::open(folder.path()).expect_err("they differ").to_string();
        assert!(error.contains("than in ") && error.contains("0x01.json"), "{error}");
        std::fs::write(folder.path().join("eth_getBalance-0xab-0x1.json"), [b'"', 0xff]).expect("written");
        let error = SavedAnswers::open(folder.path()).expect_err("no text");
        assert!(error.is_input() && error.to_string().contains("byte 1: is no UTF-8"), "{error}");
    }

    /// One call is another than one with other flags or lists.
    #[test]
    fn calls_are_told_apart_by_all_parameters() {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = |params: &str, result: &str| {
            format!(
                r#"{{"request":{{"id":1,"method":"eth_getProof","params":{params}}},"response":{{"id":1,"result":{result}}}}}"#
            )
        };
        let pairs = [pair(r#"["0x0ab",["0x01"],"0x5"]"#, "1"), pair(r#"["0xab",["0x2"],"0x5"]"#, "2")];
        std::fs::write(folder.path().join("list.json"), format!("[{}]", pairs.join(","))).expect("written");
        let batch = r#"{"request":[{"id":1,"method":"eth_a"},{"id":2,"method":"eth_b"},{"id":3,"method":"eth_c"}],
            "response":[{"id":2,"result":"b"},{"id":1,"result":"a"}]}"#;
        std::fs::write(folder.path().join("batch.json"), batch).expect("written");
        let saved = SavedAnswers::open(folder.path()).expect("readable");
        for (slots, expected) in [(json!(["0x1"]), 1), (json!(["0x02"]), 2), (json!(["0x3"]), 1)] {
            assert_eq!(result(ask(&saved, "eth_getProof", json!(["0xab", slots, "0x5"]))), json!(expected));
        }
        assert_eq!(result(ask(&saved, "eth_a", json!([]))), json!("a"));
        assert_eq!(result(ask(&saved, "eth_b", json!([]))), json!("b"));
        assert!(ask(&saved, "eth_c", json!([])).is_unknown_method());
        std::fs::write(folder.path().join("cut.json"), &batch[..50]).expect("written");
        let error = SavedAnswers::open(folder.path()).expect_err("no JSON").to_string();
        assert!(error.contains("cut.json: JSON: "), "{error}");
    }
}
