//! Published ports: open while a container has them, closed with it, and said so when that cannot be.

use std::net::{TcpListener, TcpStream, UdpSocket};

use libtest_mimic::Trial;
use rustix::process::{Signal, kill_process};
use wharf_driver_local::Resource;
use wharf_test_ports::Port;

use crate::engine::Engine;
use crate::kill::supervisor;
use crate::world::{World, trial, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("published_ports_come_and_go_with_their_containers", async |world| {
            let (made, engine) = running(&world).await;
            let (tcp, local) = (Port::reserve().unwrap(), Port::reserve().unwrap());
            let (tcp, local, udp) = (tcp.number(), local.number(), free_udp_port());
            engine.publish(&[
                ("0.0.0.0", tcp, "tcp"),
                ("::", tcp, "tcp"),
                ("0.0.0.0", udp, "udp"),
                ("127.0.0.1", local, "tcp"),
                ("127.0.0.2", local, "tcp"),
            ]);
            until("tcp open", async || open(tcp)).await;
            until("local open", async || open(local)).await;
            until("its other address open", async || TcpStream::connect(("127.0.0.2", local)).is_ok()).await;
            until("udp open", async || UdpSocket::bind(("127.0.0.1", udp)).is_err()).await;
            engine.publish(&[]);
            until("tcp closed", async || !open(tcp) && !open(local)).await;
            until("udp closed", async || UdpSocket::bind(("127.0.0.1", udp)).is_ok()).await;
            world.remove(&made).await;
        }),
        trial("a_port_that_cannot_be_bound_is_a_warning_until_it_can", async |world| {
            let (made, engine) = running(&world).await;
            let thief = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = thief.local_addr().unwrap().port();
            engine.publish(&[("0.0.0.0", port, "tcp"), ("::1", 9, "tcp")]);
            until("warnings", async || world.observe(&made).await.warnings.len() == 2).await;
            let warnings = world.observe(&made).await.warnings;
            assert!(
                warnings[1]
                    .contains(&format!("{port}/tcp is not reachable at 127.0.0.1:{port}: another program")),
                "{warnings:?}"
            );
            assert!(warnings[0].contains("published port 9 is not reachable"), "{warnings:?}");
            drop(thief);
            until("open after all", async || open(port)).await;
            until("no warning of it", async || world.observe(&made).await.warnings.len() == 1).await;
            engine.publish(&[]);
            until("no warning", async || world.observe(&made).await.warnings.is_empty()).await;
            world.remove(&made).await;
        }),
        trial("another_supervisor_goes_on_with_the_ports", async |world| {
            let (made, engine) = running(&world).await;
            let (old, new) = (Port::reserve().unwrap(), Port::reserve().unwrap());
            let (old, new) = (old.number(), new.number());
            engine.publish(&[("0.0.0.0", old, "tcp")]);
            until("open", async || open(old)).await;
            kill_process(supervisor(&world), Signal::KILL).unwrap();
            engine.publish(&[("0.0.0.0", new, "tcp")]);
            until("another supervisor", async || {
                world.observe(&made).await;
                open(new) && !open(old)
            })
            .await;
            world.remove(&made).await;
            assert!(!open(new));
        }),
    ]
}

async fn running(world: &World) -> (Vec<Resource>, Engine) {
    let engine = Engine::start(&world.folder(), world.spec().id.as_str()).await;
    (world.create().await.unwrap(), engine)
}

fn open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
