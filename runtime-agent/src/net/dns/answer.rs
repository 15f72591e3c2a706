//! From a question to an answer, or to the decision that others must be asked.

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::Names;

/// What becomes of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Reply(Vec<u8>),
    /// Somebody else must know.
    Forward,
    /// It is none.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// Seconds: a container that is started again may have another address.
const LIFETIME: u32 = 10;
/// What every client takes over UDP.
const SMALLEST: u16 = 512;

/// Answers what is ours to answer.
pub(super) fn answer(question: &[u8], names: &dyn Names, over: Over) -> Answer {
    let Ok(asked) = Message::from_vec(question) else { return Answer::Nothing };
    if asked.metadata.message_type != MessageType::Query {
        return Answer::Nothing;
    }
    let [query] = asked.queries.as_slice() else { return Answer::Forward };
    if asked.metadata.op_code != OpCode::Query || query.query_class != DNSClass::IN {
        return Answer::Forward;
    }
    let name = query.name.to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let records = match query.query_type {
        RecordType::PTR => reverse(query, names),
        kind => forward(query, kind, name, names),
    };
    let Some(records) = records else {
        // Without anybody to ask, a bare name is known not to exist; a search list goes on with its next domain.
        let lost = names.upstream().is_empty() && !name.contains('.');
        return match lost {
            true => reply(&asked, ResponseCode::NXDomain, Vec::new(), over),
            false => Answer::Forward,
        };
    };
    reply(&asked, ResponseCode::NoError, records, over)
}

/// What a client hears when nobody could be asked.
pub(super) fn failure(question: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(question).ok()?;
    match reply(&asked, ResponseCode::ServFail, Vec::new(), Over::Udp) {
        Answer::Reply(reply) => Some(reply),
        Answer::Forward | Answer::Nothing => None,
    }
}

/// `None` when the name is nobody's here; nothing when it is but has no such record, as on a network without IPv6.
fn forward(query: &Query, kind: RecordType, name: &str, names: &dyn Names) -> Option<Vec<Record>> {
    let addresses = names.addresses(name)?;
    let data = |address: IpAddr| match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    let wanted = |data: &RData| kind == RecordType::ANY || kind == data.record_type();
    let data = addresses.into_iter().map(data).filter(wanted);
    Some(data.map(|data| Record::from_rdata(query.name.clone(), LIFETIME, data)).collect())
}

fn reverse(query: &Query, names: &dyn Names) -> Option<Vec<Record>> {
    let network = query.name.parse_arpa_name().ok()?;
    let whole = network.prefix_len() == network.max_prefix_len();
    let name = names.name_of(network.addr()).filter(|_| whole)?;
    let name = Name::from_ascii(format!("{name}.")).ok()?;
    Some(vec![Record::from_rdata(query.name.clone(), LIFETIME, RData::PTR(PTR(name)))])
}

fn reply(asked: &Message, code: ResponseCode, records: Vec<Record>, over: Over) -> Answer {
    let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_queries(asked.queries.iter().cloned());
    message.add_answers(records);
    let room = usize::from(asked.max_payload().max(SMALLEST));
    let whole = message.to_vec().ok().and_then(|whole| {
        // The client asks again over TCP.
        if over == Over::Udp && whole.len() > room { message.truncate().to_vec().ok() } else { Some(whole) }
    });
    whole.map_or(Answer::Nothing, Answer::Reply)
}
