//! The wire between members, against bytes that 3.9.5 has sent.

mod packets;
mod recorded;
mod streams;
mod votes;

/// Bytes from hexadecimal digits with blanks; what follows a `'` up to the next one is text.
fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u32> = part.chars().filter_map(|c| c.to_digit(16)).collect();
        assert_eq!(digits.len() % 2, 0, "{part:?}");
        bytes.extend(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8));
    }
    bytes
}

/// The configuration of the first vectors, 0x8a bytes.
const CONFIG: &str = "server.1=127.0.0.1:21111:21121:participant\n\
                      server.2=127.0.0.1:21112:21122:participant\n\
                      server.3=127.0.0.1:21113:21123:participant\nversion=0";
