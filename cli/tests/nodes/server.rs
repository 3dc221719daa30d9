//! JSON-RPC over HTTP on loopback, as plain as it can be: a thread a connection, a bounded number of requests.

use crate::world::World;
use alloy_primitives::{Address, B256};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A server takes so many requests, and then none.
const REQUESTS_MAX: u64 = 200_000;

/// What a node offers.
#[derive(Clone, Copy, Default)]
pub struct Offers {
    pub raw_blocks: bool,
    pub traces: bool,
    pub proofs: bool,
    pub state: bool,
}

impl Offers {
    pub const ALL: Self = Self { raw_blocks: true, traces: true, proofs: true, state: true };
    pub const CALLS: Self = Self { traces: false, ..Self::ALL };
}

/// Answers one call; `Err` is a code and words.
pub fn answer(world: &World, offers: Offers, method: &str, params: &[Json]) -> Result<Json, (i64, String)> {
    let unknown = || Err((-32601, format!("the method {method} does not exist/is not available")));
    let number = |i: usize| -> u64 {
        let text = params[i].as_str().expect("a number");
        u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hex")
    };
    let addr = || -> Address { params[0].as_str().expect("an address").parse().expect("hex") };
    let has = |number: u64| world.blocks.contains_key(&number);
    Ok(match method {
        "eth_chainId" => json!(format!("{:#x}", world.chain_id)),
        "eth_blockNumber" => json!(format!("{:#x}", world.last())),
        "debug_getRawBlock" if offers.raw_blocks && has(number(0)) => json!(world.raw(number(0))),
        "debug_getRawBlock" if offers.raw_blocks => return Err((-32000, "block not found".into())),
        "eth_getBlockByNumber" if !has(number(0)) => Json::Null,
        "eth_getBlockByNumber" => world.json(number(0), params[1] == json!(true)),
        "eth_getUncleByBlockNumberAndIndex" => {
            serde_json::to_value(&world.ommers(number(0))[number(1) as usize]).expect("JSON")
        }
        "eth_getBlockReceipts" => world.receipts(number(0)),
        "debug_traceBlockByNumber" if offers.traces => world.prestates(number(0)),
        "eth_getBalance" if offers.state => json!(world.account(addr(), number(1)).balance),
        "eth_getTransactionCount" if offers.state => {
            json!(format!("{:#x}", world.account(addr(), number(1)).nonce))
        }
        "eth_getCode" if offers.state => json!(world.code(world.account(addr(), number(1)).code_hash)),
        "eth_getStorageAt" if offers.state => {
            let slot: B256 = params[1].as_str().expect("a slot").parse().expect("hex");
            json!(B256::from(world.word(addr(), slot.into(), number(2))))
        }
        "eth_getProof" if offers.proofs => {
            let slots: Vec<B256> = serde_json::from_value(params[1].clone()).expect("slots");
            world.proof(addr(), &slots, number(2))
        }
        _ => return unknown(),
    })
}

/// What goes out: an HTTP status, headers, a body.
pub struct Reply {
    pub status: &'static str,
    pub headers: String,
    pub body: Vec<u8>,
    /// Close after so many bytes of the body.
    pub cut: Option<usize>,
}

impl Reply {
    pub fn json(json: &Json) -> Self {
        Self { status: "200 OK", headers: String::new(), body: json.to_string().into_bytes(), cut: None }
    }
}

/// A server; it stops when it is dropped.
pub struct Server {
    pub url: String,
    address: std::net::SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// How a whole request, parsed, is answered; gets its number too.
pub type Handler = dyn Fn(u64, &Json) -> Reply + Send + Sync;

impl Server {
    /// Serves a world as it is.
    pub fn of(world: Arc<World>, offers: Offers) -> Self {
        Self::start(Arc::new(move |_, request| Reply::json(&honest(&world, offers, request))))
    }

    pub fn start(handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let (stopped, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let is_stopped = stopped.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), handler, count) = (stream, handler.clone(), count.clone()) else { continue };
                std::thread::spawn(move || serve(&stream, &*handler, &count));
            }
        });
        Self { url: format!("http://{address}"), address, stopped }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// The answers that a node gives to a request, a batch or one call.
pub fn honest(world: &World, offers: Offers, request: &Json) -> Json {
    let one = |call: &Json| {
        let method = call["method"].as_str().expect("a method");
        let params = call["params"].as_array().cloned().unwrap_or_default();
        match answer(world, offers, method, &params) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Err((code, message)) => {
                json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message } })
            }
        }
    };
    match request {
        Json::Array(calls) => json!(calls.iter().map(one).collect::<Vec<_>>()),
        call => one(call),
    }
}

fn serve(stream: &TcpStream, handler: &Handler, count: &AtomicU64) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number >= REQUESTS_MAX {
            return;
        }
        let request = serde_json::from_slice(&body).expect("a request is JSON");
        let reply = handler(number, &request);
        let mut out = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}\r\n",
            reply.status,
            reply.body.len(),
            reply.headers
        )
        .into_bytes();
        // One write: two would wait for each other, for 40 ms each time.
        let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
        out.extend_from_slice(&reply.body[..end]);
        if { stream }.write_all(&out).is_err() || reply.cut.is_some() {
            return;
        }
    }
}
