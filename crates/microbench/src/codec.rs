//! Requests, replies and transactions, from and to bytes.

use crate::Times;
use crate::samples;
use std::hint::black_box;
use zooid_proto::client::{GetDataResponse, ReplyHeader};
use zooid_proto::ops::Request;
use zooid_proto::records::Stat;
use zooid_proto::txn::{LogEntry, Txn};
use zooid_proto::{Jute, OpCode, Writer};

pub(crate) fn decode_get(times: Times) {
    let path = samples::path(1);
    decode(times, &samples::get_request(&path));
}

pub(crate) fn decode_create(times: Times) {
    let path = samples::path(1);
    decode(times, &samples::create_request(&path));
}

pub(crate) fn decode_multi(times: Times) {
    let paths = samples::paths();
    decode(times, &samples::multi_request(&paths));
}

fn decode(times: Times, request: &Request<'_>) {
    let op: OpCode = request.op();
    let body = samples::body(request);
    times.each(|_| {
        let decoded = Request::decode(op, black_box(&body));
        assert!(black_box(decoded).is_ok());
    });
}

pub(crate) fn encode_stat_reply(times: Times) {
    let mut out = Vec::with_capacity(1024);
    let header = ReplyHeader {
        xid: 1,
        zxid: 2,
        err: 0,
    };
    let response = GetDataResponse {
        data: Some(samples::DATA.as_slice().into()),
        stat: Stat::default(),
    };
    times.each(|_| {
        out.clear();
        let mut to = Writer::wire(&mut out);
        black_box(&header).write(&mut to);
        black_box(&response).write(&mut to);
        assert_eq!(out.len(), 16 + 4 + samples::DATA.len() + 68);
    });
}

pub(crate) fn encode_create_txn(times: Times) {
    let path = samples::path(1);
    encode(times, samples::create(&path));
}

pub(crate) fn encode_set_txn(times: Times) {
    let path = samples::path(1);
    encode(times, samples::set(&path));
}

fn encode(times: Times, txn: Txn<'_>) {
    let entry = samples::entry(1, txn);
    let mut out = Vec::with_capacity(1024);
    times.each(|_| {
        out.clear();
        black_box(&entry).encode(&mut out);
        assert!(!out.is_empty());
    });
}

pub(crate) fn decode_create_txn(times: Times) {
    let path = samples::path(1);
    decode_txn(times, samples::create(&path));
}

pub(crate) fn decode_set_txn(times: Times) {
    let path = samples::path(1);
    decode_txn(times, samples::set(&path));
}

fn decode_txn(times: Times, txn: Txn<'_>) {
    let mut bytes = Vec::new();
    samples::entry(1, txn).encode(&mut bytes);
    times.each(|_| {
        let decoded = LogEntry::decode(black_box(&bytes));
        assert!(black_box(decoded).is_ok());
    });
}
