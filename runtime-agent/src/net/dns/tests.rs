//! Questions and answers without a kernel; the server itself is tested with whole networks.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::answer::{Answer, Over, answer};
use super::*;

#[derive(Debug, Default)]
struct Two {
    upstream: Vec<IpAddr>,
    many: bool,
}

impl Names for Two {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let count = if self.many { 100 } else { 2 };
        match name {
            "web" => Some((1..=count).map(|n| [10, 0, 0, n].into()).collect()),
            "both" => Some(vec![[10, 0, 0, 9].into(), "fd00::9".parse().unwrap()]),
            _ => None,
        }
    }

    fn name_of(&self, address: IpAddr) -> Option<String> {
        let known: [IpAddr; 2] = [[10, 0, 0, 1].into(), "fd00::9".parse().unwrap()];
        known.contains(&address).then(|| "web.front".to_owned())
    }

    fn upstream(&self) -> Vec<IpAddr> {
        self.upstream.clone()
    }
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn replied(answer: Answer) -> Message {
    let Answer::Reply(reply) = answer else { panic!("no reply: {answer:?}") };
    Message::from_vec(&reply).unwrap()
}

#[test]
fn names_are_answered_whatever_their_case() {
    let reply = replied(answer(&question("WEB.", RecordType::A), &Two::default(), Over::Udp));
    assert_eq!((reply.metadata.id, reply.metadata.response_code), (77, ResponseCode::NoError));
    assert_eq!(reply.answers.len(), 2);
    assert_eq!(reply.queries[0].name.to_ascii(), "WEB.");
}

#[test]
fn a_known_name_has_no_ipv6_address_which_is_an_answer_too() {
    let reply = replied(answer(&question("web.", RecordType::AAAA), &Two::default(), Over::Udp));
    assert_eq!((reply.metadata.response_code, reply.answers.len()), (ResponseCode::NoError, 0));
}

#[test]
fn each_kind_of_question_is_answered_with_its_kind_of_address() {
    let found = |kind| {
        let reply = replied(answer(&question("both.", kind), &Two::default(), Over::Udp));
        reply.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(RecordType::A), ["10.0.0.9"]);
    assert_eq!(found(RecordType::AAAA), ["fd00::9"]);
    assert_eq!(found(RecordType::ANY), ["10.0.0.9", "fd00::9"]);
}

#[test]
fn addresses_have_names() {
    let asked = |name| answer(&question(name, RecordType::PTR), &Two::default(), Over::Udp);
    assert_eq!(replied(asked("1.0.0.10.in-addr.arpa.")).answers[0].data.to_string(), "web.front.");
    assert_eq!(asked("9.0.0.10.in-addr.arpa."), Answer::Forward);
    let on_ipv6 = format!("9.{}0.0.d.f.ip6.arpa.", "0.".repeat(27));
    assert_eq!(replied(asked(&on_ipv6)).answers[0].data.to_string(), "web.front.");
}

#[test]
fn the_rest_is_for_others_or_for_nobody() {
    let alone = Two::default();
    let connected = Two { upstream: vec![[192, 0, 2, 1].into()], many: false };
    assert_eq!(answer(&question("example.org.", RecordType::A), &alone, Over::Udp), Answer::Forward);
    assert_eq!(answer(&question("other.", RecordType::A), &connected, Over::Udp), Answer::Forward);
    let reply = replied(answer(&question("other.", RecordType::A), &alone, Over::Udp));
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    for noise in [&b""[..], b"x", &[0xff; 40]] {
        assert_eq!(answer(noise, &alone, Over::Udp), Answer::Nothing);
    }
}

#[test]
fn what_does_not_fit_is_cut_over_udp_only() {
    let many = Two { many: true, ..Two::default() };
    let cut = replied(answer(&question("web.", RecordType::A), &many, Over::Udp));
    assert!(cut.metadata.truncation && cut.to_vec().unwrap().len() <= 512);
    assert_eq!(replied(answer(&question("web.", RecordType::A), &many, Over::Tcp)).answers.len(), 100);
}
