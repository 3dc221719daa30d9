//! A node over a WebSocket: one that stays, one that hangs up now and then, one that never answers, one that says too much.

use crate::run;
use crate::server::{Offers, honest};
use crate::text;
use crate::ways::Imported;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tungstenite::Message;

/// A server takes so many connections, and then none.
const CONNECTIONS_MAX: u64 = 1000;

/// Answers a message, or hangs up; gets the message's number too.
type Handler = dyn Fn(u64, &serde_json::Value) -> Option<String> + Send + Sync;

struct WsServer {
    url: String,
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
}

impl WsServer {
    fn start(handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let (stopped, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_stopped, count) = (stopped.clone(), connections.clone());
        let messages = Arc::new(AtomicU64::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_stopped.load(Ordering::SeqCst) || count.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
                    return;
                }
                let (Ok(stream), handler, messages) = (stream, handler.clone(), messages.clone()) else { continue };
                std::thread::spawn(move || serve(stream, &*handler, &messages));
            }
        });
        Self { url: format!("ws://{address}"), address, stopped, connections }
    }
}

impl Drop for WsServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, handler: &Handler, messages: &AtomicU64) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    loop {
        let request = match socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).expect("a request is JSON"),
            Ok(_) => continue,
            Err(_) => return,
        };
        let Some(reply) = handler(messages.fetch_add(1, Ordering::SeqCst), &request) else { return };
        if socket.send(Message::text(reply)).is_err() {
            return;
        }
    }
}

fn is_about_state(request: &serde_json::Value) -> bool {
    request.to_string().contains("eth_getBalance")
}

#[test]
fn a_node_over_a_websocket() {
    let Some(chain) = Imported::of("a_node_over_a_websocket", "geth600") else { return };
    for hangs_up in [&[][..], &[3, 40][..]] {
        let world = chain.world.clone();
        let server = WsServer::start(Arc::new(move |number, request| {
            (!hangs_up.contains(&number)).then(|| honest(&world, Offers::CALLS, request).to_string())
        }));
        chain.check(&server.url, "300..450", &[]);
        let connections = server.connections.load(Ordering::SeqCst);
        assert!(connections > hangs_up.len() as u64, "{connections} connections");
    }
}

#[test]
fn a_websocket_that_is_of_no_use() {
    let Some(chain) = Imported::of("a_websocket_that_is_of_no_use", "execapis") else { return };
    let file = chain.folder.path().join("part.mana");
    let long = "x".repeat(300 << 20);
    for (is_long, code, words) in [(false, 4, "no answer in 2s, after 3 tries"), (true, 4, "after 3 tries")] {
        let (world, long) = (chain.world.clone(), long.clone());
        let server = WsServer::start(Arc::new(move |_, request| match (is_about_state(request), is_long) {
            (false, _) => Some(honest(&world, Offers::CALLS, request).to_string()),
            (true, true) => Some(long.clone()),
            (true, false) => None,
        }));
        let args = ["import", "--rpc", &server.url, "--blocks", "20..40", "--rpc-attempts", "3", "--rpc-timeout", "2"];
        let more = ["--genesis", text(&chain.genesis), "--befores", "calls", "-o", text(&file)];
        let (got, _, err) = run(&[&args[..], &more].concat());
        assert!(got == code && err.contains(words) && err.contains(&server.url), "{got} {err}");
        assert!(!file.exists());
        // It is called back less and less often.
        let connections = server.connections.load(Ordering::SeqCst);
        assert!(connections > 1 && connections < 40, "{connections} connections");
    }
}
