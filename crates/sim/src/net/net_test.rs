//! What programs see of the network: order, splits, windows, ends, resets, refusals, cuts.

use std::future::pending;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settee_core::env::{self, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::pipe::WINDOW;
use crate::World;
use crate::node::Node;
use crate::run::in_calm_world;

type Pair = (Node, Node, Connection, Connection);

/// A client and a server, connected.
async fn connected(world: &World) -> Pair {
    let accepted = Arc::new(Mutex::new(None));
    let place = accepted.clone();
    let server = world.server("server", move |boot| {
        let place = place.clone();
        async move {
            let mut listener = env::listen(SocketAddr::new(boot.node.ip(), 80)).await.unwrap();
            while let Ok((connection, _)) = listener.accept().await {
                *place.lock().await = Some(connection);
            }
        }
    });
    let client = world.client("client", |_| pending());
    let near = dial(&client, server.address(80)).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    let far = accepted.lock().await.take().unwrap();
    (client, server, near, far)
}

async fn dial(client: &Node, to: SocketAddr) -> std::io::Result<Connection> {
    let dialled = client.run(|| env::spawn(env::connect(to))).unwrap();
    dialled.await.unwrap()
}

#[test]
fn bytes_arrive_in_order_and_in_pieces_and_an_end_is_half_a_close() {
    in_calm_world(|world| async move {
        let (_, _, mut near, mut far) = connected(&world).await;
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let receive = async {
            let (mut received, mut pieces) = (Vec::new(), 0);
            while far.read_buf(&mut received).await.unwrap() > 0 {
                pieces += 1;
            }
            far.write_all(b"all").await.unwrap();
            (received, pieces)
        };
        let send = async {
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
            assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let mut answer = [0; 3];
            near.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"all");
        };
        let ((received, pieces), ()) = tokio::join!(receive, send);
        assert!(received == expected && pieces > 10);
    });
}

#[test]
fn a_writer_waits_for_a_reader_who_does_not_read() {
    in_calm_world(|world| async move {
        let (_, _, mut near, mut far) = connected(&world).await;
        let mut written = 0;
        while let Ok(count) = timeout(Duration::from_secs(1), near.write(&[7; 5_000])).await {
            written += count.unwrap();
        }
        assert_eq!(written, WINDOW);
        let mut read = vec![0; 1_000];
        far.read_exact(&mut read).await.unwrap();
        assert!(timeout(Duration::from_secs(1), near.write(&[7; 5_000])).await.is_ok());
    });
}

#[test]
fn a_killed_peer_resets_and_its_port_refuses_until_it_listens_again() {
    in_calm_world(|world| async move {
        let (client, server, mut near, _far) = connected(&world).await;
        assert!(server.kill());
        assert_eq!(near.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(near.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(dial(&client, server.address(80)).await.err().unwrap().kind(), ErrorKind::ConnectionRefused);
        server.restart();
        assert!(dial(&client, server.address(80)).await.is_ok());
        assert_eq!(dial(&client, server.address(81)).await.err().unwrap().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_switch_that_dies_breaks_both_ends_and_what_was_on_its_way_and_nobody_is_gone() {
    in_calm_world(|world| async move {
        let (client, server, mut near, mut far) = connected(&world).await;
        near.write_all(b"lost").await.unwrap();
        world.reset_connections(&server);
        assert_eq!(near.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(far.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(dial(&client, server.address(80)).await.is_ok());
    });
}

#[test]
fn a_machine_without_power_is_silent_until_it_is_up_again() {
    in_calm_world(|world| async move {
        let (client, server, mut near, _far) = connected(&world).await;
        assert!(server.cut_power());
        assert!(timeout(Duration::from_secs(60), near.read_u8()).await.is_err());
        assert_eq!(dial(&client, server.address(80)).await.err().unwrap().kind(), ErrorKind::TimedOut);
        server.restart();
        near.write_all(b"are you there").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_paused_process_still_accepts_and_answers_later() {
    in_calm_world(|world| async move {
        let (client, server, mut near, mut far) = connected(&world).await;
        assert!(server.pause());
        assert!(dial(&client, server.address(80)).await.is_ok(), "the machine accepts, not the process");
        near.write_all(b"a").await.unwrap();
        server.resume();
        assert_eq!(far.read_u8().await.unwrap(), b'a');
    });
}

#[test]
fn a_short_cut_delays_and_a_long_one_breaks() {
    in_calm_world(|world| async move {
        let (client, server, mut near, mut far) = connected(&world).await;
        let outward = (client.id(), server.id());
        world.network().cut(outward);
        let started = Instant::now();
        near.write_all(b"a").await.unwrap();
        far.write_all(b"b").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'b', "the other direction works");
        assert!(timeout(Duration::from_secs(1), far.read_u8()).await.is_err());
        world.network().rejoin(outward);
        assert_eq!(far.read_u8().await.unwrap(), b'a');
        assert!(started.elapsed() < Duration::from_secs(2));

        world.network().cut(outward);
        near.write_all(b"c").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(dial(&client, server.address(80)).await.err().unwrap().kind(), ErrorKind::TimedOut);
        world.network().heal();
        assert_eq!(far.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset, "what was not delivered never is");
    });
}

#[test]
fn a_dropped_socket_ends_and_unread_bytes_reset() {
    in_calm_world(|world| async move {
        let (client, server, near, mut far) = connected(&world).await;
        drop(near);
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        far.write_all(b"too late").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(far.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        drop((client, server, far));
        assert!(world.network().with(|table| table.connections.is_empty()), "nothing is kept of closed connections");
    });
}

#[test]
fn an_address_is_taken_once_and_free_ports_differ() {
    in_calm_world(|world| async move {
        let node = world.server("node", |_| pending());
        let listen = |at: SocketAddr| node.run(|| env::spawn(env::listen(at))).unwrap();
        let any = listen(node.address(0)).await.unwrap().unwrap();
        let other = listen("127.0.0.1:0".parse().unwrap()).await.unwrap().unwrap();
        assert_ne!(any.local_addr().unwrap(), other.local_addr().unwrap());
        let taken = listen(any.local_addr().unwrap()).await.unwrap();
        assert_eq!(taken.err().unwrap().kind(), ErrorKind::AddrInUse);
        let at = any.local_addr().unwrap();
        drop(any);
        assert!(listen(at).await.unwrap().is_ok(), "dropping a listener frees its address");
        assert_eq!(listen("10.0.9.9:1".parse().unwrap()).await.unwrap().err().unwrap().kind(), ErrorKind::AddrNotAvailable);
    });
}
