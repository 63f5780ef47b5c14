//! Connections by the thousand that say nothing, or half of something: they are let be, and held
//! against nobody else.

use std::time::{Duration, Instant};

use crate::support::goma::file;
use crate::support::http::{Connection, render};
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{gcc, object, with};

/// So many connections.
const CROWD: usize = 3000;

#[tokio::test]
async fn half_open_connections_by_the_thousand_keep_nobody_out() {
    if !crate::support::may_open(CROWD as u64 + 500) {
        return;
    }
    let dir = temp_dir();
    // A soft limit as many a shell has it.
    let program = Program::proxy_after("ulimit -S -n 512", dir.path(), &[]).await;
    let head = render("POST /cxx-compiler-service/e", &[], 1000);
    let mut crowd = Vec::with_capacity(CROWD);
    for at in 0..CROWD {
        let mut connection = Connection::open(program.port).await.expect("it listens");
        let said: &[u8] = match at % 6 {
            0 => b"",
            1 => b"P",
            2 => &head[..head.len() - 2],
            3 => &head,
            4 => b"PRI * HTTP/2.0\r\n",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        };
        assert!(connection.send(said).await, "{at}: hung up on");
        if at % 12 > 5 {
            // Half-closed: nothing more will come from here.
            connection.finish().await;
        }
        crowd.push(connection);
    }
    let started = Instant::now();
    let source = file(b"int honest;\n");
    object(&program.goma().exec(&with(gcc("/home/h", "h.c"), "h.c", &source)).await);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(crowd);
    object(&program.goma().exec(&with(gcc("/home/h", "i.c"), "i.c", &source)).await);
    assert!(!program.log().contains("cannot accept"), "{}", program.log());
}
